"""Takes the arguments of every tool call as they were meant.

Models and hosts send null for what was left out, write ids, numbers and lists in many forms, and invent names. What
can mean one thing only is taken, and the note says so. A misspelt name is refused with the right one, and so is every
other unknown name where the tool changes anything: nothing is dropped in silence.
"""

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from mcp_types import Tool
from pydantic import JsonValue

from runway_mcp.api.errors import quote
from runway_mcp.api.models import InvalidTaskIdError, parse_task_id
from runway_mcp.catalogue.lookup import input_fields, same_spelling
from runway_mcp.catalogue.problems import shown
from runway_mcp.catalogue.suggestions import likely_name
from runway_mcp.catalogue.understanding import NOTHING, understand
from runway_mcp.mcp_server.message_reader import TOO_MANY_VALUES, has_too_many_values
from runway_mcp.mcp_server.messages import NOTHING_SENT

Values = Mapping[str, JsonValue]

GATEWAYS_ADD = frozenset({"toolCallId", "sessionId", "action", "chatInput"})
"""Arguments that gateways such as n8n add to every call of every tool."""
MAX_SHOWN = 60
"""Characters of a name or value that a sentence shows."""
MAX_TEXT = 10_000
"""Characters of a text that is read as a list, a number or an id."""

_LABEL = re.compile(r"(?:runway\s*)?(?:task|id)(?:[\s_-]*id)?\s*[:=#]?\s*", re.IGNORECASE)
_WRAPPING = " \t\r\n\"'`<>()[]{},;.*_\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\
\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}\
\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}"
_UUID_LIKE = re.compile(r"[0-9a-f]{8}(?:\W?[0-9a-f]{4}){3}\W?[0-9a-f]{12}", re.IGNORECASE)
_BARE_UUID = re.compile(r"([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})", re.IGNORECASE)


class ArgumentsError(Exception):
    """Arguments that are refused; the message goes to the model."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The arguments as the tool gets them, and what was understood differently from what was written."""

    arguments: dict[str, JsonValue]
    notes: tuple[str, ...] = ()


class Arguments:
    """What each of a server's tools takes."""

    def __init__(self, list_tools: Callable[[], Awaitable[list[Tool]]]) -> None:
        self._list_tools = list_tools
        self._tools: dict[str, Tool] = {}

    async def tools(self) -> list[str]:
        """Return the tools' names."""
        return list(await self._all())

    async def schema(self, name: str) -> Mapping[str, Any]:
        """Return the input schema of a tool that the server has."""
        return (await self._all())[name].input_schema

    async def take(self, name: str, given: Values) -> Taken:
        """Return a call's arguments as they were meant; those of an unknown tool as they are.

        Raises:
            ArgumentsError: The call has an argument that is not understood.
        """
        tool = (await self._all()).get(name)
        return Taken(dict(given)) if tool is None else _Call(tool, given).taken()

    async def _all(self) -> dict[str, Tool]:
        if not self._tools:
            self._tools = {tool.name: tool for tool in await self._list_tools()}
        return self._tools


