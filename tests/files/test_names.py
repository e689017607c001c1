"""Names of saved files: what people wrote, as far as every system takes it."""

import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.files.file_errors import UnusableNameError
from runway_mcp.files.names import MAX_NAME_BYTES, MAX_WORDS, check_name, given_stem, safe_stem, title
from runway_mcp.files.paths import InvalidPathError, parse_path
from runway_mcp.mcp_server.file_messages import explain


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("red kite", "red kite"),
        ("  red\tkite\r\nover  it ", "red kite over it"),
        ("Ein roter Drachen über Köln", "Ein roter Drachen über Köln"),
        (unicodedata.normalize("NFD", "über"), "über"),
        ("赤い凧 🪁", "赤い凧 🪁"),
        ('16:9 and/or "best" <b>?*|\\', "16-9 and-or best b"),
        ("The sea: calm / grey", "The sea calm grey"),
        ("..hidden..", "hidden"),
        ("~home", "home"),
        ("-rf kite", "rf kite"),
        ("a\u202egnp.exe\u200b\x00\ud800", "agnp.exe"),
        ("a\u2028b\u00a0c\u3000d", "a b c d"),
        ("CON", "_CON"),
        ("aux.old", "_aux.old"),
        ("Com¹", "_Com¹"),
        ("console", "console"),
        (" ./?", ""),
        ("", ""),
    ],
)
def test_a_text_becomes_a_name_that_every_system_takes(text: str, stem: str) -> None:
    assert safe_stem(text) == stem
    if stem:
        assert check_name(f"{stem}.mp4")


@pytest.mark.parametrize(
    "name", ["a b.", " a", ".a", "~a", "a/b", "a\\b", "a:b", 'a"', "a\0", "a\u202eb", "nul.png", "ä" * 200]
)
def test_a_name_that_some_system_takes_otherwise_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        check_name(name)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("red kite.mp4", "red kite"),
        ("red kite.PNG ", "red kite"),
        ("red kite.mp4.", "red kite"),
        ("red kite.mp4\u200b", "red kite"),
        ("clip.v2", "clip.v2"),
        ("nul.mp4", "_nul"),
        ("mp4", "mp4"),
    ],
)
def test_an_extension_that_is_given_is_not_doubled(name: str, stem: str) -> None:
    assert given_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("films/kite", "and the folder as directory"),
        ("C:\\kite", "and the folder as directory"),
        ("../kite", "and the folder as directory"),
        ("..", "Nothing of it can stand"),
        (".mp4", "Nothing of it can stand"),
        ("?*\u200b", "Nothing of it can stand"),
    ],
)
def test_a_name_that_can_be_none_is_refused(name: str, words: str) -> None:
    with pytest.raises(UnusableNameError) as caught:
        given_stem(name)
    assert words in explain(caught.value)
    assert "Nothing was saved." in explain(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red kite over the sea.", "A red kite over the sea"),
        ("word " * 30, "word word word word word word word word word word word word"),
        ("a, " * 40, ("a, " * 20).rstrip(", ")),
        ("凧" * 100, "凧" * MAX_WORDS),
        ("x " + "y" * 100, "x " + "y" * 58),
        ("y" * 59 + "e\u0323\u0302\u0301" + "z" * 9, "y" * 59),
        ("y" * 58 + "q\u0323\u0302\u0301" + "z" * 9, "y" * 58),
    ],
)
def test_a_prompt_is_shortened_at_a_word(text: str, words: str) -> None:
    assert title(text) == words


@given(st.text(max_size=300))
def test_whatever_is_written_the_name_can_be_used(text: str) -> None:
    """With a number and an extension it has room, and the tools take it as a path again."""
    for stem in (safe_stem(text), f"2026-11-25 {title(text)}".strip()):
        if not stem:
            continue
        name = check_name(f"{stem}-123456789.webm")
        assert len(name.encode()) <= MAX_NAME_BYTES
        assert name == unicodedata.normalize("NFC", name)
        for windows in (True, False):
            try:
                assert parse_path(name, windows=windows).name == name
            except InvalidPathError as error:
                pytest.fail(f"{error.problem} of {name!r}")
        assert not PureWindowsPath(name).drive
