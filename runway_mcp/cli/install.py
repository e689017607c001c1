"""The command `runway-mcp install`: writes this server into the configuration of MCP hosts."""

import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import anyio
import typer
from pydantic import SecretStr

from runway_mcp.api.errors import RunwayError
from runway_mcp.cli.hosts.config_files import ConfigFileError, edit_text, parse_file, read_file, replace_file
from runway_mcp.cli.hosts.host_files import entry_in, host_file
from runway_mcp.cli.hosts.known_hosts import HOSTS, Host, Machine
from runway_mcp.cli.hosts.server_entries import (
    KEY,
    NAME,
    Entry,
    ForeignServerError,
    Key,
    NoVariablesError,
    install_changes,
    uninstall_changes,
)
from runway_mcp.cli.key_check import try_key
from runway_mcp.cli.own_command import is_passing, own_command
from runway_mcp.config.options import UsageError, parse_settings
from runway_mcp.config.settings import PREFIX, Settings
from runway_mcp.config.sources import environment
from runway_mcp.config.values import usable_key
from runway_mcp.mcp_server.messages import explain
from runway_mcp.signals import interruptible

Ask = Callable[[str, bool], str]
"""Asks a person a question, without echo where it is about a secret."""

PLACEHOLDER = SecretStr("key_...")
EXAMPLES = {"install": "runway-mcp install cursor codex -- --files-root ~/Videos/runway"}
_PATHS = {"--files-root", "--state-dir", "--ca-file", "--env-file"}


@dataclass(frozen=True, slots=True)
class Request:
    """What `install` is asked for. `ask` is None where nobody can answer."""

    words: Sequence[str]
    command: Sequence[str]
    machine: Machine
    ask: Ask | None = None
    scope: Literal["user", "project"] = "user"
    uninstall: bool = False
    show: bool = False
    key_from_environment: bool = False
    check: bool = True


def install(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[HOST]... [-- OPTION...]",
            help=f"{', '.join(h.name for h in HOSTS)}; after -- the server's own options",
        ),
    ] = None,
    *,
    project: Annotated[bool, typer.Option("--project", help="Write the file of the project in this folder.")] = False,
    uninstall: Annotated[bool, typer.Option("--uninstall", help="Take the server out again.")] = False,
    show: Annotated[bool, typer.Option("--print", help="Show what would be written; write nothing.")] = False,
    key_from_environment: Annotated[
        bool, typer.Option("--key-from-environment", help=f"Write no key: the host passes {KEY} on.")
    ] = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Try the key by reading the account.")] = True,
) -> int:
    """Return the exit code: 1 where a host's file could not be changed, or the key is refused."""
    request = Request(
        words or [],
        own_command(sys.argv[0], Path(sysconfig.get_path("scripts"))),
        Machine(sys.platform, Path.home(), environment(), Path.cwd()),
        _ask if sys.stdin.isatty() else None,
        scope="project" if project else "user",
        uninstall=uninstall,
        show=show,
        key_from_environment=key_from_environment,
        check=check,
    )
    return anyio.run(run_install, request)


