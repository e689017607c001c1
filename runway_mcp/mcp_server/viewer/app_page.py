"""The page as an MCP Apps resource. It is put together when a host first reads it, to keep the server's start short."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

from anyio import to_thread
from mcp.server.apps import APP_MIME_TYPE, Apps
from mcp.server.mcpserver.resources import Resource

from runway_mcp import __version__

URI = "ui://runway-mcp/viewer.html"
TOOL_META: Mapping[str, Any] = {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
"""Binds a tool to the page. Older hosts read the second key."""
MEDIA_DOMAINS = ("https://*.cloudfront.net", "https://*.runwayml.com", "https://*.amazonaws.com")
"""Where Runway's outputs come from."""

_FOLDER = Path(__file__).parent
_SCRIPTS = ("host", "elements", "words", "media", "summary", "task", "gallery", "main")
"""The scripts in their order; each uses only those before it."""


class ViewerPage(Resource):
    """The page.

    Attributes:
        tools: Names of the tools that the server offers; the page shows nothing that needs another.
        media_domains: The origins that it may load outputs from.
    """

    tools: tuple[str, ...]
    media_domains: tuple[str, ...]

    @cached_property
    def _html(self) -> str:
        script = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
        filled = {"TOOLS": escape(" ".join(self.tools)), "MEDIA": escape(" ".join(self.media_domains))}
        filled |= {"VERSION": escape(__version__), "STYLE": _read("style.css"), "SCRIPT": script}
        html = _read("page.html")
        for name, text in filled.items():
            html = html.replace(f"{{{{{name}}}}}", text, 1)
        return html

    async def read(self) -> str:
        return await to_thread.run_sync(lambda: self._html)


def viewer_app(tools: Collection[str], media_domains: Sequence[str]) -> Apps:
    """Return the MCP Apps extension with the page.

    Args:
        tools: Names of the tools that the server offers.
        media_domains: The only origins that the page may load anything from: images, videos and sounds.
    """
    app = Apps()
    app.add_resource(
        ViewerPage(
            uri=URI,
            name="viewer",
            title="Runway viewer",
            description="Shows tasks and their outputs in hosts with MCP Apps.",
            mime_type=APP_MIME_TYPE,
            tools=tuple(sorted(tools)),
            media_domains=tuple(media_domains),
            meta={
                "ui": {
                    "csp": {"resourceDomains": list(media_domains)},
                    "permissions": {"clipboardWrite": {}},
                    "prefersBorder": True,
                }
            },
        )
    )
    return app


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
