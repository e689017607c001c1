"""The command `runway-mcp install`."""


def install() -> int:
    """Return the exit code."""
    return 0
