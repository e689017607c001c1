"""What this server has started."""
