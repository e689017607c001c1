"""Where the API's OpenAPI document lies, when somebody has put it there."""

import os
from pathlib import Path

_BESIDE_THE_REPOSITORY = Path(__file__).parents[3] / "shared" / "sources" / "runway-openapi.json"

DOCUMENT = Path(os.environ.get("RUNWAY_OPENAPI") or _BESIDE_THE_REPOSITORY)
