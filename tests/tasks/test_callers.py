"""Callers: what is each one's own, and what they share."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import pytest
from pydantic import SecretStr
from support.scripted import ID, Script, reply, scripted_client, task

from runway_mcp.api.client import RunwayClient
from runway_mcp.tasks.callers import MAX_IDLE_CALLERS, READ, Caller, CallerRegistry
from runway_mcp.tasks.operations import TooManyWaitsError
from runway_mcp.tasks.waiting import Waited

ONE_KEY, OTHER_KEY = SecretStr("key_one_0123456789"), SecretStr("key_other_0123456789")
RUNNING = reply(200, task("RUNNING"))


class Accounts:
    """Runway as each key sees it: one script for each key."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}

    def connect(self, caller: Caller) -> AbstractAsyncContextManager[RunwayClient]:
        key = caller.key.get_secret_value() if caller.key else ""
        assert key not in self.scripts, "one client for each key"
        self.scripts[key] = Script(reply(200, task("RUNNING", seenWith=key)))
        return scripted_client(self.scripts[key])

    @property
    def reads(self) -> dict[str, int]:
        return {key: len(script.requests) for key, script in self.scripts.items()}


@asynccontextmanager
async def serving(accounts: Accounts | None = None, *, max_waits: int | None = None) -> AsyncGenerator[CallerRegistry]:
    callers = CallerRegistry((accounts or Accounts()).connect, poll_seconds=30, max_waits=max_waits)
    with anyio.fail_after(10):
        async with callers.running():
            yield callers


async def quiet(_: Waited) -> None:
    pass


async def test_callers_share_the_connections_of_a_key_and_nothing_else() -> None:
    """What one has read is no answer for another; callers with different keys see different accounts."""
    accounts = Accounts()
    async with serving(accounts) as callers:
        for name, key in (("a", ONE_KEY), ("b", ONE_KEY), ("c", OTHER_KEY), ("a", ONE_KEY), ("c", OTHER_KEY)):
            context = await callers.of(Caller(name, key=key))
            assert (await context.tasks.get(ID)).data["seenWith"] == key.get_secret_value()
            assert context.poller.remembered == [ID]
    assert accounts.reads == {ONE_KEY.get_secret_value(): 2, OTHER_KEY.get_secret_value(): 1}


async def test_a_caller_is_told_by_issuer_subject_and_key_and_keeps_what_is_theirs() -> None:
    async with serving() as callers:
        mine = await callers.of(Caller("a", "https://one.example"))
        assert await callers.of(Caller("a", "https://one.example", frozenset({READ}))) is mine
        assert await callers.of(Caller("a", "https://other.example")) is not mine
        assert await callers.of(Caller("a")) is not mine
        assert await callers.of(Caller("a", "https://one.example", key=ONE_KEY)) is not mine


async def test_callers_who_come_at_once_get_one_and_the_same() -> None:
    found: set[int] = set()
    async with serving() as callers:

        async def ask() -> None:
            found.add(id(await callers.of(Caller("a", key=ONE_KEY))))

        async with anyio.create_task_group() as asking:
            for _ in range(5):
                asking.start_soon(ask)
    assert len(found) == 1


async def test_an_idle_caller_is_forgotten_once_many_others_have_come() -> None:
    others = [Caller(f"other {number}", key=ONE_KEY) for number in range(MAX_IDLE_CALLERS)]
    async with serving() as callers:
        kept = await callers.of(Caller("a", key=ONE_KEY))
        await kept.tasks.get(ID)
        for other in others:
            await callers.of(other)
        assert await callers.of(Caller("a", key=ONE_KEY)) is kept
        del kept
        for other in others:
            await callers.of(other)
        assert (await callers.of(Caller("a", key=ONE_KEY))).poller.remembered == []


async def test_waits_are_counted_limited_and_ended_for_each_caller() -> None:
    ended: list[Waited] = []
    async with serving(max_waits=2) as callers:
        one, other = await callers.of(Caller("a", key=ONE_KEY)), await callers.of(Caller("b", key=OTHER_KEY))

        async def wait() -> None:
            ended.append(await one.tasks.wait([ID], seconds=3600, until="all", report=quiet))

        async with anyio.create_task_group() as waits:
            waits.start_soon(wait)
            waits.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert callers.waits_in_progress == 2
            with pytest.raises(TooManyWaitsError, match="2"):
                await one.tasks.wait([ID], seconds=1, until="all", report=quiet)
            await other.tasks.wait([ID], seconds=0.01, until="all", report=quiet)
            callers.end_waits()
        assert callers.waits_in_progress == 0
        assert callers.counters.polls == 2
        assert (await one.tasks.get(ID)).status == "RUNNING"
        assert callers.counters.shared_reads == 1
    assert [state.task.status for waited in ended for state in waited.states.values() if state.task] == ["RUNNING"] * 2


async def test_nobody_is_served_before_or_after() -> None:
    accounts = Accounts()
    callers = CallerRegistry(accounts.connect)
    with pytest.raises(RuntimeError, match="running"):
        await callers.of(Caller("a"))
    for _ in range(2):
        async with callers.running():
            assert (await callers.of(Caller("a"))).poller.remembered == []
        accounts.scripts.clear()


def test_a_callers_key_is_not_shown() -> None:
    caller = Caller("a", key=ONE_KEY)
    assert ONE_KEY.get_secret_value() not in f"{caller!r} {caller} {caller.identity}"
