"""What is wrong with a request's body, in the words of Zod, the API's validator.

The jsonschema library takes a while to import (0.1 s), so it is imported for the first body.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from operator import gt, lt
from typing import TYPE_CHECKING, Any, cast

from runway_mcp.sandbox.output_files import OUTPUTS, Kind

if TYPE_CHECKING:
    from jsonschema import FormatChecker, ValidationError
    from jsonschema.protocols import Validator

Schema = dict[str, Any]
Path = Sequence[str | int]
Issue = Mapping[str, object]

_UNDEFINED = object()  # the value of a field that is missing
_UPLOAD = "runway://"
_NAMES = (
    (bool, "boolean"),
    (str, "string"),
    (int | float, "number"),
    (dict, "object"),
    (list, "array"),
    (type(None), "null"),
)
_LIMITS = {
    "minLength": ("too_small", "minimum", "string to have >={} characters"),
    "maxLength": ("too_big", "maximum", "string to have <={} characters"),
    "minItems": ("too_small", "minimum", "array to have >={} items"),
    "maxItems": ("too_big", "maximum", "array to have <={} items"),
    "minimum": ("too_small", "minimum", "number to be >={}"),
    "maximum": ("too_big", "maximum", "number to be <={}"),
    "exclusiveMinimum": ("too_small", "minimum", "number to be >{}"),
}
"""By a schema's keyword: the issue's code, its field for the limit, and what was expected."""


def find_issues(value: object, schema: Schema, uploads: Mapping[str, Kind] | None = None) -> list[Issue]:
    """Return what is wrong with a JSON value by a schema that `prepare` made; `uploads` gives kinds by URI."""
    validator = _dialect()(schema, format_checker=_upload_checker(uploads or {}))
    return [issue for error in validator.iter_errors(cast("Any", value)) for issue in _issues(error, uploads or {})]


def prepare(schema: Any, *, closed: bool) -> Any:
    """Return a schema of the catalogue as the API means it; where `closed`, no object takes an unknown field."""
    if isinstance(schema, list):
        return [prepare(part, closed=closed) for part in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    made: Schema = {key: prepare(part, closed=closed) for key, part in cast("Schema", schema).items()}
    if closed and isinstance(made.get("properties"), dict):
        made["additionalProperties"] = False
    if isinstance(pattern := made.get("pattern"), str) and pattern.endswith("$"):
        made["pattern"] = pattern[:-1] + r"\Z"  # in Python $ also matches before a last line break
    return made


def prepare_medium(kind: str, schema: Schema) -> Schema:
    """Return the definition of a file's URI as a union, of which uploads must be there and of this kind."""
    common = {"type": "string", "minLength": schema["minLength"]}
    return {
        "anyOf": [
            common | branch | ({"format": kind} if branch["pattern"] == f"^{_UPLOAD}" else {})
            for branch in schema["anyOf"]
        ]
    }


def wrong_type(expected: str, value: object, path: Path) -> Issue:
    """Return the issue of a value of another type; of a missing field where `value` is no JSON."""
    received = next((name for kind, name in _NAMES if isinstance(value, kind)), "undefined")
    message = f"Invalid input: expected {expected}, received {received}"
    return _issue("invalid_type", path, message, expected=expected)


def no_variant(tag: str, given: Mapping[str, object], path: Path = ()) -> Iterator[Issue]:
    """Yield what is wrong with an object whose field `tag` names none of its variants."""
    where = (*path, tag)
    if not isinstance(given.get(tag), str):
        yield wrong_type("string", given.get(tag, _UNDEFINED), where)
    note = "No matching discriminator"
    yield _issue("invalid_union", where, "Invalid input", errors=[], note=note, discriminator=tag)


def _issues(error: "ValidationError", uploads: Mapping[str, Kind]) -> Iterator[Issue]:
    path = list(error.absolute_path)
    limit, value, rule = cast("Any", error.validator_value), cast("Any", error.instance), str(error.validator)
    match rule:
        case "type":
            number = "int" if isinstance(value, float) else "number"
            yield wrong_type(number if limit == "integer" else limit, value, path)
        case "enum" | "const":
            values = limit if rule == "enum" else [limit]
            options = "|".join(f'"{one}"' if isinstance(one, str) else str(one) for one in values)
            start = "Invalid option: expected one of" if len(values) > 1 else "Invalid input: expected"
            yield _issue("invalid_value", path, f"{start} {options}", values=values)
        case "pattern":
            yield _issue("invalid_format", path, f"Invalid string: must match pattern /{limit}/")
        case "additionalProperties":
            keys = [key for key in value if key not in cast("Schema", error.schema)["properties"]]
            named = ", ".join(f'"{key}"' for key in keys)
            yield _issue("unrecognized_keys", path, f"Unrecognized keys: {named}", keys=keys)
        case "anyOf":
            yield from _union(error, uploads)
        case "format":
            pass  # of an upload, which the union around it tells of
        case _:
            code, name, expected = _LIMITS[rule]
            start = code.replace("_", " ").capitalize()
            yield _issue(code, path, f"{start}: expected {expected.format(limit)}", **{name: limit})


