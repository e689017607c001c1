"""What the settings ask for, put together."""
