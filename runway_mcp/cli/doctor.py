"""The command `runway-mcp doctor`."""


def doctor() -> int:
    """Return the exit code."""
    return 0
