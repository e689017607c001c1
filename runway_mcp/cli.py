"""The command line: parse, compose, run. With the demo, the only place that prints.

Imports stand where a mode needs them, and the garbage collector rests until everything is
built: collecting while the SDK's models are made costs about a fifth of the start.
"""

import argparse
import gc
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args, get_origin

from runway_mcp import __version__
from runway_mcp.signals import end_on_stop_signal, ignore_stop_signals

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from runway_mcp.api.client import RunwayClient
    from runway_mcp.settings import Settings
    from runway_mcp.tasks.callers import Caller

T = TypeVar("T")

COMMANDS = {
    "demo": "show the main job in a few seconds: no key, no network, no cost",
    "sandbox": "serve the simulated Runway API on a port of this machine, for any client",
}


class UsageError(Exception):
    """The command line or a setting can't be used; told in one line."""


def run() -> NoReturn:
    """Be the process `runway-mcp`: from its first moment, a stop signal ends it with exit code 0."""
    end_on_stop_signal()
    _open_standard_descriptors()
    code = main()
    ignore_stop_signals()
    sys.exit(code)


def _open_standard_descriptors() -> None:
    """Give 0, 1 and 2 to the null device where they are closed, lest something else gets their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `runway-mcp` with `argv` (the process's own arguments by default); return its exit code.

    0: ended as it should. 1: the address could not be listened on, or the demo did not succeed.
    2: the command line or a setting is not usable; one line on stderr says which.
    """
    gc.disable()
    arguments = list(sys.argv[1:] if argv is None else argv)
    command, arguments = (
        (arguments[0], arguments[1:]) if arguments[:1] and arguments[0] in COMMANDS else ("", arguments)
    )
    try:
        match command:
            case "demo":
                return _demo(arguments)
            case "sandbox":
                return _sandbox(arguments)
            case _:
                return _serve(arguments)
    except UsageError as error:
        return _fail(2, str(error))


def _serve(arguments: Sequence[str]) -> int:
    settings = _parse(arguments)
    from runway_mcp import logs
    from runway_mcp.server import build_server
    from runway_mcp.tasks.callers import NOBODY, Caller, Services

    logs.configure(settings.log_level, secret=settings.api_key.get_secret_value() if settings.api_key else None)
    is_http = settings.transport == "streamable-http"
    services = Services(
        _connect(settings), poll_seconds=settings.poll_seconds, most_waits=settings.max_waits if is_http else None
    )
    local = Caller("local", key=settings.api_key) if settings.auth == "none" else NOBODY
    server = build_server(services, local=local, read_only=settings.read_only, sandbox=settings.sandbox)
    if not is_http:
        from runway_mcp.stdio import serve_stdio

        return _run(partial(serve_stdio, server))
    from runway_mcp.web.app import build_app
    from runway_mcp.web.edge import Edge

    app = build_app(
        server,
        edge=Edge(settings.allowed_host, settings.allowed_origin),
        path=settings.path,
        caller=local,
        most_requests=settings.max_requests,
    )
    return _serve_http(app, settings.host, settings.port, f"MCP over streamable HTTP at {{}}{settings.path}")


