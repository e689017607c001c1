"""`python -m runway_mcp` is `runway-mcp`."""

import sys

from runway_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
