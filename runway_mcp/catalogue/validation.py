"""What a request to start a task may hold: the input, checked before anything is sent.

A request that is refused here has cost nothing. What is sent is the input as it came and the model's
name, nothing else; a likely meaning is suggested, never assumed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Self, cast

from pydantic import JsonValue

from runway_mcp.catalogue.field_rules import Lengths, broken_limits, broken_rules, doubts
from runway_mcp.catalogue.json_schema import Place, fits
from runway_mcp.catalogue.lookup import IMPOSSIBLE, Model, TaskType, find_type, same_spelling, task_types
from runway_mcp.catalogue.problems import describe, listed, path_of, shown
from runway_mcp.catalogue.suggestions import likely_choice
from runway_mcp.catalogue.understanding import is_nothing, understand

MAX_PROBLEMS = 5
MAX_BYTES = 900
"""Bytes of one error's problems together."""

MAX_NAMES = 600
"""Characters that a list of task types or models takes."""

MAX_DEPTH = 32
"""Levels of nesting of an input; the API takes six at most."""

MAX_VALUES = 1_000
MAX_TEXT = 32 * 1024**2
"""Characters of all texts together: two videos as data URIs."""

_MAX_NUMBER = 2**53 - 1  # beyond it JavaScript, and so the API, has no exact numbers
_SURROGATE = re.compile("[\ud800-\udfff]")