class _Call:
    """One call's arguments on their way from what was written to what was meant."""

    def __init__(self, tool: Tool, given: Values) -> None:
        self._name = tool.name
        self._schemas = cast("dict[str, dict[str, Any]]", tool.input_schema.get("properties", {}))
        self._required = cast("list[str]", tool.input_schema.get("required", []))
        self._only_reads = tool.annotations is not None and tool.annotations.read_only_hint is True
        self._given = {
            name: value for name, value in given.items() if name in self._schemas or name not in GATEWAYS_ADD
        }
        self._notes: list[str] = []

    def taken(self) -> Taken:
        known: dict[str, JsonValue] = {}
        unknown: dict[str, JsonValue] = {}
        for name, value in self._given.items():
            if name not in self._schemas:
                unknown |= {} if value is None else {name: value}
            elif value is not None and (name in self._required or not _is_empty(value, self._schemas[name])):
                known[name] = value
        if isinstance(text := known.get("taskId"), str) and text.lstrip().startswith("["):
            known["taskId"] = _parsed(text)
        if "taskIds" in self._schemas and isinstance(known.get("taskId"), list) and "taskIds" not in known:
            known["taskIds"] = known.pop("taskId")
        taken = {name: self._meant(name, value) for name, value in known.items()}
        if "input" in self._schemas:
            self._read_json(taken)
            unknown = self._into_input(taken, unknown)
        self._refuse(unknown)
        return Taken(taken, tuple(self._notes))

    def _meant(self, name: str, value: JsonValue) -> JsonValue:
        schema = self._schemas[name]
        match schema.get("type"):
            case "string" if name in {"taskId", "id"}:
                return self._task_id(name, value)
            case "string" if name == "clientToken" and isinstance(value, str):
                return unicodedata.normalize("NFC", value.strip())  # it must not buy twice for how it is written
            case "array":
                return [self._task_id(name, item) for item in _listed(value)]
            case "object":
                if isinstance(value, str) and isinstance(meant := _parsed(value), dict):
                    self._notes.append(f"Took {name} from its JSON text.")
                    value = meant
                return _without_empty(value, schema)
            case _:
                meant, notes = understand(value, schema, allow_unknown=False, place=(name,))
                self._notes += notes
                return meant

    def _task_id(self, name: str, value: JsonValue) -> JsonValue:
        if isinstance(value, list):
            if len(value) != 1:
                raise ArgumentsError(f"{self._name} takes one {name}, not a list of {len(value)}. {NOTHING_SENT}")
            value = value[0]
        if not isinstance(value, str):
            return value
        meant = likely_task_id(value)
        if meant != value.strip():
            self._notes.append(f"Took the task id {meant} from {shown(value)}.")
        return meant

    def _read_json(self, taken: dict[str, JsonValue]) -> None:
        """Take the fields of an input that are given as JSON text, as strict hosts have to."""
        match taken.get("input"):
            case {"json": str(text), **rest}:
                fields = _parsed(text)
                if not isinstance(fields, dict):
                    raise ArgumentsError(f"input.json must be the text of a JSON object. {NOTHING_SENT}")
                taken["input"] = _merged(rest, fields, "in json")
            case _:
                pass

    def _into_input(self, taken: dict[str, JsonValue], unknown: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Take fields of the input that are written beside it; return what is none."""
        fields, within = input_fields(str(taken.get("type"))), taken.get("input", {})
        if isinstance(within, dict):
            self._refuse_own_names(within, fields or ())
        if "type" not in taken or not isinstance(within, dict):
            return unknown
        beside = {
            name: value
            for name, value in unknown.items()
            # where the type itself is wrong, its error is the one to tell
            if (likely_name(name, self._schemas) is None if fields is None else name in fields)
        }
        if beside:
            taken["input"] = _merged(within, beside, "beside input")
            self._notes.append(f"Took {', '.join(quote_name(name) for name in beside)} into input.")
        for name in unknown.keys() - beside.keys():
            likely = likely_name(name, [*self._schemas, *(fields or ())])
            if likely is not None and likely not in self._schemas:
                raise ArgumentsError(
                    f"{quote_name(name)} is no argument of {self._name}; did you mean {likely}, in input? "
                    f"{NOTHING_SENT}"
                )
        return {name: value for name, value in unknown.items() if name not in beside}

    def _refuse_own_names(self, within: Values, fields: Sequence[str]) -> None:
        for name, own in ((name, own) for name in within for own in self._schemas):
            if same_spelling(name, own) and name not in fields:
                raise ArgumentsError(
                    f"{quote_name(name)} stands in input; {own} is an argument of {self._name}, beside input. "
                    f"{NOTHING_SENT}"
                )

    def _refuse(self, unknown: Values) -> None:
        names = list(unknown)
        likely = {name: found for name in names if (found := likely_name(name, self._schemas))}
        if not names or (self._only_reads and not likely):
            if names:
                ignored = ", ".join(map(quote_name, names[:5]))
                self._notes.append(f"Ignored {ignored}: {self._name} takes {self._takes()}.")
            return
        problems = [
            f"{quote_name(name)} is no argument of {self._name}; "
            + (f"did you mean {likely[name]}?" if name in likely else f"it takes {self._takes()}.")
            for name in names[:5]
        ]
        raise ArgumentsError(f"{' '.join(problems)} {NOTHING_SENT}")

    def _takes(self) -> str:
        return ", ".join(self._schemas) or "no arguments"


def likely_task_id(text: str) -> str:
    """Return the task id that a text can only mean, or the text as it is.

    The id may stand in quotes or brackets, after a label, with other hyphens or none, or at the end of a URL.
    """
    if len(text) > MAX_TEXT:
        return text
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", text) if unicodedata.category(sign) != "Cf")
    bare = "".join("-" if unicodedata.category(sign) == "Pd" else sign for sign in visible).strip(_WRAPPING)
    bare = _LABEL.sub("", bare, count=1).strip(_WRAPPING) if _LABEL.match(bare) else bare
    if len(_UUID_LIKE.findall(visible)) > 1:
        return text
    if "/" in bare or ":" in bare:
        bare = re.split(r"[/:]", re.split(r"[?#]", bare)[0].rstrip("/"))[-1]
    if parts := _BARE_UUID.fullmatch(bare):
        bare = "-".join(parts.groups())
    with suppress(InvalidTaskIdError):
        found = parse_task_id(bare)
        return text if text.lower() == found else found
    return text


def quote_name(name: str) -> str:
    """Return a name that a caller has made up, harmless and short."""
    return name if re.fullmatch(r"\w{1,40}", name, re.ASCII) else quote(name, MAX_SHOWN)


def _merged(given: Values, more: Values, where: str) -> dict[str, JsonValue]:
    for name, value in more.items():
        if name in given and given[name] != value:
            raise ArgumentsError(
                f"{quote_name(name)} is {shown(value)} {where} and {shown(given[name])} in input: give it once. "
                f"{NOTHING_SENT}"
            )
    return {**more, **given}


def _without_empty(value: JsonValue, schema: Mapping[str, Any]) -> JsonValue:
    """Leave out the empty ones of the fields that a schema names: strict hosts fill them all in."""
    if not isinstance(value, dict):
        return value
    named = schema.get("properties", {})
    return {name: part for name, part in value.items() if name not in named or not _is_empty(part, named[name])}


def _is_empty(value: JsonValue, schema: Mapping[str, Any]) -> bool:
    is_meant = schema.get("minimum") == 0  # 0 is one of the values that it may have
    if isinstance(value, str):
        is_number = schema.get("type") in {"number", "integer"}
        return value.strip() in NOTHING or (is_number and not is_meant and value.strip() == "0")
    return not isinstance(value, bool) and (value is None or value in ([], {}) or (value == 0 and not is_meant))


def _parsed(text: str) -> JsonValue:
    if has_too_many_values(text.encode(errors="replace")):
        raise ArgumentsError(TOO_MANY_VALUES)
    try:
        return cast("JsonValue", json.loads(text, object_pairs_hook=_without_doubles))
    except (ValueError, RecursionError):
        return text


def _without_doubles(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        doubled = next(name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1)
        raise ArgumentsError(f"{quote_name(doubled)} stands twice in an object: give it once. {NOTHING_SENT}")
    return fields


def _listed(value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return value if isinstance(value, list) else [value]
    parsed = _parsed(value)
    if isinstance(parsed, list):
        return parsed
    return list[JsonValue](part for part in re.split(r"[,;\s]+", value.strip(" []")) if part)
