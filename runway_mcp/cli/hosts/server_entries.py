"""This server's entry in a host's file: read, made and taken out."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from pathlib import PureWindowsPath
from typing import Any, Literal, cast

from pydantic import SecretStr

from runway_mcp.cli.hosts.config_files import ABSENT, Change
from runway_mcp.cli.hosts.known_hosts import Host
from runway_mcp.config.settings import variables

NAME = "runway"
"""What the server is called in every host."""
KEY, *OTHER_KEYS = variables("api_key")
"""The variables of the API key."""
INPUT = {"type": "promptString", "id": "runway-api-key", "description": "Runway API key", "password": True}
"""What a host that keeps secrets itself asks the user for."""

Key = SecretStr | Literal["variable", "input"] | None
"""The key itself, a reference to its variable or to what the host asks for; None leaves what is there."""


class ForeignServerError(Exception):
    """The host has another server of this name."""


class NoVariablesError(Exception):
    """The host can't pass a variable on."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as a host's file has it: its command, its variables, names of others to pass on, and if it is on."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    passed: Sequence[str]
    is_enabled: bool = True

    @property
    def arguments(self) -> list[str] | None:
        """This server's own arguments; None where the command starts another server."""
        for index, word in enumerate(self.words):
            if PureWindowsPath(word).name.removesuffix(".exe") in {"runway-mcp", "runway_mcp"}:
                return list(dropwhile(lambda other: not other.startswith("-"), self.words[index + 1 :]))
        return None

    @property
    def has_key(self) -> bool:
        """Whether it has a key or a reference to one."""
        return not {KEY, *OTHER_KEYS}.isdisjoint([*self.environment, *self.passed])


def read_entry(host: Host, value: Mapping[str, Any]) -> Entry | None:
    """Return the entry in what a host's file says, or None."""
    found = _table(_table(value.get(host.servers)).get(NAME))
    if not found:
        return None
    command = found.get(host.command)
    words = [*(_list(command) or [command]), *_list(found.get(host.args))]
    environment = {name: str(text) for name, text in _table(found.get(host.env)).items()}
    passed = [str(name) for name in _list(found.get(host.passes or ""))]
    is_enabled = found.get("enabled") is not False and found.get("disabled") is not True
    return Entry([str(word) for word in words], environment, passed, is_enabled)


def install_changes(
    host: Host, value: Mapping[str, Any], command: Sequence[str], arguments: Sequence[str] | None, key: Key
) -> list[Change]:
    """Return the changes of a host's file that let it start `command` with `arguments`; None keeps those it has.

    Raises:
        ForeignServerError: The file has another server of this name.
        NoVariablesError: The key is to come from a variable, which this host can't pass on.
    """
    entry = read_entry(host, value)
    present = _table(_table(value.get(host.servers)).get(NAME))
    own = entry.arguments if entry else []
    if own is None:
        raise ForeignServerError
    words = [*command, *(own if arguments is None else arguments)]
    fields: dict[str, object] = {name: field for name, field in host.fixed.items() if name not in present}
    fields |= {host.command: words[0], host.args: words[1:]} if host.args else {host.command: words}
    environment = _key_variables(host, key)
    if key is not None and host.passes:
        passed = [name for name in _list(present.get(host.passes)) if name not in {KEY, *OTHER_KEYS}]
        passed += [KEY] if key == "variable" else []
        fields |= {host.passes: passed} if passed or host.passes in present else {}
    place = (host.servers, NAME)
    if not present:
        given = {name: text for name, text in environment.items() if text is not ABSENT}
        changes: list[Change] = [(place, fields | ({host.env: given} if given else {}))]
    else:
        changes = [((*place, name), field) for name, field in fields.items()]
        changes += [((*place, host.env, name), text) for name, text in environment.items()]
    inputs = _inputs(value)
    if key == "input" and INPUT["id"] not in inputs:
        changes.append((("inputs", len(inputs)), INPUT))
    return changes


def uninstall_changes(host: Host, value: Mapping[str, Any]) -> list[Change]:
    """Return the changes of a host's file that take the entry out; none where it has none.

    Raises:
        ForeignServerError: The file has another server of this name.
    """
    entry = read_entry(host, value)
    if entry is None:
        return []
    if entry.arguments is None:
        raise ForeignServerError
    inputs = _inputs(value)
    asked: list[Change] = [(("inputs", inputs.index(INPUT["id"])), ABSENT)] if INPUT["id"] in inputs else []
    return [((host.servers, NAME), ABSENT), *asked]


def resolved_environment(host: Host, entry: Entry, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the host gives the server, as far as this machine's environment tells."""
    passed = environment if host.passes == "" else {name: environment.get(name, "") for name in entry.passed}
    pattern = re.escape(host.variable.format("\0")).replace("\0", r"(\w+)") if host.variable else r"(?!)"
    given = {
        name: re.sub(pattern, lambda found: environment.get(found[1], ""), text)
        for name, text in entry.environment.items()
        if "${input:" not in text
    }
    return {name: text for name, text in {**passed, **given}.items() if text}


def _key_variables(host: Host, key: Key) -> dict[str, object]:
    match key:
        case None:
            return {}
        case "input":
            given: object = host.remembers.format(INPUT["id"])
        case "variable" if host.variable:
            given = host.variable.format(KEY)
        case "variable" if host.passes is None:
            raise NoVariablesError
        case "variable":
            given = ABSENT
        case _:
            given = key.get_secret_value()
    return {KEY: given, **dict.fromkeys(OTHER_KEYS, ABSENT)}


def _inputs(value: Mapping[str, Any]) -> list[object]:
    return [_table(one).get("id") for one in _list(value.get("inputs"))]


def _table(value: object) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
