"""`python -m runway_mcp` is `runway-mcp`."""

from runway_mcp.cli.main import run

run()
