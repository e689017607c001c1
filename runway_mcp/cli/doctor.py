"""The command `runway-mcp doctor`: checks what this server needs, and the hosts that have it."""

import json
import logging
import os
import platform
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path, PurePosixPath, PureWindowsPath
from time import perf_counter
from typing import Annotated, Literal

import anyio
import httpx2
import typer
from pydantic import SecretStr

from runway_mcp import __version__
from runway_mcp.api.errors import quote
from runway_mcp.api.proxies import find_proxy
from runway_mcp.catalogue import lookup
from runway_mcp.catalogue.kept_catalogue import NAME as KEPT
from runway_mcp.cli.hosts.config_files import ConfigFileError
from runway_mcp.cli.hosts.host_files import entry_in, host_file
from runway_mcp.cli.hosts.known_hosts import HOSTS, Host, Machine
from runway_mcp.cli.hosts.server_entries import KEY, OTHER_KEYS, Entry, resolved_environment
from runway_mcp.cli.hosts.server_start import NoStartError, count_tools
from runway_mcp.cli.install import split_words
from runway_mcp.cli.key_check import try_key
from runway_mcp.config.options import UsageError, parse_settings
from runway_mcp.config.settings import Settings
from runway_mcp.config.sources import environment
from runway_mcp.history.places import open_place
from runway_mcp.history.records import HistoryError
from runway_mcp.mcp_server.messages import explain
from runway_mcp.observability.logs import Redaction
from runway_mcp.wiring.core import history_place, state_dir

_COLOURS = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "fail": typer.colors.RED}


AT_ONCE = 4
"""Servers that are started at the same time."""
EXAMPLES = {"doctor": "runway-mcp doctor -- --env-file ~/runway.env"}


@dataclass(frozen=True, slots=True)
class Check:
    """What was checked, how it stands, what was found, and the one thing to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class _Installed:
    host: Host
    path: Path
    entry: Entry
    environment: dict[str, str] = field(repr=False)

    @property
    def key(self) -> str | None:
        return next((self.environment[name] for name in (KEY, *OTHER_KEYS) if name in self.environment), None)


def doctor(
    words: Annotated[list[str] | None, typer.Argument(metavar="[-- OPTION...]", help="The server's options.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Return the exit code: 1 where something fails."""
    machine = Machine(sys.platform, Path.home(), environment(), Path.cwd())
    logging.getLogger("mcp").addHandler(logging.NullHandler())  # what a server says amiss is told by its check
    return anyio.run(run_doctor, split_words(words or [])[1], machine, as_json)


async def run_doctor(arguments: Sequence[str], machine: Machine, as_json: bool) -> int:
    """Print each check as it is done, or all as JSON; return 1 where one fails."""
    checks = list[Check]()
    async for check in _checks(arguments, machine):
        checks.append(check)
        if not as_json:
            typer.secho(f"{check.state:<5}", fg=_COLOURS[check.state], bold=True, nl=False)
            print(f"{check.name:<15} {check.found}" + (f"\n{'':<20} > {check.todo}" if check.todo else ""), flush=True)
    failed = any(check.state == "fail" for check in checks)
    if as_json:
        print(json.dumps({"ok": not failed, "checks": [asdict(check) for check in checks]}, ensure_ascii=False))
    return int(failed)


async def _checks(arguments: Sequence[str], machine: Machine) -> AsyncGenerator[Check]:
    yield Check("version", "ok", f"runway-mcp {__version__}, Python {platform.python_version()}, mcp {version('mcp')}")
    installed, problems = _find(machine)
    try:
        settings, _ = parse_settings(arguments, {})
        place = history_place(settings)
    except UsageError as error:
        yield Check("settings", "fail", str(error), "Correct it; the server would not start with it.")
    else:
        key, whose = settings.api_key, "set here"
        if key is None and (one := next((one for one in installed if one.key), None)) and one.key:
            key, whose = SecretStr(one.key), f"in the file of {one.host.title}"
        yield _check_key(settings, key, whose)
        yield await _check_api(settings, key)
        for folder in settings.files_root:
            yield _check_folder(folder)
        yield await _check_history(settings, place)
        yield _check_catalogue(settings)
    for problem in problems:
        yield problem
    checked = await _check_hosts(installed)
    for check in checked:
        yield check
    lacking = [
        host.name
        for host in HOSTS
        if host.is_installed(machine) and host.name not in {check.name for check in (*problems, *checked)}
    ]
    if lacking or not installed:
        yield Check(
            "other hosts",
            "ok",
            f"without this server: {', '.join(lacking) or 'none'}",
            "`runway-mcp install HOST` adds it.",
        )


def _find(machine: Machine) -> tuple[list[_Installed], list[Check]]:
    installed, problems, seen = list[_Installed](), list[Check](), set[Path | None]()
    for host in HOSTS:
        for scope in ("user", "project"):
            path = host_file(host, machine, scope)
            if path in seen:  # in the home, both scopes are one
                continue
            seen.add(path)
            try:
                entry = entry_in(host, path) if path else None
            except ConfigFileError as error:
                todo = "Correct the file; the host can't read it either."
                problems.append(Check(host.name, "fail", f"{error.path}: {error.reason}", todo))
                continue
            if path and entry and entry.arguments is not None:
                given = resolved_environment(host, entry, machine.environment)
                installed.append(_Installed(host, path, entry, given))
    return installed, problems


