"""Edits of JSON with comments: what is wanted changes, and nothing else."""

import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.cli.hosts.jsonc import parse, put, take_out

BLANKS = st.lists(
    st.sampled_from([" ", "\t", "\n", "\r\n", "\n    ", '// "it": {,\n', "// \u00a0\u2028\n", "/* , } */", "/*\n*/"])
).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False, width=16)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
OBJECTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=4)


def written(draw: st.DrawFn, value: object) -> str:
    """The value as somebody may have written it."""

    def blank() -> str:
        return draw(BLANKS)

    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        parts = [f"{blank()}{json.dumps(key)}{blank()}:{written(draw, inner)}" for key, inner in members]
    elif isinstance(value, list):
        parts = [written(draw, inner) for inner in cast("list[object]", value)]
    else:
        return f"{blank()}{json.dumps(value, ensure_ascii=draw(st.booleans()))}{blank()}"
    inside = f"{blank()},".join(parts) + (f"{blank()}," if parts and draw(st.booleans()) else "") + blank()
    return (
        f"{blank()}{'{' if isinstance(value, dict) else '['}{inside}{'}' if isinstance(value, dict) else ']'}{blank()}"
    )


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    value = draw(OBJECTS)
    return written(draw, value), cast("dict[str, object]", value)


def is_within(shorter: str, longer: str) -> bool:
    """Whether all characters of one text that are not blank are in another, in their order."""
    rest = iter(longer)
    return all(character in rest for character in "".join(shorter.split()))


@given(texts(), st.text(max_size=3), VALUES)
def test_a_member_is_put_in_or_replaced(text: tuple[str, dict[str, object]], key: str, value: object) -> None:
    before, values = text
    after = put(before, [key], value)
    assert parse(after) == {**values, key: value}
    assert put(after, [key], value) == after
    assert key in values or is_within(before, after)


@given(texts(), VALUES)
def test_what_was_put_in_can_be_taken_out(text: tuple[str, dict[str, object]], value: object) -> None:
    before, values = text
    after = take_out(put(before, ["new one"], value), ["new one"])
    assert parse(after) == values
    assert is_within(after, before)
    assert not values or after == before


@given(texts(), st.data())
def test_any_member_can_be_taken_out(text: tuple[str, dict[str, object]], data: st.DataObject) -> None:
    before, values = text
    key = data.draw(st.sampled_from([*values, "none"]))
    after = take_out(before, [key])
    assert parse(after) == {name: value for name, value in values.items() if name != key}
    assert is_within(after, before)


@given(texts(), VALUES, VALUES)
def test_paths_lead_through_objects_and_arrays(text: tuple[str, dict[str, object]], one: object, two: object) -> None:
    before, values = text
    after = put(put(before, ["new", "list", 0], one), ["new", "list", 1], two)
    assert parse(after) == {**values, "new": {"list": [one, two]}}
    assert parse(take_out(after, ["new", "list", 0])) == {**values, "new": {"list": [two]}}
    assert take_out(after, ["new", "none", 0]) == after


def test_what_is_put_in_follows_the_file_s_style() -> None:
    before = '{\n\t"a": 1, // one\n\t/* two */\n\t"b": {}\n}\n'
    assert put(before, ["b", "c"], {"d": [2]}) == (
        '{\n\t"a": 1, // one\n\t/* two */\n\t"b": {\n\t\t"c": {\n\t\t\t"d": [\n\t\t\t\t2\n\t\t\t]\n\t\t}\n\t}\n}\n'
    )
    assert put('{\r\n  "a": [], // one\r\n}', ["b"], 2) == '{\r\n  "a": [], // one\r\n  "b": 2,\r\n}'
    assert put('{\n  "a": 1 // one\n}', ["b"], 2) == '{\n  "a": 1, // one\n  "b": 2\n}'
    assert put('{"a": 1}', ["b"], {"c": 2}) == '{"a": 1, "b": {"c": 2}}'
    assert put('{"a": [1,]}', ["a", 1], "é") == '{"a": [1, "é",]}'
    assert put('{"a": null}', ["a", "b", 0], 1) == '{"a": {\n  "b": [\n    1\n  ]\n}}'
    assert put("{}", ["a", "b"], 1) == '{\n  "a": {\n    "b": 1\n  }\n}'


def test_what_is_taken_out_leaves_no_comment_open() -> None:
    assert take_out('{"a": 1, // one\n"b": 2}', ["b"]) == '{"a": 1 // one\n}'
    assert take_out('{// one\n"a": 1, "b": 2}', ["a"]) == '{// one\n"b": 2}'


def test_of_two_members_of_one_name_the_later_one_counts() -> None:
    twice = '{"a": 1, "a": 2}'
    assert put(twice, ["a"], 3) == '{"a": 1, "a": 3}'
    assert take_out(twice, ["a"]) == "{}"


def test_the_whole_value_can_be_replaced_but_not_taken_out() -> None:
    assert put("1 // one", [], 2) == "2 // one"
    assert take_out("1", []) == "1"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "line 1, column 1"),
        ("// x", "line 1, column 5"),
        ("{", "line 1, column 2"),
        ("{} {}", "line 1, column 4"),
        ('{\n "a" 1}', "line 2, column 6"),
        ('{"a": 1 "b": 2}', "line 1, column 9"),
        ("{1: 2}", "line 1, column 2"),
        ("{a: 2}", "line 1, column 2"),
        ("{,}", "line 1, column 2"),
        ("{\"a\": 'b'}", "line 1, column 7"),
        ('{"a": "b}', "line 1, column 7"),
        ("[1, /* 2]", "line 1, column 5"),
        ("[]]", "line 1, column 3"),
        ("[" * 100_000, "nested too deeply"),
    ],
    ids=range(14),
)
def test_a_text_that_is_no_json_is_refused(text: str, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        put(text, ["a"], 1)


@pytest.mark.parametrize(("text", "path"), [("[]", ["a"]), ('{"a": 1}', ["a", "b"]), ("{}", [0])])
def test_a_way_that_is_barred_is_refused(text: str, path: list[str | int]) -> None:
    with pytest.raises(ValueError, match=r"is no (object|array)"):
        put(text, path, 1)
