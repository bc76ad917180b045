"""Signals wait while something is at stake."""

from __future__ import annotations

import os
import select
import signal
import threading

import pytest

from bytemlperf.launch.interruption import Interruption


def is_readable(interruption: Interruption) -> bool:
    return bool(select.select([interruption], [], [], 0)[0])


def send(name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_interrupts_where_nothing_is_held(name: str) -> None:
    """As Python's own Ctrl-C does."""
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt, match=name):
            send(name)
        assert interruption.is_requested
        assert interruption.signal_name == name


def test_a_held_signal_makes_the_descriptor_readable() -> None:
    """Once per wish; reading takes it away."""
    with Interruption() as interruption, interruption.held():
        assert not is_readable(interruption)
        send("SIGTERM")
        assert is_readable(interruption)
        interruption.acknowledge()
        assert not is_readable(interruption)
        send("SIGTERM")
        assert is_readable(interruption)
        assert repr(interruption) == "<Interruption [2 received | SIGTERM]>"


def test_the_third_signal_insists() -> None:
    """Whatever is held: somebody means it."""
    with Interruption() as interruption, interruption.held():
        send("SIGINT")
        send("SIGINT")
        with pytest.raises(KeyboardInterrupt):
            send("SIGINT")


def test_a_signal_that_was_held_is_raised_on_release() -> None:
    """A long call that watches nothing does not begin after a wish to stop."""
    with Interruption() as interruption, interruption.held():
        send("SIGINT")
        with pytest.raises(KeyboardInterrupt), interruption.released():
            raise AssertionError("the block began")
        send("SIGTERM")
        assert interruption.count == 2


def test_handlers_are_put_back_and_ignored_signals_stay_ignored() -> None:
    """The choice of nohup is respected."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption():
            send("SIGHUP")
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_is_installed() -> None:
    """An embedding program keeps its own handlers."""
    handlers = []

    def run() -> None:
        with Interruption() as interruption, interruption.held():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]
