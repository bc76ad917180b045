"""The machines of a cluster as the driver sees them, with the offset of their clocks.

Input: a cluster's address. Output: `Host` handles. The only module that talks to Ray.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import msgspec

import bytemlperf
from bytemlperf.errors import ConfigError
from bytemlperf.launch.cluster.node import Node
from bytemlperf.launch.cluster.orders import NodeFacts, NodeNews, TaskOrder
from bytemlperf.report.plain_text import clean_text
from bytemlperf.report.schema import NodeEntry
from bytemlperf.runtime.clock import now_ns

__all__ = ["HARDWARE_PREFIX", "Host", "HostLostError", "connected", "estimate_offset"]

# A node resource of this name says that the node has the hardware.
HARDWARE_PREFIX = "hardware_"
PING_COUNT = 20
CALL_SECONDS = 60.0
CONNECT_SECONDS = 5.0


class HostLostError(Exception):
    """A machine is gone, or cannot be reached."""


def estimate_offset(pings: list[tuple[int, int, int]]) -> tuple[int, int]:
    """Estimate how far another clock is ahead, from the fastest exchange.

    Parameters
    ----------
    pings : list of (sent_ns, theirs_ns, received_ns)
        At least one; the first and the last on the own clock.

    Returns
    -------
    offset_ns : int
        Their clock minus ours. Off by at most half of `round_trip_ns`, if the reading
        took place within the exchange (Cristian, 1989, "Probabilistic clock
        synchronization").
    round_trip_ns : int
        Of the fastest exchange.
    """
    sent, theirs, received = min(pings, key=lambda ping: ping[2] - ping[0])
    return theirs - (sent + received) // 2, received - sent


class Host:
    """A machine of the cluster.

    Parameters
    ----------
    ray : module
        Ray, connected.
    actor : ActorHandle
        Of a `Node` on it.
    name : str
        Unique in the cluster.
    resources : dict
        What Ray says that it has.
    """

    def __init__(
        self, ray: Any, actor: Any, name: str, resources: dict[str, float]
    ) -> None:
        self._ray = ray
        self._actor = actor
        self.name = name
        self.resources = resources
        try:
            self.facts = msgspec.msgpack.decode(
                self._call(actor.facts.remote()), type=NodeFacts
            )
            pings = self._ping()
        except HostLostError as error:
            raise ConfigError(
                f"node {name} does not answer as bytemlperf {bytemlperf.__version__}",
                detail=str(error),
                hint="install the same version on every node",
            ) from error
        if self.facts.bytemlperf_version != bytemlperf.__version__:
            raise ConfigError(
                f"node {name} runs bytemlperf {self.facts.bytemlperf_version}, this "
                f"machine {bytemlperf.__version__}",
                hint="install the same version on every node",
            )
        self.offset_ns, self.round_trip_ns = estimate_offset(pings)
        self.is_lost = False

    def _ping(self) -> list[tuple[int, int, int]]:
        """Exchange clock readings: sent, theirs, received."""
        pings = []
        for _ in range(PING_COUNT):
            sent_ns = now_ns()
            theirs_ns = self._call(self._actor.now.remote())
            pings.append((sent_ns, theirs_ns, now_ns()))
        return pings

    def has_hardware(self, hardware_type: str) -> bool:
        """Whether the node is labelled with a hardware type."""
        return self.resources.get(HARDWARE_PREFIX + hardware_type, 0) > 0

    @property
    def entry(self) -> NodeEntry:
        """The host in the report's words."""
        return NodeEntry(
            name=self.name,
            host=self.facts.host,
            cores=self.facts.cores,
            clock_offset_ns=self.offset_ns,
            clock_round_trip_ns=self.round_trip_ns,
            is_lost=self.is_lost,
        )

    def start(self, order: TaskOrder) -> Any:
        """Give an order; its news are read with `next_news`."""
        body = msgspec.msgpack.encode(order)
        return self._actor.run.options(num_returns="streaming").remote(body)

    def next_news(self, stream: Any, timeout_seconds: float) -> NodeNews | None:
        """Return the next news of an order; None if there is none yet.

        Raises
        ------
        HostLostError
            The machine is gone.
        """
        ready, _ = self._ray.wait([stream], timeout=timeout_seconds)
        if not ready:
            return None
        try:
            body = self._ray.get(next(stream))
        except StopIteration as error:
            # What a stream does after the error that said why.
            self.is_lost = True
            raise HostLostError("its news have ended") from error
        except self._ray.exceptions.RayActorError as error:
            self.is_lost = True
            raise HostLostError(type(error).__name__) from error
        news: NodeNews = msgspec.msgpack.decode(body, type=NodeNews)
        return news

    def release(self, start_ns: int) -> None:
        """Let the waiting point begin at a moment of the driver's clock."""
        self._call(self._actor.release.remote(start_ns + self.offset_ns))

    def stop(self) -> None:
        """End what runs on it."""
        if not self.is_lost:
            try:
                self._call(self._actor.stop.remote())
            except HostLostError:
                # Nothing runs on it any more, which is what was wanted.
                return

    def _call(self, reference: Any) -> Any:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference, timeout=CALL_SECONDS)
        except (exceptions.RayActorError, exceptions.GetTimeoutError) as error:
            self.is_lost = True
            raise HostLostError(
                clean_text(f"{type(error).__name__}: {error}")
            ) from error


def _check_address(address: str | None) -> None:
    """Refuse an address where nobody listens: Ray itself would try for minutes."""
    host, separator, port = (address or "").removeprefix("ray://").rpartition(":")
    if not separator:
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"--address {address}: no Ray cluster answers: {error}",
            hint="start one there with: ray start --head --port=6379",
        ) from error


@contextmanager
def connected(address: str | None) -> Iterator[list[Host]]:
    """Join a cluster, and put a `Node` on each of its machines.

    Parameters
    ----------
    address : str or None
        Of the head node, such as ``"10.0.0.1:6379"``; None: the cluster this machine
        belongs to, or else one of this machine alone.

    Yields
    ------
    list of Host
        Every machine that is alive.

    Raises
    ------
    ConfigError
        Ray is not installed, there is no cluster at the address, or a node runs
        another version.
    """
    try:
        ray: Any = import_module("ray")
        strategies: Any = import_module("ray.util.scheduling_strategies")
    except ImportError as error:
        raise ConfigError(
            "--launcher ray needs Ray, which is not installed",
            hint="pip install 'bytemlperf[distributed]'",
        ) from error
    _check_address(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except ConnectionError as error:
        raise ConfigError(f"--address {address}: no Ray cluster answers") from error
    try:
        remote_node = ray.remote(num_cpus=0, max_concurrency=3)(Node)
        hosts = []
        for node in ray.nodes():
            if not node["Alive"]:
                continue
            strategy = strategies.NodeAffinitySchedulingStrategy(
                node["NodeID"], soft=False
            )
            actor = remote_node.options(scheduling_strategy=strategy).remote()
            name = f"{node['NodeManagerAddress']}/{node['NodeID'][:8]}"
            hosts.append(Host(ray, actor, name, node["Resources"]))
        yield hosts
    finally:
        ray.shutdown()
