"""The steps of doorbell, rings and queue, as in the native code, for all interleavings.

Each step carries a mark, such as R2, that stands beside the same step in the code:
P* in `completion_ring.pyx` and `predict_loop.pyx`, R* in `completion_ring.pyx` and
`dispatcher.pyx`, N* in `native_clients.pyx`, L* in `runtime/predictor.py`. A step in
`Broken` can be left out or done in the wrong order, to see that it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from interleavings import (
    Machine,
    Op,
    exchange,
    fence,
    go,
    keep,
    load,
    maybe,
    read,
    store,
    wait,
    wait_or_time_out,
    when,
    write,
)

AWAKE, ASLEEP, SPINNING = 0, 1, 2  # `BellState`


class Broken(Enum):
    """What can be done wrong, to see that it matters."""

    NOTHING = "nothing"
    RINGER_FENCE = "no fence before the ringer looks"  # P2
    READER_FENCE = "no fence after the reader arms"  # R5
    ARM_LATE = "the reader looks before it arms"  # R4 after R6
    NO_RING = "the ringer does not ring who sleeps"  # P5
    PUT_OFF = "a wake-up put off is forgotten"  # P6
    EARLY_LOOK = "the loop looks who has ended before it drains"  # L2 before L1
    NOT_JOINED = "the loop listens while the clients' thread still does"  # L4


def _ring_if_armed(broken: Broken, done: str) -> Iterator[Op]:
    if broken is not Broken.RINGER_FENCE:
        yield fence()  # P2
    yield load("armed", "armed")  # P3
    yield when("armed", "==", AWAKE, done)
    yield exchange("armed", AWAKE, "armed")  # P4
    yield when("armed", "!=", ASLEEP, done)
    if broken is not Broken.NO_RING:
        yield write("bell")  # P5


def _ring() -> Iterator[Op]:
    yield store("armed", AWAKE)
    yield write("bell")


def predict_thread(ring: int, batches: int, broken: Broken) -> Iterator[Op | str]:
    # `PredictLoop.serve`: publish some batches and ring, or put that off; then end.
    for batch in range(1, batches + 1):
        yield store(f"tail{ring}", batch)  # P1
        yield keep("put off", 1)
        yield maybe(f"next{batch}")  # while more is queued, let completions gather
        yield keep("put off", 0)
        yield from _ring_if_armed(broken, f"next{batch}")
        yield f"next{batch}"
    if broken is not Broken.PUT_OFF:
        yield when("put off", "==", 0, "parked")
        yield from _ring_if_armed(broken, "parked")  # P6
        yield "parked"
    # Nobody asks for more before the last answer was heard.
    yield "asked"
    yield wait("queue closed")
    yield load("queue closed", "seen")
    yield when("seen", "==", 0, "asked")
    yield store(f"exited{ring}", 1)
    yield from _ring()  # P7


def _look(rings: int, prefix: str) -> Iterator[Op | str]:
    # Take in what the rings hold; again as long as there is something.
    yield f"{prefix}look"
    for ring in range(rings):
        yield load(f"tail{ring}", "tail")  # R2
        yield when("tail", "==", f"head{ring}", f"{prefix}none{ring}")
        yield keep(f"head{ring}", "tail")
        yield go(f"{prefix}look")
        yield f"{prefix}none{ring}"


def _arm(
    state: int, rings: int, broken: Broken, news: str, *, closing: bool = False
) -> Iterator[Op | str]:
    if broken is not Broken.ARM_LATE:
        yield store("armed", state)  # R4
        if broken is not Broken.READER_FENCE:
            yield fence()  # R5
    if closing:
        yield load("closed", "closed")
        yield when("closed", "==", 1, news)
    for ring in range(rings):
        yield load(f"tail{ring}", "tail")  # R6
        yield when("tail", "!=", f"head{ring}", news)
    if broken is Broken.ARM_LATE:
        yield store("armed", state)
        yield fence()


def _drain(
    rings: int, broken: Broken, prefix: str, asleep: str, *, spins: bool
) -> Iterator[Op | str]:
    # `Dispatcher.drain`: goes to `asleep` when it has armed the bell.
    yield read("bell")  # R1
    yield from _look(rings, prefix)
    if spins:
        yield maybe(f"{prefix}arm")  # spin first, or not
        yield from _arm(SPINNING, rings, broken, f"{prefix}news")
        yield f"{prefix}spin"
        yield load("armed", "armed")  # R3
        yield when("armed", "!=", SPINNING, f"{prefix}spun")
        yield maybe(f"{prefix}spin")
        yield f"{prefix}spun"
        yield exchange("armed", AWAKE, "armed")  # R7
        yield when("armed", "==", AWAKE, f"{prefix}look")
    yield f"{prefix}arm"
    yield from _arm(ASLEEP, rings, broken, f"{prefix}news")
    yield go(asleep)
    yield f"{prefix}news"
    yield exchange("armed", AWAKE, "armed")  # R7
    yield maybe(f"{prefix}look")
    # The budget is used up: let the loop have its turn, and come back.
    yield from _ring()
    yield go(asleep)


def event_loop(
    rings: int, batches: int, broken: Broken, *, spins: bool
) -> Iterator[Op | str]:
    # `Predictor.stop`: drain whenever the bell rings, until all threads have ended.
    yield "asleep"
    yield wait("bell")  # L0
    if broken is Broken.EARLY_LOOK:
        yield from _have_exited(rings, "early")
    yield from _drain(rings, broken, "first ", "first drained", spins=spins)  # L1
    yield "first drained"
    yield when("began", "==", 1, "look who has ended")
    for ring in range(rings):
        yield when(f"head{ring}", "<", batches, "asleep")
    yield keep("began", 1)
    yield store("queue closed", 1)
    yield from _ring()  # L3
    yield "look who has ended"
    if broken is Broken.EARLY_LOOK:
        yield when("early", "<", rings, "asleep")
    else:
        yield from _have_exited(rings, "exited")  # L2
        yield when("exited", "<", rings, "asleep")
    yield from _drain(rings, broken, "last ", "last drained", spins=spins)
    yield "last drained"
    for ring in range(rings):
        yield when(f"head{ring}", "<", batches, "asleep")


def _have_exited(rings: int, into: str) -> Iterator[Op | str]:
    yield keep(into, 0)
    for ring in range(rings):
        yield load(f"exited{ring}", "one")
        yield when("one", "==", 0, f"{into} counted")
        yield keep(into, ring + 1)
    yield f"{into} counted"


def clients_thread(batches: int, broken: Broken) -> Iterator[Op | str]:
    # `NativeClients.serve`: take in and ask, or sleep, until closed.
    yield "serve"
    yield load("closed", "closed")  # N1
    yield when("closed", "==", 1, "ended")
    yield load("tail0", "tail")  # N2
    yield when("tail", "==", "head0", "sleep")
    yield keep("head0", "tail")
    yield store("heard", "head0")  # the loop is told by means of its own
    yield go("serve")
    yield "sleep"
    yield maybe("arm")
    yield from _arm(SPINNING, 1, broken, "news", closing=True)
    yield "spin"
    yield load("armed", "armed")  # N3
    yield when("armed", "!=", SPINNING, "spun")
    yield maybe("spin")
    yield "spun"
    yield exchange("armed", AWAKE, "armed")
    yield when("armed", "==", AWAKE, "clear")
    yield "arm"
    yield from _arm(ASLEEP, 1, broken, "disarm", closing=True)
    yield maybe("no thought")
    yield wait_or_time_out("bell")  # N4, until a thought ends
    yield go("disarm")
    yield "no thought"
    yield wait("bell")  # N4
    yield "disarm"
    yield exchange("armed", AWAKE, "armed")  # N5
    yield "clear"
    yield read("bell")  # N6
    yield go("serve")
    yield "news"
    yield exchange("armed", AWAKE, "armed")
    yield go("serve")
    yield "ended"
    yield store("ended", 1)


def loop_over_clients(batches: int, broken: Broken) -> Iterator[Op | str]:
    # `Predictor.stop` of a run with native clients: end their thread, then listen.
    yield "hear"
    yield wait("heard", batches)
    yield load("heard", "heard")
    yield when("heard", "<", batches, "hear")
    yield store("closed", 1)
    yield from _ring()
    if broken is not Broken.NOT_JOINED:
        yield "join"
        yield wait("ended")  # L4
        yield load("ended", "joined")
        yield when("joined", "==", 0, "join")
    yield keep("head0", batches)
    yield store("queue closed", 1)
    yield from _ring()  # L3
    yield keep("began", 1)
    yield from event_loop(1, batches, broken, spins=False)


def loop_model(
    rings: int, batches: int, broken: Broken = Broken.NOTHING, *, spins: bool = True
) -> Machine:
    """Build predict threads with a ring each, and an event loop that drains them."""
    programs: dict[str, Sequence[Op | str]] = {
        f"predict{ring}": list(predict_thread(ring, batches, broken))
        for ring in range(rings)
    }
    programs["loop"] = list(event_loop(rings, batches, broken, spins=spins))
    memory = {"armed": ASLEEP, "bell": 0, "queue closed": 0}
    for ring in range(rings):
        memory |= {f"tail{ring}": 0, f"exited{ring}": 0}
    return Machine(programs, memory)


def clients_model(batches: int, broken: Broken = Broken.NOTHING) -> Machine:
    """Build a predict thread, clients that think, and the loop that ends them."""
    return Machine(
        {
            "predict": list(predict_thread(0, batches, broken)),
            "clients": list(clients_thread(batches, broken)),
            "loop": list(loop_over_clients(batches, broken)),
        },
        {
            "armed": ASLEEP,
            **dict.fromkeys(("bell", "tail0", "exited0", "heard", "closed"), 0),
            **dict.fromkeys(("ended", "queue closed"), 0),
        },
    )