def _union(error: "ValidationError", uploads: Mapping[str, Kind]) -> Iterator[Issue]:
    path, value = list(error.absolute_path), cast("Any", error.instance)
    branches = cast("list[Schema]", error.validator_value)
    if missing := _missing_uploads(error):
        kinds = defaultdict[tuple[tuple[str | int, ...], str], list[str]](list)
        for one in missing:
            kinds[tuple(one.absolute_path), str(one.instance)].append(str(one.validator_value))
        for (where, uri), wanted in kinds.items():
            found = f"The upload is of kind {uploads.get(uri)}: expected {' or '.join(wanted)}."
            gone = "There is no such upload, or it has expired."
            yield _issue("custom", where, found if uri in uploads else gone)
    elif not (tag := _tag(branches)):
        errors = [[issue for one in branch for issue in _issues(one, uploads)] for branch in _branches(error)]
        yield _issue("invalid_union", path, "Invalid input", errors=errors)
    elif not isinstance(value, dict):
        yield wrong_type("object", value, path)
    else:
        given = cast("Mapping[str, object]", value)
        tags = [branch["properties"][tag]["const"] for branch in branches]
        if given.get(tag) in tags:
            for one in _branches(error)[tags.index(given[tag])]:
                yield from _issues(one, uploads)
        else:
            yield from no_variant(tag, given, path)


def _branches(error: "ValidationError") -> list[list["ValidationError"]]:
    branches = defaultdict[str | int, list["ValidationError"]](list)
    for one in error.context or ():
        branches[one.relative_schema_path[0]].append(one)
    return list(branches.values())


def _tag(branches: Sequence[Schema]) -> str:
    """Return the field whose constant tells the branches apart; empty where there is none."""
    first, *others = [cast("Schema", branch.get("properties", {})) for branch in branches]
    tags = (name for name in first if all("const" in fields.get(name, {}) for fields in (first, *others)))
    return next(tags, "")


def _missing_uploads(error: "ValidationError") -> list["ValidationError"]:
    """Return the uploads that are all that a branch of a union lacks."""
    found: list[ValidationError] = []
    for branch in _branches(error):
        missing = [[one] if one.validator == "format" else _missing_uploads(one) for one in branch]
        if all(missing):
            found += [one for part in missing for one in part]
    return found


def _issue(code: str, path: Path, message: str, **more: object) -> Issue:
    return {"code": code, "path": list(path), "message": message, **more}


def _upload_checker(uploads: Mapping[str, Kind]) -> "FormatChecker":
    from jsonschema import FormatChecker  # noqa: PLC0415 - the first check pays

    checker = FormatChecker(formats=())
    for kind in OUTPUTS:
        checker.checks(kind)(partial(_is_upload, uploads, kind))
    return checker


def _is_upload(uploads: Mapping[str, Kind], kind: Kind, value: object) -> bool:
    return not (isinstance(value, str) and value.startswith(_UPLOAD)) or uploads.get(value) == kind


@cache
def _dialect() -> "type[Validator]":
    from jsonschema import Draft202012Validator, ValidationError, validators  # noqa: PLC0415 - the first check pays

    def required(validator: Any, names: Sequence[str], value: object, schema: Schema) -> "Iterator[ValidationError]":
        if isinstance(value, dict):
            for name in (name for name in names if name not in value):
                yield from validator.descend(_UNDEFINED, schema["properties"][name], path=name, schema_path=name)

    def length(broken: Callable[[int, int], bool], _: "Validator", limit: int, value: object, _schema: Schema) -> Any:
        if isinstance(value, str) and broken(len(value.encode("utf-16-le", "surrogatepass")) // 2, limit):
            yield ValidationError("")

    rules = {"required": required, "minLength": partial(length, lt), "maxLength": partial(length, gt)}
    extend = cast("Any", validators).extend
    return cast("type[Validator]", extend(Draft202012Validator, rules))
