"""SIGINT and SIGTERM as an orderly stop with exit code 0, on every platform; SIGHUP, where there is one."""

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

HANGUP = (signal.SIGHUP,) if sys.platform != "win32" else ()
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGBREAK,) if sys.platform == "win32" else ()))


@contextmanager
def on_stop_signal(stop: Callable[[], object]) -> Generator[None]:
    """Have the event loop call `stop` at the first stop signal; further ones must not disturb the end."""
    import asyncio  # noqa: PLC0415 - starting up needs this module, but not yet an event loop

    loop = asyncio.get_running_loop()

    is_stopping = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopping
        if not is_stopping:
            is_stopping = True
            loop.call_soon_threadsafe(stop)

    before = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        if not is_stopping:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def on_hangup(act: Callable[[], object]) -> Generator[None]:
    """Have the event loop call `act` at each SIGHUP, which otherwise ends a process."""
    import asyncio  # noqa: PLC0415 - as above

    loop = asyncio.get_running_loop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)

    before = {number: signal.signal(number, handle) for number in HANGUP}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_on_stop_signal() -> None:
    """Until an event loop takes the stop signals over, let them end the process at once.

    At once, because an exception raised wherever the interpreter happens to be, half-way through an
    import or the making of the loop, comes out as a traceback.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, _end)


def ignore_stop_signals() -> None:
    """Leave the process alone: nothing is left to do but the interpreter's own end.

    A signal that comes while its handler is being replaced would be reported with a traceback, by the
    hook for errors that nobody can catch.
    """
    sys.unraisablehook = lambda _: None
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)
