"""Reads and edits of the hosts' configuration files: JSON with comments, TOML and YAML."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from tempfile import mkstemp
from typing import Any, cast

from runway_mcp.cli.hosts import jsonc

_BOM = "\ufeff"
_INDENTATIONS = [
    {"mapping": m, "sequence": s, "offset": o} for m, s, o in ((4, 6, 4), (4, 4, 2), (4, 4, 0), (2, 4, 2), (2, 2, 0))
]
"""How a YAML file may be indented; the last one where none fits."""


class _Absent:
    pass


ABSENT = _Absent()
"""In a change, in place of a value: take out what is there."""
Change = tuple[tuple[str | int, ...], object]
"""A path in a file, and the value to put there."""


class ConfigFileError(Exception):
    """A host's file can't be read or written. It is as it was."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason


def read_file(path: Path) -> str | None:
    """Return the text of a file, None where there is none.

    Raises:
        ConfigFileError: It can't be read as text.
    """
    try:
        if path.is_file() or not path.exists():  # a pipe may never give anything
            return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigFileError(path, getattr(error, "strerror", None) or "it is not UTF-8 text") from None
    raise ConfigFileError(path, "it is no ordinary file")


def parse_file(path: Path, text: str | None) -> Mapping[str, Any]:
    """Return what a file says; nothing where it is empty.

    Raises:
        ConfigFileError: It is not of the form that its name says, or no object.
    """
    try:
        value = _parse(path, (text or "").removeprefix(_BOM))
    except ValueError as error:
        raise ConfigFileError(path, str(error)) from None
    if not isinstance(value, Mapping):
        raise ConfigFileError(path, "it holds no object")
    return cast("Mapping[str, Any]", value)


def edit_text(path: Path, text: str | None, changes: Sequence[Change]) -> str:
    """Return the text of a file with changes; comments, order and all else stay.

    Raises:
        ConfigFileError: The text is not of the form that the file's name says, or has something else on the way.
    """
    parse_file(path, text)
    bom, text = (_BOM, text[1:]) if text and text.startswith(_BOM) else ("", text or "")
    edit = {".toml": _edit_toml, ".yaml": _edit_yaml}.get(path.suffix, _edit_json)
    has_crlf = 0 < text.count("\n") == text.count("\r\n")
    try:
        edited = edit(text.replace("\r\n", "\n") if has_crlf else text, changes)
    except ValueError as error:
        raise ConfigFileError(path, str(error)) from None
    if edit is not _edit_json:
        _change(wanted := _parse(path, text), changes, _plain)
        if _without_empty(_parse(path, edited)) != _without_empty(wanted):
            raise ConfigFileError(path, "other settings would change; write this there by hand, as --print shows it")
    return bom + (edited.replace("\n", "\r\n") if has_crlf else edited)


def replace_file(path: Path, text: str) -> Path | None:
    """Write a file beside and rename it; return where the one before is kept, if there was one.

    A link is followed, and the mode stays. A new file and the one that is kept are for their owner alone.

    Raises:
        ConfigFileError: It can't be written.
    """
    try:
        target = Path(os.path.realpath(path))
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(target, text.encode(), 0o600)
            return None
        mode, backup = target.stat().st_mode & 0o7777, target.with_name(f"{target.name}.bak")
        _write(backup, target.read_bytes(), mode & 0o600)
        _write(target, text.encode(), mode)
    except (OSError, UnicodeEncodeError) as error:
        raise ConfigFileError(path, getattr(error, "strerror", None) or "what is to be written is no text") from None
    return backup


def _write(path: Path, data: bytes, mode: int) -> None:
    descriptor, beside = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).chmod(mode)
        Path(beside).replace(path)
    except OSError:
        Path(beside).unlink(missing_ok=True)
        raise


def _parse(path: Path, text: str) -> object:
    if path.suffix == ".toml":
        import tomllib

        return tomllib.loads(text)
    if path.suffix == ".yaml":
        from ruamel.yaml import YAML

        return _load(YAML(typ="safe", pure=True), text) or {}
    return {} if jsonc.is_blank(text) else jsonc.parse(text)


def _load(yaml: Any, text: str) -> Any:
    from ruamel.yaml import YAMLError

    try:
        return yaml.load(text)
    except YAMLError as error:
        # its own words show what is in the file
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "it"
        raise ValueError(f"{where} is not valid YAML") from None


def _edit_json(text: str, changes: Sequence[Change]) -> str:
    if jsonc.is_blank(text):
        text = f"{text.rstrip()}\n{{}}\n".lstrip()
    for keys, value in changes:
        text = jsonc.take_out(text, keys) if value is ABSENT else jsonc.put(text, keys, value)
    return text


def _edit_toml(text: str, changes: Sequence[Change]) -> str:
    import tomllib

    import tomlkit
    from tomlkit.items import InlineTable

    def table(place: object) -> Any:
        return tomlkit.inline_table() if isinstance(place, InlineTable) else tomlkit.table(is_super_table=True)

    def edited(base: str) -> str:
        _change(document := tomlkit.parse(base), changes, table)
        return tomlkit.dumps(document)

    # a new table goes last: between dotted keys it would take the later ones in
    if added := edited(""):
        appended = f"{text.rstrip()}\n\n".lstrip() + added
        _change(wanted := tomllib.loads(text), changes, _plain)
        with suppress(ValueError):
            if tomllib.loads(appended) == wanted:
                return appended
    return edited(text)


def _edit_yaml(text: str, changes: Sequence[Change]) -> str:
    from ruamel.yaml import YAML

    def write() -> str:
        yaml.dump(document, written := StringIO())
        return written.getvalue()

    yaml: Any = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16  # long lines stay as they are
    found = _load(yaml, text)
    comments = f"{text.rstrip()}\n" if found is None and text.strip() else ""
    document: Any = {} if found is None else found
    for indentation in _INDENTATIONS:
        yaml.indent(**indentation)
        if write() == text:
            break
    return comments + write() if _change(document, changes, _plain) else text


def _plain(_: object) -> dict[str, object]:
    return {}


def _without_empty(value: object) -> object:
    # of an object that is left empty, a form may keep nothing
    if not isinstance(value, Mapping):
        return value
    parts = [(key, _without_empty(part)) for key, part in cast("Mapping[str, object]", value).items()]
    return {key: part for key, part in parts if part != {}}


def _change(document: Any, changes: Sequence[Change], table: Callable[[Any], Any]) -> bool:
    """Make the changes, with `table` for an object that another lacks; return whether there were any."""
    changed = False
    for (*keys, last), value in changes:
        place: Any = document
        for key in keys:
            if value is ABSENT and place.get(key) is None:
                break
            if place.get(key) is None:
                place[key] = table(place)
            place = place[key]
            if not hasattr(place, "get"):
                raise ValueError(f"{key} is no object")
        else:
            if value is ABSENT and last in place:
                del place[last]
                changed = True
            elif value is not ABSENT and (last not in place or place[last] != value):
                place[last] = value
                changed = True
    return changed
