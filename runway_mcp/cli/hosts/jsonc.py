"""Edits of JSON with comments that leave every other character as it is.

Of the libraries none does this: they lose comments, need Node.js, or are no longer maintained.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)|"""
    r"""(?P<value>"(?:[^"\\\r\n]|\\.)*"|[^\s{}\[\]:,"/]+)|(?P<mark>[{}\[\]:,])""",
    re.DOTALL,
)
_COMMENTS_OF_LINE = re.compile(r"(?:[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/))*")

_BLANKS = " \t\r\n"

Path = Sequence[str | int]
"""Keys of objects and indices of arrays, from the outermost value inwards."""


@dataclass(slots=True)
class _Node:
    start: int
    end: int = 0
    value: object = None
    children: "list[_Child]" = field(default_factory=list["_Child"])


@dataclass(slots=True)
class _Child:
    """A member of an object or an item of an array; `comma` is where the comma after it is."""

    key: str | int
    start: int
    node: _Node
    comma: int | None = None


def parse(text: str) -> object:
    """Return the value of a text, which may hold comments and trailing commas.

    Raises:
        ValueError: It is not such a text; the message says where.
    """
    return _Reader(text).root().value


def is_blank(text: str) -> bool:
    """Return whether a text holds nothing but comments.

    Raises:
        ValueError: It holds what is no JSON.
    """
    return not _Reader(text).peek()


def put(text: str, path: Path, value: object) -> str:
    """Return `text` with `value` at `path`; objects on the way there are made, and an index may be one too high.

    Raises:
        ValueError: The text is no JSON, or a value on the way there is no object or array.
    """
    node = _Reader(text).root()
    for depth, key in enumerate(path):
        if node.value is None and depth:
            value = _nested(path[depth:], value)
            break
        if not isinstance(node.value, list if isinstance(key, int) else dict):
            raise ValueError(f"{_name(path[:depth])} is no {'array' if isinstance(key, int) else 'object'}")
        child = _find(node, key)
        if child is None:
            return _insert(text, node, key, _nested(path[depth + 1 :], value))
        node = child.node
    if node.value == value:
        return text
    return text[: node.start] + _dump(text, value, _indentation(text, node.start)) + text[node.end :]


def take_out(text: str, path: Path) -> str:
    """Return `text` without what is at `path`, where there is something.

    Raises:
        ValueError: The text is no JSON.
    """
    while True:
        node, child = _Reader(text).root(), None
        parent = node
        for key in path:
            if (child := _find(node, key)) is None:
                return text
            parent, node = node, child.node
        if child is None:
            return text
        text = _remove(text, parent, child)
        if isinstance(child.key, int):
            return text


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def root(self) -> _Node:
        try:
            node = self._node()
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if self.peek():
            raise self._error()
        return node

    def _error(self) -> ValueError:
        before = self._text[: self._at]
        return ValueError(
            f"line {before.count(chr(10)) + 1}, column {self._at - before.rfind(chr(10))} is not valid JSON"
        )

    def peek(self) -> str:
        """Skip what is blank; return the next mark, `v` before another value, or nothing at the end."""
        while found := _TOKEN.match(self._text, self._at):
            if found.lastgroup != "blank":
                return found["mark"] or "v"
            self._at = found.end()
        if self._at < len(self._text):
            raise self._error()
        return ""

    def _take(self, mark: str) -> int:
        if self.peek() != mark:
            raise self._error()
        self._at += 1
        return self._at - 1

    def _scalar(self) -> _Node:
        found = _TOKEN.match(self._text, self._at) if self.peek() == "v" else None
        try:
            node = _Node(self._at, found.end() if found else 0, json.loads(found["value"] if found else ""))
        except ValueError:
            raise self._error() from None
        self._at = node.end
        return node

    def _node(self) -> _Node:
        opened = self.peek()
        if opened not in {"{", "["}:
            return self._scalar()
        node, closing = _Node(self._take(opened)), "}" if opened == "{" else "]"
        while self.peek() != closing:
            if node.children and node.children[-1].comma is None:
                raise self._error()
            node.children.append(self._child(len(node.children), is_member=opened == "{"))
            if self.peek() == ",":
                node.children[-1].comma = self._take(",")
        self._take(closing)
        node.end = self._at
        values = [(child.key, child.node.value) for child in node.children]
        node.value = dict(values) if opened == "{" else [value for _, value in values]
        return node

    def _child(self, index: int, *, is_member: bool) -> _Child:
        self.peek()
        start, key = self._at, index
        if is_member:
            key = self._scalar().value
            if not isinstance(key, str):
                self._at = start
                raise self._error()
            self._take(":")
        return _Child(key, start, self._node())


