"""Whether an answer is one that an OpenAPI document describes, and where Runway's own document lies."""

import os
from pathlib import Path
from typing import Any

import httpx2
from jsonschema import validate
from starlette.routing import compile_path

DOCUMENT = Path(os.environ.get("RUNWAY_OPENAPI") or Path(__file__).parents[3] / "shared/sources/runway-openapi.json")
"""Not ours to ship: where it is absent, the data made from it stands alone."""


def assert_described(document: dict[str, Any], answer: httpx2.Response) -> None:
    method = answer.request.method.lower().replace("head", "get")
    paths: dict[str, Any] = document["paths"]
    asked = answer.request.url.path
    (item,) = (item for path, item in paths.items() if compile_path(path.replace("}", ":path}"))[0].match(asked))
    described = item[method]["responses"][str(answer.status_code)]
    if "$ref" in described:
        described = document["components"]["responses"][described["$ref"].rsplit("/")[-1]]
    content = described.get("content")
    if content is None or answer.request.method == "HEAD":
        assert answer.content == b""
        return
    schema = content[answer.headers["Content-Type"]]["schema"]
    validate(answer.json(), {**schema, "components": document["components"]})
