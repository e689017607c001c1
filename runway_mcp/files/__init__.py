"""Files: inputs from the local disk to Runway, outputs from Runway to the local disk. No MCP in it."""
