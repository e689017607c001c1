"""The MCP App: a page in which hosts show tasks and their outputs."""