def _check_key(settings: Settings, key: SecretStr | None, whose: str) -> Check:
    if settings.sandbox:
        return Check("key", "ok", "the sandbox needs none")
    if key is None:
        todo = f"Set {KEY}, or run `runway-mcp install HOST`. Keys are made at https://dev.runwayml.com/."
        return Check("key", "warn", "none is set here, or in a host's file that this command can read", todo)
    return Check("key", "ok", whose)


async def _check_api(settings: Settings, key: SecretStr | None) -> Check:
    if settings.sandbox:
        return Check("API", "ok", "simulated by the sandbox")
    if key is None:
        return Check("API", "warn", "not tried without a key")
    proxy = find_proxy(httpx2.URL(settings.base_url)) if settings.base_url.startswith("https:") else None
    way = f"through the proxy of {proxy.variable}" if proxy else "without a proxy"
    way += f", trusting the system's certificates{f' and {settings.ca_file}' if settings.ca_file else ''}"
    started = perf_counter()
    if error := await try_key(key, settings):
        return Check("API", "fail", f"{settings.base_url}, {way}", explain(error))
    return Check("API", "ok", f"{settings.base_url} answered in {perf_counter() - started:.2f} s, {way}")


def _check_folder(folder: Path) -> Check:
    try:
        probe = folder / f".runway-mcp-{id(folder):x}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        return Check("folder", "fail", f"{folder}: {error.strerror}", "Create it, or let this user write there.")
    return Check("folder", "ok", str(folder))


def _unwritable(place: Path) -> Path | None:
    there = next(folder for folder in place.parents if os.path.lexists(folder))
    return None if there.is_dir() and os.access(there, os.W_OK) else there


async def _check_history(settings: Settings, place: Path | SecretStr | None) -> Check:
    if isinstance(place, Path) and not await anyio.Path(place).exists():
        if barred := _unwritable(place):
            return Check("history", "fail", f"{place} can't be made in {barred}", "Let this user write there.")
        return Check("history", "ok", f"none yet; it will be {place}")
    name = "in memory" if place is None else str(place) if isinstance(place, Path) else "in PostgreSQL"
    try:
        async with open_place(place, keep_days=settings.history_days) as history:
            unknown = len(await history.open_starts())
    except HistoryError as error:
        return Check("history", "fail", name, explain(error))
    if unknown:
        todo = "`runway-mcp history list` shows them."
        return Check(
            "history", "warn", f"{name}: starts of unknown outcome: {unknown}; they count against limits", todo
        )
    return Check("history", "ok", name)


def _check_catalogue(settings: Settings) -> Check:
    folder = state_dir(settings)
    lookup.look_in(folder)
    if problem := lookup.kept_problem():
        return Check(
            "catalogue", "warn", f"{folder / KEPT} does not count: {problem}", "`runway-mcp catalogue update`."
        )
    return Check("catalogue", "ok", f"models as of {lookup.catalogue_day()}")


async def _check_hosts(installed: Sequence[_Installed]) -> list[Check]:
    checks = dict[Path, Check]()
    limiter = anyio.Semaphore(AT_ONCE)

    async def check(one: _Installed) -> None:
        async with limiter:
            checks[one.path] = await _check_host(one)

    async with anyio.create_task_group() as tasks:
        for one in installed:
            tasks.start_soon(check, one)
    return [checks[one.path] for one in installed]


async def _check_host(one: _Installed) -> Check:
    name, words, rewrite = one.host.name, one.entry.words, f"`runway-mcp install {one.host.name}` writes it anew."
    if PureWindowsPath(words[0]).stem in {"uv", "uvx", "pipx"} and "runway-mcp" in words and "--from" not in words:
        found = f"{one.path}: `{words[0]} runway-mcp` may start another project of this name, so it was not started"
        return Check(name, "warn", found, rewrite)
    started = perf_counter()
    try:
        tools = await count_tools(words, one.environment)
    except NoStartError as error:
        hide = Redaction(one.environment.get(name, "") for name in (KEY, *OTHER_KEYS))
        reason = quote(hide(str(error)), 300)
        return Check(name, "fail", f"{one.path}: {quote(words[0], 200)} does not start: {reason}", rewrite)
    found = f"{one.path}: starts in {perf_counter() - started:.1f} s, with {tools} tools"
    if not one.entry.is_enabled:
        return Check(name, "warn", f"{found}, but is turned off there", "Turn it on in the host or in its file.")
    if not PureWindowsPath(words[0]).is_absolute() and not PurePosixPath(words[0]).is_absolute():
        return Check(name, "warn", f"{found}, but only where the host's PATH leads to it", rewrite)
    if "--sandbox" not in words and not one.key and not one.host.remembers:
        todo = (
            f"Set {KEY} where the host starts." if one.entry.has_key else f"`runway-mcp install {name}` asks for one."
        )
        return Check(name, "warn", f"{found}, but no key was found for it", todo)
    return Check(name, "ok", found)
