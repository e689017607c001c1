"""The Runway API: its client, its shapes and its errors. Nothing here knows of MCP."""
