"""The command line: parse, compose, run. With the demo, the only place that prints.

Imports stand where a mode needs them. The garbage collector is off until everything is built: it costs a fifth of the
start.
"""

import gc
import math
import os
import re
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from runway_mcp.config.options import Parser, UsageError, option, parse_settings
from runway_mcp.signals import end_on_stop_signal, ignore_stop_signals, on_hangup

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from runway_mcp.web.shutdown import GracefulShutdown

COMMANDS = {
    "install": "write this server into the configuration of your MCP hosts",
    "doctor": "check what this server needs, and the hosts that have it",
    "types": "show what can be started, or what a type or a model takes",
    "estimate": "tell what a start would cost, which sends nothing",
    "start": "start a task, which spends credits",
    "get": "show tasks as they stand",
    "wait": "wait until tasks have finished",
    "list": "list the tasks started here, with the sum of their credits",
    "save": "save the outputs of tasks that have SUCCEEDED",
    "cancel": "stop tasks that have not finished",
    "delete": "delete finished tasks and their outputs",
    "upload": "upload a file, for a runway:// URI that inputs take for 24 hours",
    "account": "show the balance, the limits and today's use",
    "completion": "print a shell's completion script",
    "demo": "show the main job in a few seconds: no key, no network, no cost",
    "token": "make an access token for someone, and its entry for the file of --tokens-file",
    "viewer": "show the tasks and their outputs in a browser of this machine",
    "history": "list starts of unknown outcome, and settle them",
    "catalogue": "take over new models from Runway's OpenAPI document, or show what would change",
    "sandbox": "serve the simulated Runway API on a port of this machine, for any client",
}
TYPER_COMMANDS = {
    **{
        name: f"runway_mcp.cli.task_commands:{name}"
        for name in ("types", "estimate", "start", "get", "wait", "save", "cancel", "delete", "upload", "account")
    },
    "list": "runway_mcp.cli.task_commands:list_tasks",
    "completion": "runway_mcp.cli.shell_completion:completion",
    "install": "runway_mcp.cli.install:install",
    "doctor": "runway_mcp.cli.doctor:doctor",
}
"""The commands that typer parses: where the function of each is."""

COMPLETION = "_RUNWAY_MCP_COMPLETE"
"""The variable of a shell that asks how a command line can go on."""
WAITING = (
    "waiting for an MCP host, which starts this command itself (README.md says how); Ctrl+C ends it, --help lists the "
    "options"
)
"""What a person reads who runs the server in a terminal."""


def run() -> NoReturn:
    """Run the process `runway-mcp`; a stop signal ends it at any moment, a server with 0 and a command with 130."""
    end_on_stop_signal(130 if {*sys.argv[1:2]} & TYPER_COMMANDS.keys() else 0)
    _open_standard_descriptors()
    code = main()
    ignore_stop_signals()
    sys.exit(code)


def _open_standard_descriptors() -> None:
    # so that no file or socket gets the number of a closed one
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, "w" if descriptor else "r", encoding="utf-8"))  # noqa: PTH123, SIM115 - of a descriptor, to the end


def main(argv: Sequence[str] | None = None) -> int:
    """Run `runway-mcp` with `argv` (the process's own arguments by default); return its exit code.

    0: ended in order. 1: the address can't be listened on, or the demo failed. 2: the command line or a setting is
    wrong; one line on stderr says which. 3: `catalogue diff` found changes. The task commands have their own.
    """
    gc.disable()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        run = {"demo": _demo, "token": _token, "viewer": _viewer, "history": _history, "catalogue": _catalogue}
        name, *others = arguments or [""]
        if place := TYPER_COMMANDS.get(name):
            from runway_mcp.cli.typer_app import run_command

            gc.enable()
            return run_command(name, place, COMMANDS[name], others)
        command = (run | {"sandbox": _sandbox}).get(name)
        return command(others) if command else _serve(arguments)
    except UsageError as error:
        return _fail(2, str(error))


def _serve(arguments: Sequence[str]) -> int:
    if not arguments:
        from runway_mcp.config.sources import environment

        if environment().get(COMPLETION):
            from runway_mcp.cli.typer_app import complete

            complete("runway-mcp", COMMANDS, TYPER_COMMANDS)
    settings, find_key = parse_settings(arguments, COMMANDS)
    from runway_mcp.config.settings import SettingsError
    from runway_mcp.observability import logs
    from runway_mcp.observability.request_record import current_id

    secrets = [secret.get_secret_value() for secret in (settings.api_key, settings.oauth_client_secret) if secret]
    redaction = logs.configure(settings.log_level, form=settings.log_format, secrets=secrets, request_id=current_id)
    from runway_mcp.wiring.core import build_core, extra
    from runway_mcp.wiring.file_access import warn_of_missing_folders

    with ExitStack() as ending:
        try:
            if settings.tracing:
                with extra("tracing", "tracing"):
                    from runway_mcp.observability.tracing import start_tracing
                ending.callback(start_tracing())
            core = build_core(settings, redaction.hide)
            warn_of_missing_folders(settings)
            if settings.transport == "stdio":
                if os.isatty(0):
                    _announce(WAITING, as_json=settings.log_format == "json")
                from runway_mcp.mcp_server.stdio import serve_stdio

                return _run(partial(serve_stdio, core.server))
            from runway_mcp.wiring.http import build_http

            served = build_http(settings, find_key, core)
        except SettingsError as error:
            raise UsageError(str(error)) from None
        return _serve_http(
            served.app,
            settings.host,
            settings.port,
            f"MCP over streamable HTTP at {{}}{settings.path}",
            stop=served.stop,
            proxies=settings.trusted_proxy,
            as_json=settings.log_format == "json",
            reread=served.reread,
        )