def _sandbox(arguments: Sequence[str]) -> int:
    from runway_mcp import logs
    from runway_mcp.sandbox import Fault, create_app
    from runway_mcp.settings import is_loopback

    parser = _Parser(prog="runway-mcp sandbox", description=f"runway-mcp sandbox: {COMMANDS['sandbox']}.")
    host = _option(str, "must be 127.0.0.1, ::1 or localhost", is_loopback)
    port = _option(int, "must be a port from 1 to 65535", lambda port: 1 <= port <= 65535)  # noqa: PLR2004 - TCP's ports
    speed = _option(float, "must be a positive number", lambda speed: 0 < speed < math.inf)
    fault = _option(Fault.parse, "reads METHOD WHAT [@N], such as GET 503 @2, DELETE lost or ANY 2.5s @3n")
    parser.add_argument("--host", type=host, default="127.0.0.1", help="a loopback host (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8790, help="the port (default: %(default)s)")
    parser.add_argument("--speed", type=speed, default=1.0, help="how many times faster tasks run (default: 1)")
    parser.add_argument(
        "--fault", type=fault, action="append", default=[], help=f"make requests fail (repeatable): {Fault.GRAMMAR}"
    )
    options = parser.parse(arguments)
    logs.configure("warning")
    app = create_app(speed=options.speed, faults=options.fault)
    return _serve_http(app, options.host, options.port, "Simulated Runway API: RUNWAYML_BASE_URL={} with any key")


def _option(convert: Callable[[str], T], otherwise: str, holds: Callable[[T], bool] = bool) -> Callable[[str], T]:
    """A type of option: what `convert` makes of its text and `holds` for it; anything else is told as `otherwise`."""

    def read(text: str) -> T:
        try:
            value = convert(text)
        except ValueError:
            raise argparse.ArgumentTypeError(otherwise) from None
        if not holds(value):
            raise argparse.ArgumentTypeError(otherwise)
        return value

    return read


def _demo(arguments: Sequence[str]) -> int:
    _Parser(prog="runway-mcp demo", description=f"runway-mcp demo: {COMMANDS['demo']}.").parse(arguments)
    import anyio

    from runway_mcp.demo import run_demo

    return anyio.run(run_demo)


def _connect(settings: "Settings") -> Callable[["Caller"], AbstractAsyncContextManager["RunwayClient"]]:
    """What opens a caller's client, as `settings` ask: to Runway, or to the sandbox inside this process."""
    from runway_mcp.api.client import open_client

    if not settings.sandbox:
        return lambda caller: open_client(
            api_key=caller.key,
            base_url=settings.base_url,
            api_version=settings.api_version,
            ca_file=settings.ca_file,
        )
    import httpx2

    from runway_mcp.sandbox import create_app
    from runway_mcp.settings import SANDBOX_KEY, SANDBOX_URL

    app = create_app(speed=settings.sandbox_speed)
    return lambda _: open_client(
        api_key=SANDBOX_KEY,
        base_url=SANDBOX_URL,
        api_version=settings.api_version,
        transport=httpx2.ASGITransport(app=app),
    )


def _serve_http(app: "ASGIApp", host: str, port: int, announcement: str) -> int:
    from runway_mcp.web.serving import listen, serve_http

    try:
        listener = listen(host, port)
    except OSError as error:
        return _fail(1, f"{host}:{port} can't be listened on: {os.strerror(error.errno or 0)}")
    name = f"[{host}]" if ":" in host else host
    print(f"runway-mcp: {announcement.format(f'http://{name}:{port}')}", file=sys.stderr)
    return _run(partial(serve_http, app, listener))


def _run(serve: Callable[[], Coroutine[object, object, None]]) -> int:
    import anyio

    gc.freeze()
    gc.enable()
    anyio.run(serve)
    return 0


def _parse(arguments: Sequence[str]) -> "Settings":
    """The settings that the command line and the environment make; every field but a secret is a flag."""
    from runway_mcp.settings import Settings, flag, variables

    parser = _Parser(
        prog="runway-mcp",
        description="MCP server for Runway generation tasks. Without a command it serves, over stdio by default.",
        epilog="\n".join(
            [
                "commands:",
                *(f"  {name:<9}{what}" for name, what in COMMANDS.items()),
                "",
                "environment only, since a process's arguments can be read by others:",
                *(
                    f"  {', else '.join(variables(name))}\n  {field.description}"
                    for name, field in Settings.model_fields.items()
                    if flag(name) is None
                ),
            ]
        ),
    )
    parser.add_argument("--version", action="version", version=f"runway-mcp {__version__}")
    parser.add_argument(
        "--env-file", type=Path, metavar="PATH", help="A file of NAME=value lines; no .env is read unless named here."
    )
    for name, field in Settings.model_fields.items():
        if (option := flag(name)) is None:
            continue
        if field.annotation is bool:
            text = f"{field.description} [{variables(name)[0]}; default: off]"
            parser.add_argument(option, dest=name, action="store_true", default=None, help=text)
        else:
            text = f"{field.description} [{variables(name)[0]}; default: {field.default or 'none'}]"
            action = "append" if field.default == () else "store"
            choices = "|".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""
            parser.add_argument(
                option, dest=name, action=action, metavar=choices or name.rsplit("_")[-1].upper(), help=text
            )
    options = vars(parser.parse(arguments))
    return _load({name: value for name, value in options.items() if value is not None})


def _load(flags: dict[str, object]) -> "Settings":
    from runway_mcp.settings import SettingsError, load

    env_file = flags.pop("env_file", None)
    try:
        return load(flags, env_file if isinstance(env_file, Path) else None)
    except SettingsError as error:
        raise UsageError(str(error)) from None


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and repeat no value, which might be a key."""

    def __init__(self, *, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options in `arguments`, or raise `UsageError`."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
            raise UsageError(f"unknown {'option ' + flags[0] if flags else 'command'}; see {self.prog} --help")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise `UsageError` with argparse's message, less the value that it may repeat."""
        message = re.sub(r"ignored explicit argument.*", "takes no value", message)
        raise UsageError(re.sub(r"(: )?('.*'|\".*\")", "", message) + f"; see {self.prog} --help")


def _fail(code: int, message: str) -> int:
    print(f"runway-mcp: {message}", file=sys.stderr)
    return code
