"""Whether an answer is one that the OpenAPI document describes."""

from typing import Any

import httpx2
from jsonschema import validate
from starlette.routing import compile_path


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
