"""The hosts' files: what is wanted changes, all else stays, and a file is never half written."""

import stat
import sys
from pathlib import Path

import pytest

from runway_mcp.cli.hosts.config_files import (
    ABSENT,
    Change,
    ConfigFileError,
    edit_text,
    parse_file,
    read_file,
    replace_file,
)

JSON, TOML, YAML = Path("a.json"), Path("a.toml"), Path("a.yaml")
SERVER = {"command": "/bin/run", "args": ["--x"]}
PUT: Change = (("servers", "ours"), SERVER)

TEXTS = {
    JSON: '{\n    // mine\n    "servers": {\n        "theirs": {"command": "a"}, /* b */\n    }\n}\n',
    TOML: "# mine\nmodel = \"o\"   # why\n\n[servers.theirs]\ncommand = 'a'\n",
    YAML: "# mine\nmodel: 'o'   # why\nservers:\n  theirs:\n    command: a\n    args:\n    - b\n",
}


@pytest.mark.parametrize("path", TEXTS, ids=str)
@pytest.mark.parametrize("form", ["\n", "\r\n", "\ufeff"], ids=["lf", "crlf", "bom"])
def test_a_server_goes_in_and_out_and_nothing_else_changes(path: Path, form: str) -> None:
    before = TEXTS[path].replace("\n", form) if form != "\ufeff" else form + TEXTS[path]
    after = edit_text(path, before, [PUT])
    assert parse_file(path, after)["servers"]["ours"] == SERVER
    assert set(before.split()) <= set(after.split())
    assert ("\n" in after.replace("\r\n", "")) == (form != "\r\n")
    assert edit_text(path, after, [PUT]) == after
    assert edit_text(path, after, [(("servers", "ours"), ABSENT)]).rstrip() == before.rstrip()
    assert edit_text(path, before, [(("servers", "none"), ABSENT), (("none", "x"), ABSENT)]) == before


@pytest.mark.parametrize(
    "before",
    [
        "servers.theirs.command = 'a'\nmodel = 'o'\n",
        "servers = { theirs = { command = 'a' } }\nmodel = 'o'\n",
        "[servers.theirs]\ncommand = 'a'\n\n# about the rest\n[rest]\nmodel = 'o'\n",
    ],
    ids=["dotted", "inline", "table"],
)
def test_a_table_takes_no_setting_in_that_follows(before: str) -> None:
    change: Change = (("servers", "ours"), {**SERVER, "env": {"KEY": "x"}})
    after = edit_text(TOML, before, [change])
    said = parse_file(TOML, before)
    assert parse_file(TOML, after) == {**said, "servers": {**said["servers"], "ours": change[1]}}
    assert edit_text(TOML, after, [change]) == after
    assert edit_text(TOML, after, [(change[0], ABSENT)]).rstrip() == before.rstrip()


def test_an_inline_table_gets_an_inline_one() -> None:
    before = "servers.ours = { command = 'a' }\nmodel = 'o'\n"
    after = edit_text(TOML, before, [(("servers", "ours", "env", "KEY"), "x")])
    assert parse_file(TOML, after)["servers"] == {"ours": {"command": "a", "env": {"KEY": "x"}}}


def test_an_edit_that_would_change_other_settings_is_refused() -> None:
    before = "servers.ours.command = 'a'\nmodel = 'o'\n"
    with pytest.raises(ConfigFileError, match="other settings would change"):
        edit_text(TOML, before, [(("servers", "ours", "env", "KEY"), "x"), (("servers", "ours", "command"), "b")])


@pytest.mark.parametrize(("path", "comment"), [(JSON, "// mine"), (TOML, "# mine"), (YAML, "# mine")])
def test_comments_alone_stay(path: Path, comment: str) -> None:
    after = edit_text(path, comment, [PUT])
    assert after.startswith(f"{comment}\n")
    assert parse_file(path, after) == {"servers": {"ours": SERVER}}
    assert parse_file(path, comment) == {}


@pytest.mark.parametrize("path", TEXTS, ids=str)
@pytest.mark.parametrize("before", [None, "", "\n"])
def test_an_empty_file_is_made(path: Path, before: str | None) -> None:
    assert parse_file(path, edit_text(path, before, [PUT])) == {"servers": {"ours": SERVER}}


