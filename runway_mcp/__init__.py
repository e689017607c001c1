"""runway-mcp: an MCP server for Runway generation tasks."""

__version__ = "0.1.0"

__all__ = ["__version__"]
