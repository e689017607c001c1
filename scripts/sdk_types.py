"""What starts a task by the types of Runway's SDK, the installed package `runwayml`, as JSON Schema.

The types say which fields there are, which are required, and their values. They say no limits.
"""

import ast
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType, UnionType
from typing import Annotated, Any, Literal, Required, Union, cast, get_args, get_origin

import runwayml.resources
from runwayml._utils import PropertyInfo
from typing_extensions import get_type_hints, is_typeddict

Schema = dict[str, Any]

_START = re.compile(
    r'_post\(\s*"(?P<path>/v1/[^"]+)",\s*body=maybe_transform\(\s*\{[^}]*\},'
    r"\s*(?P<module>\w+)\.(?P<params>\w+)(?:(?!_post).)*?create_waitable_resource\((?P<response>\w+)",
    re.DOTALL,
)
_MEDIUM = re.compile(r"containing an encoded (image|video|audio)")
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, slots=True)
class Start:
    """An endpoint that starts a task.

    Attributes:
        path: Such as /v1/text_to_video.
        params: The type of what it takes: a TypedDict, or a union of them.
        reply: The fields of its answer.
        media: What media are in fields whose type is a plain text, by the fields' names.
    """

    path: str
    params: Any
    reply: list[str]
    media: Mapping[str, str]

    @property
    def schemas(self) -> Mapping[str | None, Schema]:
        """The schemas of what it takes, by model; the only one is named None where nobody chooses."""
        variants = [_schema(one, self.media) for one in _members(self.params)]
        named = {one["properties"].get("model", {}).get("const"): one for one in variants}
        return named if None not in named else {None: _one_of(variants)}


def starts(media: Mapping[str, str]) -> Iterator[Start]:
    """Yield the endpoints that start a task; `media` names the media in fields whose type is a plain text."""
    for found in pkgutil.walk_packages(runwayml.resources.__path__, "runwayml.resources."):
        module = import_module(found.name)
        for match in _START.finditer(inspect.getsource(module)):
            response = getattr(module, match["response"])
            params = getattr(getattr(module, match["module"]), match["params"])
            fields = response.model_fields.items()
            yield Start(match["path"], params, [field.alias or name for name, field in fields], media)


def _schema(kind: Any, media: Mapping[str, str], medium: str | None = None) -> Schema:  # noqa: PLR0911 - a kind of type, a return
    """Return a type as JSON Schema; `medium` is what its texts hold, if not words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str and medium:
        return {"$ref": f"#/$defs/{medium}"}
    if kind is object:
        return {}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if is_typeddict(kind):
        return _object(kind, media)
    if origin is Literal:
        return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
    if origin in {Union, UnionType}:
        return _one_of([_schema(one, media, medium) for one in arguments])
    if isinstance(origin, type) and issubclass(origin, Iterable) and len(arguments) == 1:
        return {"type": "array", "items": _schema(arguments[0], media, medium)}
    raise TypeError(f"The SDK has a type that is not known here: {kind}")


def _object(kind: Any, media: Mapping[str, str]) -> Schema:
    words = _docstrings(cast("ModuleType", inspect.getmodule(kind)))[kind.__name__]
    required: list[str] = []
    properties: dict[str, Schema] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        is_required = get_origin(hint) is Required
        inner = get_args(hint)[0] if is_required else hint
        alias = name
        if get_origin(inner) is Annotated:
            inner, *notes = get_args(inner)
            alias = next((note.alias for note in notes if isinstance(note, PropertyInfo) and note.alias), name)
        said = _MEDIUM.search(" ".join(words.get(name, "").split()))
        properties[alias] = _schema(inner, media, said[1] if said else media.get(alias))
        required += [alias] if is_required else []
    return {"type": "object", "required": required, "properties": properties}


def _members(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


def _one_of(schemas: list[Schema]) -> Schema:
    values = [value for one in schemas if one.keys() <= {"const", "enum"} for value in one.get("enum", [*one.values()])]
    others = [one for one in schemas if not one.keys() <= {"const", "enum"}]
    constants = [{"enum": values} if values[1:] else {"const": values[0]}] if values else []
    return {"anyOf": [*others, *constants]} if others[1:] or (others and constants) else [*others, *constants][0]


@cache
def _docstrings(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """Return what a module says of the fields of its classes."""
    found: dict[str, dict[str, str]] = {}
    for one in ast.parse(inspect.getsource(module)).body:
        if isinstance(one, ast.ClassDef):
            found[one.name] = fields = {}
            for field, after in zip(one.body, one.body[1:], strict=False):
                match field, after:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                        fields[name] = text
                    case _:
                        pass
    return found
