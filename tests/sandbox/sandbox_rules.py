"""What the API's description says about its answers, as JSON Schemas in our own words.

Written by hand from the description and apart from the sandbox, so that each checks the other.
"""

from collections.abc import Mapping

from jsonschema import Draft202012Validator

Schema = dict[str, object]


def _exactly(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """An object with these keys and no other."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _map_of(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}
_WHEN: Schema = {"type": "string", "pattern": r"^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?Z$"}
_WHOLE: Schema = {"type": "integer"}
_DAY: Schema = {"type": "string", "pattern": r"^\d{4}-[01]\d-[0-3]\d$"}
_ESTIMATE = _exactly({"credits": _NUMBER})
_COST = _exactly({"credits": {"type": "integer"}})


def _task(status: str, **fields: Schema) -> Schema:
    return _exactly({"id": _ID, "createdAt": _WHEN, "status": {"const": status}, **fields})


def _routed(**resolved_input: Schema) -> Schema:
    settings = _exactly(
        {
            "optimizeFor": {"enum": ["cost", "latency", "quality"]},
            "priceCeiling": {"type": ["number", "null"]},
        }
    )
    routing = _exactly(
        {
            "model": _TEXT,
            "provider": _TEXT,
            "configId": _TEXT,
            "resolvedSettings": settings,
            "resolvedInput": _exactly(resolved_input),
            "estimatedCost": _ESTIMATE,
        },
        {"capacityFallback": {"type": "object"}},
    )
    return _exactly({"id": _ID, "routing": routing})


_ISSUE: Schema = {
    "type": "object",
    "properties": {
        "code": _TEXT,
        "path": {"type": "array", "items": {"type": ["string", "number"]}},
        "message": _TEXT,
    },
    "required": ["code", "path", "message"],
}

RULES: Mapping[str, Schema] = {
    "PENDING": _task("PENDING", estimatedCost=_ESTIMATE),
    "THROTTLED": _task("THROTTLED", estimatedCost=_ESTIMATE),
    "RUNNING": _task("RUNNING", progress={"type": "number", "minimum": 0, "maximum": 1}, estimatedCost=_ESTIMATE),
    "SUCCEEDED": _task(
        "SUCCEEDED",
        output={"type": "array", "items": {"type": "string", "pattern": "^https?://"}, "minItems": 1},
        cost=_COST,
    ),
    "FAILED": _task("FAILED", failure=_TEXT, failureCode=_TEXT, cost=_COST),
    "CANCELLED": _task("CANCELLED", cost=_COST),
    "priced": _exactly({"id": _ID, "estimatedCost": _ESTIMATE}),
    "bare": _exactly({"id": _ID}),
    "routed video": _routed(duration=_NUMBER, ratio=_TEXT, resolution=_TEXT),
    "routed image": _routed(ratio=_TEXT, aspectRatio=_TEXT, resolution=_TEXT),
    "routed audio": _routed(
        type={"enum": ["speech", "audio"]}, voice={"enum": ["preset", "reference-audio", "default", "none"]}
    ),
    "organization": _exactly(
        {
            "tier": _exactly(
                {
                    "maxMonthlyCreditSpend": _COUNT,
                    "models": _map_of(_exactly({"maxConcurrentGenerations": _COUNT, "maxDailyGenerations": _COUNT})),
                }
            ),
            "creditBalance": _COUNT,
            "usage": _exactly({"models": _map_of(_exactly({"dailyGenerations": _COUNT}))}),
        }
    ),
    "usage": _exactly(
        {
            "results": {
                "type": "array",
                "items": _exactly(
                    {
                        "date": _DAY,
                        "usedCredits": {"type": "array", "items": _exactly({"model": _TEXT, "amount": _WHOLE})},
                    }
                ),
            },
            "models": {"type": "array", "items": _TEXT},
        }
    ),
    "upload": _exactly(
        {
            "uploadUrl": {"type": "string", "pattern": "^https?://"},
            "fields": _map_of(_TEXT),
            "runwayUri": {"type": "string", "pattern": "^runway://", "minLength": 13, "maxLength": 5000},
        }
    ),
    "no router": _exactly({"error": _TEXT, "code": {"const": "router_config_not_found"}}),
    "error": _exactly({"error": _TEXT}, {"docUrl": _TEXT}),
    "error with issues": _exactly(
        {"error": _TEXT, "issues": {"type": "array", "items": _ISSUE, "minItems": 1}}, {"docUrl": _TEXT}
    ),
}


def assert_conforms(body: object, schema: Schema) -> None:
    """Assert that a body is valid by a schema."""
    Draft202012Validator(schema).validate(body)  # pyright: ignore[reportUnknownMemberType]  # jsonschema is half typed
