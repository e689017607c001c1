"""Texts that name a place in a folder, and those that could mean anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.files.paths import InvalidPathError, parse_path

LONG = "a" * 5000


@pytest.mark.parametrize(
    ("text", "windows", "expected"),
    [
        ("a.png", False, "a.png"),
        ("sub/./a b.png", False, "sub/a b.png"),
        ("/srv/in/Bild ä.png", False, "/srv/in/Bild ä.png"),
        ("Screenshot 3.04\u202fPM.png", False, "Screenshot 3.04\u202fPM.png"),
        ("file:///srv/Bild%20%C3%A4%23.png", False, "/srv/Bild ä#.png"),
        ("FILE://localhost/srv/a.png", False, "/srv/a.png"),
        (r"C:\Users\me\a.png", True, "C:/Users/me/a.png"),
        (r"sub\a.png", True, "sub/a.png"),
        ("file:///C:/Users/me/a%20b.png", True, "C:/Users/me/a b.png"),
        ("file:///c%3A/Users/me", True, "c:/Users/me"),
        ("con-artist.png", True, "con-artist.png"),
    ],
)
def test_a_path_or_a_file_uri_names_a_place(text: str, windows: bool, expected: str) -> None:
    """As people and hosts write them, with spaces, umlauts and drives."""
    assert parse_path(text, windows=windows).as_posix() == expected


@pytest.mark.parametrize("windows", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "",
        LONG,
        "a\0.png",
        "a\nb.png",
        "\ud800.png",
        "~/a.png",
        "~root/a.png",
        "../a.png",
        "sub/../../a.png",
        "file://server/share/a.png",
        "file:a.png",
        "https://a.example/a.png",
        "data:image/png;base64,aaaa",
        "a/" * 40,
        "file:///a.png?x=1",
        "file:///a.png#x",
        "file:///C:/%2e%2e/a.png",
        "file:///C:/a%00.png",
        "file:///C:/%ff.png",
        r"\\server\share\a.png",
        r"\\?\C:\a.png",
        r"\\.\PhysicalDrive0",
    ],
)
def test_what_could_lead_elsewhere_is_no_path(text: str, windows: bool) -> None:
    """Another machine, a device, a parent, a home folder, what no file system can hold."""
    with pytest.raises(InvalidPathError):
        parse_path(text, windows=windows)


@pytest.mark.parametrize(
    "text",
    [
        "C:a.png",
        r"\a.png",
        "/etc/passwd",
        "//server/share/a.png",
        "file:////server/share/a.png",
        "NUL",
        "sub/con.png",
        "com1 .txt",
        "LPT³.png",
        "CONIN$",
        "a.png:stream",
        "a.png.",
        "a.png ",
        "a*.png",
    ],
)
def test_windows_own_names_are_no_path_there(text: str) -> None:
    """Drives without a folder, shares, devices with any extension, streams, names that it would cut."""
    with pytest.raises(InvalidPathError, match=r"drive|device|reserved_name"):
        parse_path(text, windows=True)


def test_a_path_of_windows_is_told_as_such_elsewhere() -> None:
    """It would be made as one oddly named entry."""
    with pytest.raises(InvalidPathError, match="windows"):
        parse_path(r"C:\Users\me", windows=False)


@given(
    st.text(max_size=40) | st.from_regex(r"(file:/*)?([A-Za-z]:)?([/\\.~a%:]|\.\.|%2e|%2f|NUL){0,12}"), st.booleans()
)
def test_any_text_is_a_harmless_path_or_a_value_error(text: str, windows: bool) -> None:
    """Nothing else is raised, and no parent, NUL or other machine comes through."""
    try:
        path = parse_path(text, windows=windows)
    except ValueError:
        return
    assert ".." not in path.parts
    assert "\0" not in str(path)
    assert not path.drive.startswith("\\")
