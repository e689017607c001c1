"""The MCP hosts that `install` and `doctor` know, and edits of their configuration files."""
