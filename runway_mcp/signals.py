"""SIGINT and SIGTERM as an orderly stop with exit code 0, on every platform; SIGHUP, where there is one."""

import os
import signal
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

HANGUP = (signal.SIGHUP,) if sys.platform != "win32" else ()
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGBREAK,) if sys.platform == "win32" else ()))


def on_stop_signal(stop: Callable[[], object]) -> AbstractContextManager[None]:
    """Have the event loop call `stop` at the first stop signal; further ones must not disturb the end."""
    return _acting(STOP_SIGNALS, stop, once=True)


def on_hangup(act: Callable[[], object]) -> AbstractContextManager[None]:
    """Have the event loop call `act` at each SIGHUP, which otherwise ends a process."""
    return _acting(HANGUP, act, once=False)


@contextmanager
def _acting(signals: Sequence[signal.Signals], act: Callable[[], object], *, once: bool) -> Generator[None]:
    import asyncio  # noqa: PLC0415 - starting up needs this module, but not yet an event loop

    loop = asyncio.get_running_loop()
    is_over = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_over
        if not is_over:
            is_over = once
            loop.call_soon_threadsafe(act)

    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    finally:
        if not is_over:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def interruptible() -> Generator[None]:
    """Let a stop signal raise KeyboardInterrupt: a question without echo then leaves the terminal as it was."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_stop_signal(code: int = 0) -> None:
    """Until an event loop takes the stop signals over, let them end the process at once with this exit code.

    At once, because an exception raised wherever the interpreter happens to be, half-way through an
    import or the making of the loop, comes out as a traceback.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, lambda _number, _frame: os._exit(code))


def ignore_stop_signals() -> None:
    """Leave the process alone: nothing is left to do but the interpreter's own end.

    A signal that comes while its handler is being replaced would be reported with a traceback, by the
    hook for errors that nobody can catch.
    """
    sys.unraisablehook = lambda _: None
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
