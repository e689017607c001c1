"""What MCP adds."""
