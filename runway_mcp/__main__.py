"""`python -m runway_mcp` is `runway-mcp`."""

from runway_mcp.cli import run

run()