def _token(arguments: Sequence[str]) -> int:
    from runway_mcp.tasks.callers import SCOPES
    from runway_mcp.web.auth import tokens
    from runway_mcp.web.auth.runway_keys import VARIABLE

    parser = Parser(prog="runway-mcp token", description=f"runway-mcp token: {COMMANDS['token']}.")
    name = option(str, tokens.NAME_RULE, lambda text: bool(re.fullmatch(tokens.NAME, text, re.ASCII)))
    variable = option(
        str, "must be the name of a variable, never the key", lambda text: bool(re.fullmatch(VARIABLE, text, re.ASCII))
    )
    parser.add_argument("name", type=name, metavar="NAME", help="whose it is: their name in the file and in the log")
    scope = option(str.lower, f"must be {' or '.join(SCOPES)}", SCOPES.__contains__)
    parser.add_argument("--scope", type=scope, action="append", help="what it allows (repeatable; default: all)")
    parser.add_argument(
        "--runway-key-env",
        type=variable,
        metavar="VAR",
        help="the environment variable that holds their own Runway key",
    )
    options = parser.parse(arguments)
    token, digest = tokens.new_token()
    entry = tokens.TokenEntry(
        name=options.name,
        sha256=digest,
        scopes=list(dict.fromkeys(options.scope or SCOPES)),
        runway_key_env=options.runway_key_env,
    )
    print(f"{token}\n\nThis access token is not shown again. Its entry in the tokens file:\n\n{entry.lines()}")
    return 0


def _viewer(arguments: Sequence[str]) -> int:
    from runway_mcp.cli.viewer import open_viewer

    return _run(open_viewer(arguments, COMMANDS["viewer"]))


def _history(arguments: Sequence[str]) -> int:
    from runway_mcp.cli.history import run_history

    return run_history(arguments, COMMANDS["history"])


def _catalogue(arguments: Sequence[str]) -> int:
    from runway_mcp.cli.catalogue import run_catalogue

    return run_catalogue(arguments, COMMANDS["catalogue"])


def _sandbox(arguments: Sequence[str]) -> int:
    from runway_mcp.config.values import is_loopback
    from runway_mcp.observability import logs
    from runway_mcp.sandbox import Fault, create_app
    from runway_mcp.web.shutdown import GracefulShutdown

    parser = Parser(prog="runway-mcp sandbox", description=f"runway-mcp sandbox: {COMMANDS['sandbox']}.")
    host = option(str, "must be 127.0.0.1, ::1 or localhost", is_loopback)
    port = option(int, "must be a port from 1 to 65535", lambda port: 1 <= port <= 65535)  # noqa: PLR2004 - TCP's ports
    speed = option(float, "must be a positive number", lambda speed: 0 < speed < math.inf)
    fault = option(
        Fault.parse, "reads METHOD [/PATH] WHAT [@N], such as GET 503 @2, DELETE lost or GET /outputs 1000B @1"
    )
    parser.add_argument("--host", type=host, default="127.0.0.1", help="a loopback host (default: %(default)s)")
    parser.add_argument("--port", type=port, default=8790, help="the port (default: %(default)s)")
    parser.add_argument("--speed", type=speed, default=1.0, help="how many times faster tasks run (default: 1)")
    parser.add_argument(
        "--fault", type=fault, action="append", default=[], help=f"make requests fail (repeatable): {Fault.GRAMMAR}"
    )
    parser.add_argument(
        "--price-factor", type=speed, default=1.0, help="how many times the listed prices tasks cost (default: 1)"
    )
    options = parser.parse(arguments)
    logs.configure("warning")
    stop = GracefulShutdown()
    app = stop.guard(create_app(speed=options.speed, faults=options.fault, price_factor=options.price_factor))
    announcement = "Simulated Runway API: RUNWAYML_BASE_URL={} with any key"
    return _serve_http(app, options.host, options.port, announcement, stop=stop)


def _demo(arguments: Sequence[str]) -> int:
    Parser(prog="runway-mcp demo", description=f"runway-mcp demo: {COMMANDS['demo']}.").parse(arguments)
    import anyio

    from runway_mcp.demo import run_demo

    return anyio.run(run_demo)


def _serve_http(
    app: "ASGIApp",
    host: str,
    port: int,
    announcement: str,
    *,
    stop: "GracefulShutdown",
    proxies: Sequence[str] = (),
    as_json: bool = False,
    reread: Callable[[], object] | None = None,
) -> int:
    from runway_mcp.web.serving import listen, serve_http

    try:
        listener = listen(host, port)
    except OSError as error:
        return _fail(1, f"{host}:{port} can't be listened on: {os.strerror(error.errno or 0)}")
    name = f"[{host}]" if ":" in host else host
    where = announcement.format(f"http://{name}:{port}")
    _announce(where, as_json=as_json)

    async def serve() -> None:
        with on_hangup(reread) if reread else nullcontext():
            await serve_http(app, listener, stop, proxies=proxies)

    return _run(serve)


def _announce(text: str, *, as_json: bool) -> None:
    if as_json:
        from runway_mcp.observability.logs import announce

        announce(text)
    else:
        print(f"runway-mcp: {text}", file=sys.stderr)


def _run(serve: Callable[[], Coroutine[object, object, None]]) -> int:
    import anyio

    gc.freeze()
    gc.enable()
    anyio.run(serve)
    return 0


def _fail(code: int, message: str) -> int:
    print(f"runway-mcp: {message}", file=sys.stderr)
    return code