class InvalidRequestError(ValueError):
    """An input that the API would not take; nothing was sent.

    Attributes:
        problems: What is wrong, a sentence each, the first five at most.
    """

    def __init__(self, problems: list[str]) -> None:
        kept = problems[:MAX_PROBLEMS]
        while len("\n".join(kept).encode()) > MAX_BYTES:
            kept.pop()
        more = len(problems) - len(kept)
        self.problems = tuple(kept)
        rest = [f"Problems not shown: {more}."] if more else []
        super().__init__("\n".join(["Nothing was sent to Runway.", *kept, *rest]))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be sent: the task type's name, and what goes to which path.

    The model, given or recommended, is None where the task type lets nobody choose. `understood` has a sentence for
    each thing that is sent otherwise than it was written. `lengths` has the seconds of the media that were measured,
    by their URIs in the body: they make a price exact, and are not sent. `has_unknown` tells of fields or values that
    the catalogue does not know.
    """

    type: str
    endpoint: str
    model: str | None
    body: dict[str, JsonValue]
    understood: tuple[str, ...] = ()
    lengths: Lengths = field(default_factory=dict[str, Decimal], compare=False)
    has_unknown: bool = False

    def with_lengths(self, lengths: Lengths) -> Self:
        """Return the same request with the measured seconds of media, by their URIs.

        Raises:
            InvalidRequestError: The model takes no medium that is so long or short.
        """
        if broken := list(broken_limits(self.type, self.model, self.body, lengths)):
            raise InvalidRequestError(broken)
        return replace(self, lengths=lengths)


def prepare(
    type: str,  # noqa: A002 - the tool's own name
    input: JsonValue,  # noqa: A002 - as above
    *,
    allow_unknown: bool = False,
    stand_in: Callable[[str], str | None] | None = None,
) -> Prepared:
    """Return the request that starts a task.

    Args:
        type: A task type's name.
        input: The request's body; `model` may be left out where one is recommended.
        allow_unknown: Whether fields and models may be sent that the catalogue does not know, for the API may be
            newer. What it knows is checked all the same; an unknown model's input is not.
        stand_in: Returns the URI that stands in for a medium which a text names otherwise.

    Raises:
        InvalidRequestError: The catalogue has no such task type, or it does not allow the input.
    """
    kind = find_type(type)
    if kind is None:
        labels = [one.label for one in task_types().values()]
        raise InvalidRequestError([f"{_not_one_of('type', type, list(task_types()), labels)} {IMPOSSIBLE}"])
    copy = _Copy()
    body = copy.of(input)
    if not isinstance(body, dict):
        raise InvalidRequestError([f"input: {shown(body)} is not allowed; it must be an object."])
    body, understood = _with_model_named(body)
    if isinstance(model_name := body.get("model"), str):
        body = {**body, "model": model_name.strip()}
    model = _model(kind, body, allow_unknown=allow_unknown)
    if model is None:
        name = str(body["model"])
    else:
        name = model.name
        if name is not None:
            body = {"model": name, **body}
        read, notes = understand(body, model.schema, allow_unknown=allow_unknown, stand_in=stand_in)
        body, understood = cast("dict[str, JsonValue]", read), [*understood, *notes]
        others = {str(one.name): one.schema for one in kind.models.values() if one.documented and one is not model}
        if problems := list(describe(body, model.schema, allow_unknown=allow_unknown, others=others)):
            raise InvalidRequestError(problems)
        if broken := list(broken_rules(kind.name, name, body, allow_unknown=allow_unknown)):
            raise InvalidRequestError(broken)
        understood += doubts(body, model.schema)
    if kind.name != type.strip():
        understood = [f"Took type {kind.name} from {shown(type)}.", *understood]
    return Prepared(
        type=kind.name,
        endpoint=kind.endpoint,
        model=name,
        body=body,
        understood=(*copy.replaced, *understood),
        has_unknown=model is None or (allow_unknown and not fits(body, model.schema)),
    )


def _with_model_named(body: dict[str, JsonValue]) -> tuple[dict[str, JsonValue], list[str]]:
    names = [name for name in body if same_spelling(name, "model")]
    if names[1:]:
        return body, []
    left_out = {name for name in names if is_nothing(body[name])}
    made = {"model" if name in names else name: value for name, value in body.items() if name not in left_out}
    return made, [f"Took {path_of((name,))} as model." for name in names if name != "model" and not left_out]


def _model(kind: TaskType, body: Mapping[str, JsonValue], *, allow_unknown: bool) -> Model | None:
    # None stands for a model that is not known but allowed
    if None in kind.models:
        return kind.models[None]
    names = [name for name in kind.models if name is not None]
    given = body.get("model", kind.recommended)
    if given is None and "model" not in body:
        raise InvalidRequestError([f"model is missing; it must be one of {listed(kind.labels)}."])
    if not isinstance(given, str) or (given not in kind.models and not allow_unknown):
        raise InvalidRequestError([_not_one_of("model", given, names, kind.labels, f"is no model of {kind.name}")])
    return kind.models.get(given)


def _not_one_of(field: str, given: JsonValue, names: list[str], labels: list[str], wrong: str = "is not known") -> str:
    likely = likely_choice(given, names) if isinstance(given, str) else None
    hint = f"; did you mean {likely}?" if likely else "."
    return f"{field}: {shown(given)} {wrong}; it must be one of {listed(labels, room=MAX_NAMES)}{hint}"


class _Copy:
    """A copy of a JSON value, made only of what JSON can say, and of a decent size."""

    def __init__(self) -> None:
        self._values = 0
        self._characters = 0
        self.replaced: dict[str, None] = {}

    def of(self, value: JsonValue, *place: str | int) -> JsonValue:
        self._values += 1
        if len(place) > MAX_DEPTH or self._values > MAX_VALUES:
            raise InvalidRequestError([f"input is nested over {MAX_DEPTH} deep or holds over {MAX_VALUES} values."])
        match value:
            case str():
                return self._text(value, place)
            case list():
                return [self.of(item, *place, index) for index, item in enumerate(value)]
            case dict():
                return {self._text(name, place): self.of(item, *place, name) for name, item in value.items()}
            case float() | int() if not abs(value) <= _MAX_NUMBER:
                raise InvalidRequestError([f"{path_of(place)} is a number that JSON or the API can't hold."])
            case _:
                return value

    def _text(self, text: str, place: Place) -> str:
        if not text.isascii() and _SURROGATE.search(text):
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            self.replaced[f"Replaced half a character in {path_of(place)}."] = None
        self._characters += len(text)
        if self._characters > MAX_TEXT:
            raise InvalidRequestError([f"input holds over {MAX_TEXT // 1024**2} MiB of text."])
        return text
