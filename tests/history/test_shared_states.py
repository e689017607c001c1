"""The states that replicas share, over a real PostgreSQL: many looks, publications and changes at once."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue
from support.databases import PostgresPlace

from runway_mcp.history.database import Values
from runway_mcp.history.records import HistoryAwayError
from runway_mcp.history.shared_states import SharedState, SharedStates
from runway_mcp.history.start_history import History

NUMBERS = count()
LONG = 600.0


class Statements:
    """The statements of one replica, each of which waits for `go`."""

    def __init__(self, history: History) -> None:
        self._history, self.sent, self.go = history, list[str](), anyio.Event()
        self.error: Exception | None = None
        self.go.set()

    async def statement(self, statement: str, values: Values) -> Sequence[Sequence[Any]]:
        self.sent.append(statement)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return await self._history.statement(statement, values)


@pytest.fixture(scope="module")
async def history() -> AsyncGenerator[History]:
    async with PostgresPlace().open() as opened:
        yield opened


@pytest.fixture
def statements(history: History) -> Statements:
    return Statements(history)


def replica(statements: Statements) -> SharedStates:
    return SharedStates(statements)


def new_key() -> Values:
    return {"account": "account", "caller": "caller", "task_id": f"task {next(NUMBERS)}"}


async def claim(states: SharedStates, key: Values) -> float:
    found = (await states.look(key, LONG)).claim
    assert found is not None
    return found


async def test_looks_at_once_cost_two_statements_and_claim_each_task_once(statements: Statements) -> None:
    states, keys, found = replica(statements), [new_key() for _ in range(100)], list[tuple[Values, SharedState]]()
    statements.go = anyio.Event()

    async def look(key: Values) -> None:
        found.append((key, await states.look(key, LONG)))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as looks:
            looks.start_soon(look, keys[0])
            while not statements.sent:
                await anyio.lowlevel.checkpoint()
            for key in keys * 2:
                looks.start_soon(look, key)
            await anyio.wait_all_tasks_blocked()
            statements.go.set()
    assert len(statements.sent) == 2
    assert len(found) == 201
    assert sorted(key["task_id"] for key, one in found if one.claim) == sorted(key["task_id"] for key in keys)


async def test_replicas_that_send_all_at_once_in_any_order_claim_each_task_once(history: History) -> None:
    """Looks, publications and changes of the same tasks lock them in one order, whichever order they came in."""
    keys, claimed = [new_key() for _ in range(40)], list[str]()

    async def use(states: SharedStates, key: Values) -> None:
        found = await states.look(key, LONG)
        if found.claim:
            claimed.append(key["task_id"])
            await states.publish(key, found.claim, {"status": "RUNNING"})
        await states.look(key, LONG)
        await states.publish(key, 0, {"status": "PENDING"})

    with anyio.fail_after(60):
        async with anyio.create_task_group() as uses:
            for number in range(4):
                states = replica(Statements(history))
                for key in keys[:: -1 if number % 2 else 1]:
                    uses.start_soon(use, states, key)
    assert sorted(claimed) == sorted(key["task_id"] for key in keys)
    states = replica(Statements(history))
    assert [(await states.look(key, LONG)).data for key in keys] == [{"status": "RUNNING"}] * 40


async def test_a_cancelled_look_disturbs_nobody_and_its_task_can_be_forgotten(statements: Statements) -> None:
    states, key, other, found = replica(statements), new_key(), new_key(), list[SharedState]()
    statements.go = anyio.Event()

    async def look() -> None:
        found.append(await states.look(other, LONG))

    with anyio.fail_after(30):
        async with anyio.create_task_group() as looks, anyio.create_task_group() as given_up:
            given_up.start_soon(states.look, key, LONG)
            while not statements.sent:
                await anyio.lowlevel.checkpoint()
            given_up.start_soon(states.look, new_key(), LONG)
            looks.start_soon(look)
            await anyio.wait_all_tasks_blocked()
            given_up.cancel_scope.cancel()
            statements.go.set()
        assert [bool(one.claim) for one in found] == [True]
        await states.forget(key)
        assert await claim(states, key)


async def test_an_error_is_raised_to_all_who_wait_for_the_statement_and_to_nobody_later(statements: Statements) -> None:
    states, key, failed = replica(statements), new_key(), list[HistoryAwayError]()

    async def look(key: Values) -> None:
        try:
            await states.look(key, LONG)
        except HistoryAwayError as error:
            failed.append(error)

    statements.error = HistoryAwayError("postgresql://db/films", "refused")
    with anyio.fail_after(30):
        async with anyio.create_task_group() as looks:
            for _ in range(10):
                looks.start_soon(look, new_key())
        assert len(failed) == 10
        assert len(statements.sent) == 1
        statements.error = None
        assert await claim(states, key)


async def test_what_was_asked_before_a_change_is_never_shared(history: History) -> None:
    one, another, key = replica(Statements(history)), replica(Statements(history)), new_key()
    with anyio.fail_after(30):
        before = await claim(one, key)
        await another.forget(key)
        await one.publish(key, before, {"status": "RUNNING"})
        after = await claim(another, key)
        await one.publish(key, before, {"status": "RUNNING"})
        assert (await one.look(key, LONG)).data is None
        await another.publish(key, after, {"status": "CANCELLED"})
        await one.publish(key, before, {"status": "RUNNING"})
        found = await one.look(key, LONG)
        assert (found.claim, found.data) == (None, {"status": "CANCELLED"})
        assert 0 < found.age < LONG
        assert (await one.look(key, found.age / 2)).data is None


async def test_of_what_was_read_twice_the_later_is_kept_in_one_statement_too(statements: Statements) -> None:
    states, key = replica(statements), new_key()
    with anyio.fail_after(30):
        moment = await claim(states, key)
        async with anyio.create_task_group() as publications:
            for seconds, status in ((0, "PENDING"), (2, "SUCCEEDED"), (1, "RUNNING")):
                data: Mapping[str, JsonValue] = {"status": status}
                publications.start_soon(states.publish, key, moment + seconds, data)
        assert (await states.look(key, LONG)).data == {"status": "SUCCEEDED"}
    assert len(statements.sent) == 3


_STEPS = st.lists(
    st.tuples(st.sampled_from(["look", "look", "publish", "forget"]), st.integers(0, 2), st.integers(0, 1)), max_size=25
)


@settings(max_examples=30)
@given(_STEPS)
async def test_replicas_see_what_one_that_knew_all_would_see(
    history: History, steps: list[tuple[str, int, int]]
) -> None:
    """A publication is of the replica's latest claim of the task, which may be older than a change."""
    replicas, keys = [replica(Statements(history)) for _ in range(3)], [new_key(), new_key()]
    claims = dict[tuple[int, int], float]()
    current, known = dict[int, float](), dict[int, dict[str, JsonValue]]()
    for place, (step, number, task) in enumerate(steps):
        states, key = replicas[number], keys[task]
        if step == "look":
            found = await states.look(key, LONG)
            assert (found.claim is None) == (task in current)
            assert found.data == known.get(task)
            if found.claim is not None:
                claims[number, task] = current[task] = found.claim
        elif step == "forget":
            await states.forget(key)
            current.pop(task, None)
            known.pop(task, None)
        elif (number, task) in claims:
            await states.publish(key, claims[number, task], {"number": place})
            if claims[number, task] == current.get(task):
                known[task] = {"number": place}
