"""Every kind of answer has the shape that the API's description gives it, to a request of its own."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sandbox_client import HEADERS, Client, bodies, body_for
from support.described import DOCUMENT

from runway_mcp.sandbox import SAMPLES

FIELDS: Mapping[str, set[str]] = {
    "PENDING": {"id", "createdAt", "status", "estimatedCost"},
    "THROTTLED": {"id", "createdAt", "status", "estimatedCost"},
    "RUNNING": {"id", "createdAt", "status", "progress", "estimatedCost"},
    "SUCCEEDED": {"id", "createdAt", "status", "output", "cost"},
    "FAILED": {"id", "createdAt", "status", "failure", "failureCode", "cost"},
    "CANCELLED": {"id", "createdAt", "status", "cost"},
    "priced": {"id", "estimatedCost"},
    "bare": {"id"},
    "routed": {"id", "routing"},
    "organization": {"tier", "creditBalance", "usage"},
    "usage": {"results", "models"},
    "upload": {"uploadUrl", "fields", "runwayUri"},
    "error": {"error"},
    "no router": {"error", "code"},
    "invalid": {"error", "issues", "docUrl"},
    "invalid for a router or task": {"error", "issues"},
}

_TASK = "/v1/tasks/{id}"
_UNKNOWN = "11111111-1111-4111-8111-111111111111"


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, the HTTP status it gets, and the kind of its answer (None: no body), one of `FIELDS`."""

    method: str
    path: str
    status: int
    kind: str | None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)


def _post(path: str) -> Exchange:
    kind = "routed" if "/generate/" in path else "bare" if path == "/v1/avatar_videos" else "priced"
    return Exchange("POST", path, 200, kind, json.dumps(body_for(path)).encode())


def _invalid(path: str, content: bytes = b"") -> Exchange:
    kind = "invalid for a router or task" if "/generate/" in path else "invalid"
    return Exchange("POST", path, 400, kind, content)


_CREATE = "/v1/text_to_video"
_ROUTED = "/v1/generate/video"
_UPLOADS = "/v1/uploads"
_SUCCEEDED = _TASK.format(id=SAMPLES["succeeded_video"].id)
_RUNNING = _TASK.format(id=SAMPLES["running"].id)
_VERSION = {"X-Runway-Version": "2024-11-06"}
_KEY = {"Authorization": "Bearer key"}

EXCHANGES: Mapping[str, Exchange] = {
    **{
        name: Exchange("GET", _TASK.format(id=sample.id), 200, re.split("[ :,]", sample.what)[0])
        for name, sample in SAMPLES.items()
    },
    "cancel": Exchange("DELETE", _RUNNING, 204, None),
    "delete": Exchange("DELETE", _SUCCEEDED, 204, None),
    **{f"create {path}": _post(path) for path, _ in bodies(documented_only=True)},
    "organization": Exchange("GET", "/v1/organization", 200, "organization"),
    "organization usage": Exchange("POST", "/v1/organization/usage", 200, "usage"),
    "no key": Exchange("GET", _RUNNING, 401, "error", headers=_VERSION),
    "empty key": Exchange("GET", _RUNNING, 401, "error", headers=_VERSION | {"Authorization": "Bearer "}),
    "other scheme": Exchange("GET", _RUNNING, 401, "error", headers=_VERSION | {"Authorization": "Basic a2V5"}),
    "refused key": Exchange("GET", _RUNNING, 401, "error", headers=_VERSION | {"Authorization": "Bearer invalid"}),
    "unknown path without a key": Exchange("GET", "/v1/nothing", 401, "error", headers={}),
    "the API's root without a key": Exchange("GET", "/v1", 401, "error", headers={}),
    "no version": Exchange("GET", _RUNNING, 400, "error", headers=_KEY),
    "other version": Exchange("GET", _RUNNING, 400, "error", headers=_KEY | {"X-Runway-Version": "2024-09-13"}),
    "unknown path": Exchange("GET", "/v1/nothing", 404, "error"),
    "path outside the API": Exchange("GET", "/", 404, "error", headers={}),
    "trailing slash": Exchange("GET", f"{_RUNNING}/", 404, "error"),
    "wrong method for a task": Exchange("POST", _RUNNING, 405, "error"),
    "wrong method for a create": Exchange("GET", _CREATE, 405, "error"),
    "unknown task": Exchange("GET", _TASK.format(id=_UNKNOWN), 404, "error"),
    "delete unknown task": Exchange("DELETE", _TASK.format(id=_UNKNOWN), 404, "error"),
    "delete cancelled task": Exchange("DELETE", _TASK.format(id=SAMPLES["cancelled"].id), 404, "error"),
    "bad id": Exchange("GET", _TASK.format(id="nonsense"), 400, "invalid for a router or task"),
    "delete bad id": Exchange("DELETE", _TASK.format(id="nonsense"), 400, "invalid for a router or task"),
    "body not JSON": _invalid(_CREATE, b"promptText=x"),
    "body not text": _invalid(_CREATE, b"\xff"),
    "body too deep": _invalid(_CREATE, b"[" * 200_000),
    "body not an object": _invalid("/v1/generate/video", b"[]"),
    "body null": _invalid(_CREATE, b"null"),
    "body with NaN": _invalid(_CREATE, b'{"duration": NaN}'),
    "field of no UTF-8": _invalid("/v1/recipes/product_ad", rb'{"\ud800": 1}'),
    "no fields": _invalid(_CREATE, b"{}"),
    "no fields for a router": _invalid("/v1/generate/image", b"{}"),
    "unknown model": _invalid(_CREATE, b'{"model": "gen1"}'),
    "day that is none": _invalid("/v1/organization/usage", b'{"startDate": "2026-02-30"}'),
    "usage of no object": _invalid("/v1/organization/usage", b"[]"),
    "upload": Exchange("POST", _UPLOADS, 200, "upload", b'{"filename": "a.png", "type": "ephemeral"}'),
    "upload of no medium": _invalid(_UPLOADS, b'{"filename": "a.txt", "type": "ephemeral"}'),
    "upload of no type": _invalid(_UPLOADS, b'{"filename": "a.png"}'),
    "upload of nothing": _invalid(_UPLOADS),
    "upload that is not there": _invalid(
        "/v1/image_upscale", b'{"model": "magnific_precision_upscaler_v2", "imageUri": "runway://unknown"}'
    ),
    "upload that is not there for a router": _invalid(
        _ROUTED, json.dumps(body_for(_ROUTED, input={"referenceAudio": [{"uri": "runway://unknown"}]})).encode()
    ),
    "upload without a key": Exchange("POST", _UPLOADS, 401, "error", headers=_VERSION),
    "wrong method for the storage": Exchange("GET", "/storage", 405, "error"),
    "unknown router": Exchange(
        "POST", _ROUTED, 404, "no router", json.dumps(body_for(_ROUTED, configId="unknown")).encode()
    ),
    "body missing": _invalid(_CREATE),
}

