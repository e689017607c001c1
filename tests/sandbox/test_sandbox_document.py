"""Every kind of answer is valid by the API's own document; collected only where that is found."""

import json
from typing import Any

import pytest
from sandbox_client import Client
from sandbox_document import DOCUMENT
from sandbox_exchanges import EXCHANGES, Exchange
from sandbox_rules import assert_conforms

from runway_mcp.sandbox.catalogue import ENDPOINTS

_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"]
_DOCUMENTED = {path: endpoint for path, endpoint in ENDPOINTS.items() if endpoint.documented}
_ANY_ERROR: dict[str, Any] = _PATHS["/v1/text_to_video"]["post"]["responses"]["400"]


def _schema(exchange: Exchange) -> dict[str, Any]:
    """The answer's schema; where the document has none for it, that of errors in general."""
    path = "/v1/tasks/{id}" if exchange.path.startswith("/v1/tasks/") else exchange.path
    responses = _PATHS.get(path, {}).get(exchange.method.lower(), {}).get("responses", {})
    response = responses[str(exchange.status)] if exchange.status < 300 else responses.get(str(exchange.status))
    return dict((response or _ANY_ERROR)["content"]["application/json"]["schema"])


_WITH_BODY = {name: exchange for name, exchange in EXCHANGES.items() if exchange.rule}


@pytest.mark.parametrize("exchange", _WITH_BODY.values(), ids=_WITH_BODY.keys())
async def test_every_answer_is_valid_by_the_document(sampled: Client, exchange: Exchange) -> None:
    """What the sandbox answers, the document's own schema accepts."""
    sampled.http.headers.clear()
    answer = await sampled.http.request(
        exchange.method, exchange.path, headers=dict(exchange.headers), content=exchange.content
    )
    assert_conforms(answer.json(), _schema(exchange))


def _answers_with_a_task(operation: dict[str, Any]) -> bool:
    created = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    described = created.get("properties", {}).get("id", {}).get("description", "")
    return "task" in described.lower()


def _models(schema: dict[str, Any]) -> set[str]:
    """Every model a request's schema names, at its top level or in one of its variants."""
    variants: list[dict[str, Any]] = schema.get("oneOf", [schema])
    return {one["properties"]["model"]["const"] for one in variants if "model" in one["properties"]}


def test_the_sandbox_creates_what_the_document_creates() -> None:
    """Each POST endpoint that answers with a task is there; what is there besides is marked as undocumented."""
    posts = {path: methods["post"] for path, methods in _PATHS.items() if "post" in methods}
    assert {path for path, operation in posts.items() if _answers_with_a_task(operation)} == _DOCUMENTED.keys()


@pytest.mark.parametrize("path", _DOCUMENTED)
def test_an_endpoint_takes_the_models_of_the_document(path: str) -> None:
    """The models are the document's; an endpoint that takes none has one of its own."""
    body = _PATHS[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    named = _models(body)
    assert not named or named == set(_DOCUMENTED[path].models)