@pytest.mark.parametrize("text", ['{"servers": null}', "servers:\n", "servers: ~ # mine\n"])
def test_a_place_left_empty_is_filled(text: str) -> None:
    path = JSON if text.startswith("{") else YAML
    after = edit_text(path, text, [PUT, (("servers", "none"), ABSENT)])
    assert parse_file(path, after) == {"servers": {"ours": SERVER}}


@pytest.mark.parametrize(
    "text",
    [
        "a:\n- b\n- c: 1\n  d:\n  - e\n",
        "a:\n  - b\n  - c: 1\n    d:\n      - e\n",
        "a:\n    x:\n        - b\n",
        "a: \"quoted\"\nb: 'x'   # why\n\n# end\nc: |\n  one\n  two\n",
        f"a: {'long ' * 60}end\n",
    ],
)
def test_yaml_keeps_its_indentation(text: str) -> None:
    assert edit_text(YAML, text, [PUT]).startswith(text)


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_one_field_changes(path: Path) -> None:
    after = edit_text(
        path, TEXTS[path], [(("servers", "theirs", "command"), "c"), (("servers", "theirs", "e", "f"), 1)]
    )
    theirs = parse_file(path, after)["servers"]["theirs"]
    assert (theirs["command"], theirs["e"]) == ("c", {"f": 1})


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        (JSON, "{\n'a': 1}", "line 2, column 1 is not valid JSON"),
        (JSON, "[]", "it holds no object"),
        (TOML, "a =", "Invalid value"),
        (YAML, "a: [", "line 1, column 5 is not valid YAML"),
        (YAML, "a: key_1\na: key_2", "line 2, column 1 is not valid YAML"),
        (YAML, "a: \x00", "it is not valid YAML"),
        (YAML, "- a", "it holds no object"),
        (JSON, '{"servers": 1}', "servers is no object"),
        (TOML, "servers = 1", "servers is no object"),
        (YAML, "servers: 1", "servers is no object"),
    ],
)
def test_a_file_of_another_form_is_left_alone(path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigFileError) as caught:
        edit_text(path, text, [PUT])
    assert caught.value.path == path
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
    assert "key_" not in caught.value.reason


def test_a_file_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    assert read_file(file) is None
    file.write_text("{}", encoding="utf-16")
    with pytest.raises(ConfigFileError, match="it is not UTF-8 text"):
        read_file(file)
    with pytest.raises(ConfigFileError, match="it is no ordinary file"):
        read_file(tmp_path)


def test_what_was_there_is_kept_beside(tmp_path: Path) -> None:
    file = tmp_path / "new" / "mcp.json"
    assert replace_file(file, "1") is None
    assert replace_file(file, "2") == tmp_path / "new" / "mcp.json.bak"
    assert sorted(path.name for path in file.parent.iterdir()) == ["mcp.json", "mcp.json.bak"]
    assert (file.read_text(), file.with_name("mcp.json.bak").read_text()) == ("2", "1")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes, and links only for administrators")
def test_modes_and_links_stay(tmp_path: Path) -> None:
    file, link, dangling = tmp_path / "a" / "mcp.json", tmp_path / "link.json", tmp_path / "dangling.json"
    replace_file(file, "1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o640)
    link.symlink_to(file)
    dangling.symlink_to(tmp_path / "b" / "mcp.json")
    backup = replace_file(link, "2")
    replace_file(dangling, "3")
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert (file.read_text(), dangling.read_text()) == ("2", "3")
    assert backup
    # what is kept may hold a key that others could read before
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, backup)] == [0o640, 0o600]


def test_a_file_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigFileError) as caught:
        replace_file(tmp_path / "file" / "mcp.json", "1")
    assert caught.value.path == tmp_path / "file" / "mcp.json"
    with pytest.raises(ConfigFileError, match="is no text"):
        replace_file(tmp_path / "new.json", "\udc80")
    # a folder stands where the file before is to be kept
    (tmp_path / "mcp.json").write_text("1")
    (tmp_path / "mcp.json.bak" / "x").mkdir(parents=True)
    with pytest.raises(ConfigFileError):
        replace_file(tmp_path / "mcp.json", "2")
    assert (tmp_path / "mcp.json").read_text() == "1"
    assert len(list(tmp_path.iterdir())) == 3