# where the document is absent, statuses and fields are judged alone
_PATHS: dict[str, Any] = json.loads(DOCUMENT.read_bytes())["paths"] if DOCUMENT.is_file() else {}


def _schema(exchange: Exchange) -> dict[str, Any]:
    """The answer's schema by the document; where it has none, that of errors in general."""
    path = "/v1/tasks/{id}" if exchange.path.startswith("/v1/tasks/") else exchange.path
    # the SDK knows endpoints and models that the document lacks
    if not _PATHS or (path not in _PATHS and exchange.status == HTTPStatus.OK):
        return {}
    responses = _PATHS.get(path, {}).get(exchange.method.lower(), {}).get("responses", {})
    response = responses[str(exchange.status)] if exchange.status < 300 else responses.get(str(exchange.status))
    response = response or _PATHS["/v1/text_to_video"]["post"]["responses"]["400"]
    schema = dict(response["content"]["application/json"]["schema"])
    return json.loads(
        json.dumps(schema), object_hook=lambda one: {name: one[name] for name in one if name != "propertyNames"}
    )


@pytest.mark.parametrize("exchange", EXCHANGES.values(), ids=EXCHANGES.keys())
async def test_every_answer_has_the_shape_the_api_describes(sampled: Client, exchange: Exchange) -> None:
    sampled.http.headers.clear()
    answer = await sampled.http.request(
        exchange.method, exchange.path, headers=dict(exchange.headers), content=exchange.content
    )
    assert answer.status_code == exchange.status
    if exchange.kind is None:
        assert answer.content == b""
        assert "Content-Type" not in answer.headers
    else:
        assert answer.headers["Content-Type"] == "application/json"
        found = answer.json()
        found.pop("previewUrls", None)  # of a video; the document lacks them
        assert set(found) == FIELDS[exchange.kind]
        Draft202012Validator(_schema(exchange)).validate(found)  # pyright: ignore[reportUnknownMemberType]  # jsonschema is half typed


def test_every_kind_of_answer_is_asked_for() -> None:
    assert {exchange.kind for exchange in EXCHANGES.values()} - {None} == set(FIELDS)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/tasks/nonsense", {"GET", "HEAD", "DELETE"}),
        ("DELETE", "/v1/text_to_video", {"POST"}),
        ("PUT", "/v1/organization", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(client: Client, method: str, path: str, allowed: set[str]) -> None:
    answer = await client.http.request(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == allowed


async def test_a_routed_create_tells_what_the_router_made_of_it(client: Client) -> None:
    given = {"promptText": "rain", "duration": 8, "resolution": "1080p"}
    answer = await client.start("/v1/generate/video", configId="my-router_2", input=given)
    routing = answer.json()["routing"]
    assert routing["configId"] == "my-router_2"
    assert routing["resolvedInput"] == {"duration": 8, "ratio": "1280:720", "resolution": "1080p"}
    assert routing["estimatedCost"] == {"credits": 96}
    voice = {"type": "preset", "presetId": "Maya"}
    answer = await client.start("/v1/generate/audio", input={"type": "speech", "promptText": "rain", "voice": voice})
    assert answer.json()["routing"]["resolvedInput"] == {"type": "speech", "voice": "preset"}
