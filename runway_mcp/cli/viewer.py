"""The command `runway-mcp viewer`: the tasks in a browser of this machine, for people whose host shows no apps."""

import sys
import webbrowser
from collections.abc import Callable, Coroutine, Sequence
from threading import Thread

from runway_mcp.config.options import Parser, UsageError, parse_settings
from runway_mcp.config.settings import SANDBOX_URL, SettingsError
from runway_mcp.observability import logs
from runway_mcp.observability.request_record import current_id
from runway_mcp.sandbox import SAMPLES
from runway_mcp.web.serving import listen, serve_http
from runway_mcp.web.shutdown import LAST_SECONDS, GracefulShutdown
from runway_mcp.web.viewer_site import SimulatedApi, ViewerSite
from runway_mcp.wiring.core import build_core


def open_viewer(arguments: Sequence[str], about: str) -> Callable[[], Coroutine[object, object, None]]:
    """Open the viewer in a browser, and return what serves it until a stop signal.

    Raises:
        UsageError: The command line or a setting is wrong.
    """
    epilog = "The server's options and the environment count as they do for a server over stdio."
    parser = Parser(prog="runway-mcp viewer", description=f"runway-mcp viewer: {about}.", epilog=epilog)
    _, others = parser.parse_known_args(arguments)
    # it serves this machine's user alone, however the server is reached
    settings, _ = parse_settings([*others, "--transport", "stdio", "--auth", "none"], {})
    key = [settings.api_key.get_secret_value()] if settings.api_key else []
    redaction = logs.configure(settings.log_level, form=settings.log_format, secrets=key, request_id=current_id)
    try:
        core = build_core(settings, redaction.hide)
    except SettingsError as error:
        raise UsageError(str(error)) from None
    core.callers.shutdown_seconds = LAST_SECONDS
    stop = GracefulShutdown(changes=lambda: core.callers.background_tasks)
    stop.ends.append(core.callers.end_waits)
    listener = listen("127.0.0.1", 0)
    samples = {sample.id: sample.what for sample in SAMPLES.values()}
    sandbox = SimulatedApi(core.sandbox, SANDBOX_URL, samples) if core.sandbox else None
    site = ViewerSite(core.server, listener.getsockname()[1], sandbox)
    print(f"runway-mcp: the viewer is at {site.link} (the link works once; Ctrl+C ends it)", file=sys.stderr)
    # it may wait for the browser, and whoever has none opens the link by hand
    Thread(target=webbrowser.open, args=(site.link,), daemon=True).start()

    async def serve() -> None:
        await serve_http(stop.guard(site.app), listener, stop)

    return serve