async def run_install(request: Request) -> int:
    """Do what `install` is asked for, and return its exit code.

    Raises:
        UsageError: It can't be done as asked. Nothing was changed.
    """
    names, arguments = split_words(request.words)
    settings, _ = parse_settings(arguments, {})
    if settings.transport != "stdio":
        raise UsageError("hosts start this server over stdio: leave --transport out")
    if request.show and request.uninstall:
        raise UsageError("--print shows what is written: it does not go with --uninstall")
    targets = [(host, _file(host, request)) for host in _hosts(names, request)]
    key: Key = None
    if not request.uninstall:
        _print_notes(request)
        key = _key(request, settings, targets, arguments)
        if refusal := await _refusal(request, settings, key):
            said = f"{explain(refusal)} Nothing was changed; --no-check writes the key untried."
            print(f"runway-mcp: {said}", file=sys.stderr)
            return 1
        arguments = arguments or _folder(request, targets)
    failed = False
    for host, path in targets:
        try:
            print(f"{host.title}: {_apply(request, host, path, arguments, key)}")
        except (ConfigFileError, ForeignServerError, NoVariablesError) as error:
            failed = True
            print(f"{host.title}: {_reason(error, host, path)} Nothing was changed there.", file=sys.stderr)
    if not (request.show or failed):
        print("Restart the hosts that are open. `runway-mcp doctor` checks what they start.")
    return int(failed)


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the hosts' names, and the server's own arguments, in which paths are made absolute."""
    first = next((index for index, word in enumerate(words) if word.startswith("-")), len(words))
    arguments = list[str]()
    for word in words[first:]:
        option, equals, path = word.partition("=")
        if arguments and arguments[-1] in _PATHS:
            arguments.append(str(_absolute(word)))
        else:
            arguments.append(f"{option}={_absolute(path)}" if option in _PATHS and equals else word)
    return list(words[:first]), arguments


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))  # noqa: PTH100, PTH111 - Path raises for unknown users


def _hosts(names: Sequence[str], request: Request) -> list[Host]:
    if names:
        return list(dict.fromkeys(_host(name) for name in names))
    hosts = [host for host in HOSTS if host.paths(request.machine, request.scope)]
    if request.uninstall:
        found = [host for host in hosts if _entry(host, _file(host, request))]
    else:
        found = [host for host in hosts if host.is_installed(request.machine)]
    listed = ", ".join(host.name for host in found) or "none"
    if request.ask is None or not found:
        raise UsageError(f"name the hosts, of {', '.join(host.name for host in hosts)}; found here: {listed}")
    answer = request.ask(f"Found: {listed}. Which of them (Enter: all)", False)
    return _hosts(answer.replace(",", " ").split(), request) if answer.strip() else found


def _host(name: str) -> Host:
    wanted = name.lower().replace("_", "-").replace(" ", "-")
    for matches in (
        [host for host in HOSTS if wanted in {host.name, host.title.lower().replace(" ", "-")}],
        [host for host in HOSTS if host.name.startswith(wanted)],
    ):
        if len(matches) == 1:
            return matches[0]
    raise UsageError(f"no one host has this name; there are {', '.join(host.name for host in HOSTS)}")


def _file(host: Host, request: Request) -> Path:
    path = host_file(host, request.machine, request.scope)
    if path is None:
        raise UsageError(f"{host.title} keeps no servers in a project: leave --project out")
    return path


def _entry(host: Host, path: Path) -> Entry | None:
    try:
        return entry_in(host, path)
    except ConfigFileError:  # said when it is to be written
        return None


def _print_notes(request: Request) -> None:
    if unheard := [name for name in request.machine.environment if name.startswith(PREFIX)]:
        print(f"Note: {', '.join(unheard)} is set here alone. Options for the hosts' servers follow after `--`.")
    if is_passing(request.command[0]):
        print(f"Note: {request.command[0]} is in uv's cache and may vanish. Run `uv tool install .` first.")


def _key(request: Request, settings: Settings, targets: Sequence[tuple[Host, Path]], arguments: Sequence[str]) -> Key:
    has_env_file = any(word.startswith("--env-file") for word in arguments)
    if "--sandbox" in arguments or (has_env_file and settings.api_key):
        return None
    if request.key_from_environment or request.scope == "project":
        return "variable"  # a project's file is shared
    if request.show:
        return PLACEHOLDER
    if settings.api_key:
        return settings.api_key
    entries = [_entry(host, path) for host, path in targets if not host.remembers]
    if all(entry and entry.has_key for entry in entries):
        return "input"
    if request.ask is None:
        raise UsageError(f"no key: set {KEY} to the key to write, or add --key-from-environment, or -- --sandbox")
    try:
        given = usable_key(SecretStr(request.ask(f"Runway API key (Enter: the host passes {KEY} on)", True)))
    except ValueError as error:
        raise UsageError(f"{error}; nothing was changed") from None
    return given or "variable"


async def _refusal(request: Request, settings: Settings, key: Key) -> RunwayError | None:
    if isinstance(key, SecretStr) and request.check and not request.show:
        return await try_key(key, settings)
    return None


def _folder(request: Request, targets: Sequence[tuple[Host, Path]]) -> list[str]:
    if request.ask is None or request.show or any(_entry(host, path) for host, path in targets):
        return []
    answer = request.ask("Folder that files may be read from and saved to (Enter: none)", False).strip()
    if not answer:
        return []
    folder = _absolute(answer)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}; nothing was changed") from None
    return ["--files-root", str(folder)]


def _apply(request: Request, host: Host, path: Path, arguments: Sequence[str], key: Key) -> str:
    text = None if request.show else read_file(path)
    value = parse_file(path, text)
    if request.uninstall:
        changes = uninstall_changes(host, value)
    else:
        if host.remembers and key is not None and not request.key_from_environment:
            key = "input"
        elif key == "input":
            key = None
        changes = install_changes(host, value, request.command, arguments or None, key)
    after = edit_text(path, text, changes)
    if request.show:
        return f"{path}\n\n{after}"
    if not changes or after == text:
        return f"nothing to change in {path}"
    backup = replace_file(path, after)
    said = f"{'taken out of' if request.uninstall else 'written to'} {path}"
    said += f"; {backup} is the file before{', and may hold the key' * request.uninstall}" if backup else ""
    is_open = request.machine.system != "win32" and path.stat().st_mode & 0o077
    shown = is_open and isinstance(key, SecretStr)
    return f"{said}; others on this machine can read the key there: chmod 600 {path}" if shown else said


def _reason(error: ConfigFileError | ForeignServerError | NoVariablesError, host: Host, path: Path) -> str:
    if isinstance(error, ConfigFileError):
        return f"{error.path} can't be used: {error.reason}."
    if isinstance(error, ForeignServerError):
        return f"{path} has another server named {NAME}; rename that first."
    return f"{host.title} passes no variables on: give the key, or a file of it with -- --env-file FILE."


def _ask(question: str, secret: bool) -> str:
    with interruptible():
        return typer.prompt(question, default="", show_default=False, hide_input=secret)
