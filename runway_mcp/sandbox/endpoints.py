"""What the sandbox can create: endpoints, models and prices, as the catalogue's data has them."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, cast

from runway_mcp.sandbox.body_issues import Issue, Schema, find_issues, no_variant, prepare, prepare_medium, wrong_type
from runway_mcp.sandbox.charges import NO_LENGTHS, Lengths, Row, charge
from runway_mcp.sandbox.output_files import OUTPUTS, USUAL_FORMATS, Kind

Settings = Mapping[str, object]

_UNLISTED: Mapping[Kind, Row] = {
    "video": {"terms": [{"per": "second", "rate": 10}], "longest": 5},
    "image": {"terms": [{"per": "output", "rate": 5}]},
    "audio": {"terms": [{"per": "task", "rate": 5}]},
}
"""The prices of what the price table lacks."""
_ROUTED_MODELS: Mapping[Kind, str] = {"video": "gen4.5", "image": "gen4_image", "audio": "eleven_v3"}
"""What a model router chooses."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model of an endpoint; usage is counted under its name."""

    name: str
    schema: Schema
    defaults: Settings
    prices: tuple[Row, ...]  # the first that knows the request counts
    documented: bool  # whether an official source has it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A POST endpoint that starts a task: what it makes, the fields of its answer, and its models.

    Where a request names no model, the only one is named None. `formats` has extensions of files by the model or the
    `outputFormat` that makes them.
    """

    kind: Kind
    reply: tuple[str, ...]
    models: Mapping[str | None, Model]
    formats: Mapping[str, str]

    @property
    def routed(self) -> bool:
        """Whether a model router chooses the model."""
        return "routing" in self.reply

    def model(self, body: object) -> Model | None:
        given = cast("Mapping[str, object]", body).get("model") if isinstance(body, dict) else None
        return self.models.get(None) or (self.models.get(given) if isinstance(given, str) else None)

    def check(self, body: object, uploads: Mapping[str, Kind] | None = None) -> list[Issue]:
        """Return what is wrong with a JSON body; `uploads` gives the kinds of the uploads by URI."""
        if model := self.model(body):
            return find_issues(body, model.schema, uploads)
        if not isinstance(body, dict):
            return [wrong_type("object", body, ())]
        return list(no_variant("model", cast("Mapping[str, object]", body)))

    def format(self, model: Model, settings: Settings) -> str:
        """Return the extension of what a valid request makes."""
        names = (model.name, str(settings.get("outputFormat")))
        return next((self.formats[name] for name in names if name in self.formats), USUAL_FORMATS[self.kind])

    def settings(self, model: Model, body: Mapping[str, object]) -> Settings:
        """Return what a valid body asks for, with the defaults of what it leaves out."""
        asked = body.get("input") if self.routed else body
        return {**model.defaults, **(cast("Settings", asked) if isinstance(asked, dict) else {})}

    def credits_for(self, model: Model, settings: Settings, lengths: Lengths = NO_LENGTHS) -> int:
        """Return the credits that a valid request may be charged with; `lengths` gives the seconds of the uploads."""
        found = (charge(price, settings, lengths) for price in model.prices)
        return next((credit for credit in found if credit is not None), 0)


@cache
def read_data(name: str) -> Mapping[str, Any]:
    """Return the catalogue's `catalogue.json` or `prices.toml`."""
    text = files("runway_mcp.catalogue").joinpath(name).read_text("utf-8")
    return json.loads(text) if name.endswith(".json") else tomllib.loads(text)


def load_endpoints(catalogue: Mapping[str, Any], prices: Mapping[str, Any]) -> Mapping[str, Endpoint]:
    """Return the endpoints by path, from what `catalogue.json` and `prices.toml` hold."""
    listed: Mapping[str, Row] = prices["prices"]
    rows = {name: {**listed.get(row.get("like", ""), {}), **row} for name, row in listed.items()}
    definitions = {
        name: prepare_medium(name, schema) if name in OUTPUTS else prepare(schema, closed=True)
        for name, schema in catalogue["definitions"].items()
    }

    def model(type_name: str, name: str, kind: Kind, entry: Mapping[str, Any]) -> Model:
        schema = entry["schema"]
        fields: Mapping[str, Schema] = schema.get("properties", {})
        return Model(
            name=name,
            schema={**prepare(schema, closed=not entry.get("open")), "$defs": definitions},
            defaults={field: one["default"] for field, one in fields.items() if "default" in one},
            prices=(rows.get(f"{type_name}/{name}", rows.get(name, _UNLISTED[kind])), _UNLISTED[kind]),
            documented=entry.get("documented", True),
        )

    endpoints: dict[str, Endpoint] = {}
    for name, entry in catalogue["types"].items():
        kind, reply = entry["output"], tuple(entry["reply"])
        unnamed = _ROUTED_MODELS[kind] if "routing" in reply else name.rpartition("/")[2]
        models = {one["name"]: model(name, one["name"] or unnamed, kind, one) for one in entry["models"]}
        endpoints[entry["endpoint"]] = Endpoint(kind, reply, models, catalogue["files"])
    return endpoints