def _nested(path: Path, value: object) -> object:
    for key in reversed(path):
        value = {key: value} if isinstance(key, str) else [value]
    return value


def _find(node: _Node, key: str | int) -> _Child | None:
    # of two members of one name the later one counts
    return next((child for child in reversed(node.children) if child.key == key), None)


def _name(path: Path) -> str:
    return ".".join(map(str, path)) or "the file's value"


def _insert(text: str, node: _Node, key: str | int, value: object) -> str:
    newline = "\r\n" if "\r\n" in text else "\n"
    name = "" if isinstance(key, int) else f"{json.dumps(key, ensure_ascii=False)}: "
    if not node.children:
        outer = _indentation(text, node.start)
        inner = outer + _unit(text)
        # a comment that stands alone in an object stays before what is put in
        kept = text[node.start + 1 : node.end - 1].rstrip(_BLANKS)
        made = f"{kept}{newline}{inner}{name}{_dump(text, value, inner)}{newline}{outer}"
        return text[: node.start + 1] + made + text[node.end - 1 :]
    first, last = node.children[0], node.children[-1]
    has_lines = "\n" in text[node.start : last.start]
    inner = _indentation(text, first.start) if has_lines else ""
    child = name + (_dump(text, value, inner) if has_lines else json.dumps(value, ensure_ascii=False))
    comma = last.node.end if last.comma is None else last.comma
    at = comma if last.comma is None else comma + 1
    rest = text[at:]
    if not has_lines:
        return f"{text[:at]}, {child}{rest}" if last.comma is None else f"{text[:at]} {child},{rest}"
    found = _COMMENTS_OF_LINE.match(rest)
    comments = found[0] if found else ""
    after = "" if last.comma is None else ","
    return (
        f"{text[:at]}{',' if last.comma is None else ''}{comments}{newline}{inner}{child}{after}{rest[len(comments) :]}"
    )


def _remove(text: str, parent: _Node, child: _Child) -> str:
    index = parent.children.index(child)
    cuts: list[tuple[int, int]] = []
    end = child.node.end
    if child.comma is not None and not text[end : child.comma].strip(_BLANKS):
        end = child.comma + 1
    elif child.comma is not None:
        cuts.append((child.comma, child.comma + 1))
    elif index and (comma := parent.children[index - 1].comma) is not None:
        cuts.append((comma, comma + 1))
    start = child.start
    if len(parent.children) == 1 and not (text[parent.start + 1 : start] + text[end : parent.end - 1]).strip(_BLANKS):
        return text[: parent.start + 1] + text[parent.end - 1 :]
    blank = len(text[:start].rstrip(_BLANKS))
    gap = text[parent.children[index - 1].node.end if index else parent.start : blank]
    before = "".join([found[0] for found in _TOKEN.finditer(gap)][-1:])
    # a line's end is kept where something follows: a comment before would swallow it
    if re.match(r"[ \t]*[\r\n]", text[end:]) or (child is parent.children[-1] and not before.startswith("//")):
        start = blank
    elif child is not parent.children[-1]:
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    pieces = [0, *(at for cut in sorted([*cuts, (start, end)]) for at in cut), len(text)]
    return "".join(text[one:another] for one, another in list(pairwise(pieces))[::2])


def _indentation(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    return found[1] if found else "  "


def _dump(text: str, value: object, indentation: str) -> str:
    lines = json.dumps(value, indent=_unit(text), ensure_ascii=False).split("\n")
    return ("\r\n" if "\r\n" in text else "\n").join([lines[0], *(indentation + line for line in lines[1:])])
