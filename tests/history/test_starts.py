"""What holds for the starts of the history in every database: one for each token, and a day's credits."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from support.databases import Place
from support.histories import NOON, START, WITHOUT_TOKEN, Clock, begin, started

from runway_mcp.history.records import (
    SENDING_SECONDS,
    TOKEN_SECONDS,
    NotOpenError,
    OpenStart,
    Snapshot,
    Spend,
    StartRecord,
)
from runway_mcp.history.start_history import DAY, PRICE_SECONDS, History


class NotAllowedError(Exception):
    """What a limit raises."""


@asynccontextmanager
async def history(place: Place, clock: Clock | None = None) -> AsyncGenerator[History]:
    clock = clock or Clock()
    with anyio.fail_after(30):
        async with place.open(clock=lambda: clock.now, elapsed=lambda: clock.elapsed) as opened:
            yield opened


async def test_a_token_stands_for_its_first_start_after_a_restart_too(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as first:
        begun = await begin(first)
        assert (begun.is_new, begun.state) == (True, "pending")
        await first.record_result(begun.number, task_id="task", cost=75)
    clock.pass_time(60)
    async with history(place, clock) as second:
        again = await begin(second, replace(START, fingerprint="another"))
        assert again == StartRecord(begun.number, False, "started", "print", "task", 75, 60)
        assert await second.find(begun.number) == again
        assert (await second.look(START)).earlier == again
        for other in ({"caller": "other"}, {"account": "other"}, {"client_token": None}, {"client_token": None}):
            assert (await begin(second, replace(START, **other))).is_new


async def test_what_bought_nothing_is_forgotten_and_an_unknown_outcome_is_not(place: Place) -> None:
    async with history(place) as one:
        begun = await begin(one)
        await one.forget(begun.number)
        assert await one.find(begun.number) is None
        assert await one.spent("account") == Spend(0, 0)
        begun = await begin(one)
        await one.record_result(begun.number, task_id=None, cost=None)
        again = await begin(one)
        assert (again.is_new, again.state, again.task_id) == (False, "unknown", None)
        assert await one.spent("account") == Spend(0, 1, open=(begun.number,))


async def test_a_cancelled_start_frees_its_token_and_keeps_its_price(place: Place) -> None:
    async with history(place) as one:
        for charged, cost in ((0, 0), (None, 60)):
            number = await started(one)
            await one.mark_cancelled(number, cost=charged)
            found = await one.find(number)
            assert found is not None
            assert (found.state, found.credits) == ("cancelled", cost)
            snapshot = await one.look(START)
            assert (snapshot.earlier, snapshot.same, snapshot.likely(99)) == (None, 60, 60)


async def test_estimates_are_the_callers_latest_of_the_same_and_the_accounts_highest_of_the_similar(
    place: Place,
) -> None:
    """What another caller with the same key has started is never called the same. Old estimates do not count."""
    clock = Clock()
    async with history(place, clock) as one:
        for fingerprint, price in (("print", 60), ("print", 50), ("other", 90)):
            await started(one, replace(WITHOUT_TOKEN, fingerprint=fingerprint), price)

        async def known(**changes: str) -> tuple[float | None, float | None, float | None]:
            found = await one.look(replace(WITHOUT_TOKEN, **changes))
            return found.same, found.similar, found.likely(70)

        assert await known() == (50, 90, 50)
        assert await known(caller="another") == (None, 90, 90)
        assert await known(fingerprint="new") == (None, 90, 90)
        assert await known(fingerprint="new", price_key="8 s") == (None, None, 70)
        assert await known(account="another") == (None, None, 70)
        clock.pass_time(PRICE_SECONDS)
        assert await known() == (None, None, 70)


async def test_a_start_is_allowed_by_what_is_known_in_the_same_transaction(place: Place) -> None:
    seen: list[Snapshot] = []

    def refuse(snapshot: Snapshot) -> None:
        seen.append(snapshot)
        raise NotAllowedError

    async with history(place) as one:
        await started(one, replace(START, client_token="first"))
        await begin(one, replace(START, client_token="second"))
        with pytest.raises(NotAllowedError):
            await one.begin(START, refuse)
        assert seen == [Snapshot(Spend(120, 0), in_flight=1, same=60, similar=60)]
        assert await one.look(START) == seen[0]
        assert not (await one.begin(replace(START, client_token="first"), refuse)).is_new


async def test_a_start_is_in_flight_until_its_answer_or_until_it_was_cut_off(place: Place) -> None:
    """Also one that a clock which was set back has put far ahead."""
    clock = Clock()
    async with history(place, clock) as one:
        cut_off = (await begin(one, WITHOUT_TOKEN)).number
        assert (await one.look(START)).in_flight == 1
        assert (await one.look(replace(START, account="other"))).in_flight == 0
        clock.pass_time(SENDING_SECONDS)
        assert await one.look(START) == Snapshot(Spend(0, 1, open=(cut_off,)))
        number = (await begin(one)).number
        clock.now -= 3600
        found = await one.find(number)
        assert found is not None
        assert found.age == 3600
        assert (await one.look(WITHOUT_TOKEN)).in_flight == 0


async def test_a_start_counts_for_the_day_it_was_begun_on(place: Place) -> None:
    """Its answer may come after midnight. Later starts, other accounts and other days do not count."""
    clock = Clock()
    clock.now = (NOON // DAY + 1) * DAY - 1
    async with history(place, clock) as one:
        number = await started(one, WITHOUT_TOKEN)
        clock.pass_time(2)
        await started(one, WITHOUT_TOKEN, 70)
        await started(one, replace(WITHOUT_TOKEN, account="other"))
        await started(one, replace(WITHOUT_TOKEN, fingerprint="new", price_key="new"), None)
        assert await one.spent("account", up_to=number) == Spend(60, 0)
        assert await one.spent("account") == Spend(70, 1)
        assert await one.spent("account", up_to=number + 100) == Spend(70, 1)


async def test_a_token_ends_after_a_day_of_the_process_and_the_clock(place: Place) -> None:
    """A clock that is wrong and set right lets no token end early, and makes nothing be forgotten."""
    clock = Clock()
    async with history(place, clock) as one:
        number = await started(one)
        clock.now += 40 * DAY
        assert not (await begin(one)).is_new
        await begin(one, WITHOUT_TOKEN)
        clock.now -= 40 * DAY
        assert not (await begin(one)).is_new
        clock.pass_time(TOKEN_SECONDS - 1)
        assert (await one.look(START)).earlier is not None
        clock.pass_time(2)
        assert (await begin(one)).is_new
        assert await one.find(number) is not None


async def test_of_many_at_once_one_is_new(place: Place) -> None:
    """Over several connections that open one new file, as several processes have it."""
    found: list[bool] = []

    async def open_and_begin() -> None:
        async with history(place) as one, anyio.create_task_group() as starts:
            for _ in range(5):
                starts.start_soon(note, one)

    async def note(one: History) -> None:
        found.append((await begin(one)).is_new)

    async with anyio.create_task_group() as processes:
        for _ in range(3):
            processes.start_soon(open_and_begin)
    assert sorted(found) == [False] * 14 + [True]


async def test_a_start_counts_with_its_likely_price_else_with_that_of_the_price_list(place: Place) -> None:
    """Whether it is pending or of unknown outcome. Without either nobody knows what the day comes to."""
    async with history(place) as one:
        for start, total, unknown in (
            (replace(START, client_token="1", list_price=85), 85, 0),
            (replace(START, client_token="2"), 85, 1),
        ):
            number = (await begin(one, start)).number
            assert await one.spent("account") == Spend(total, unknown)
        await one.record_result(number, task_id="task", cost=60)
        await begin(one, replace(START, client_token="3", list_price=85))
        assert await one.spent("account") == Spend(85 + 60 + 60, 0)


async def test_an_open_start_is_settled_by_a_person(place: Place) -> None:
    """As nothing, which frees its token, or as a task, which its token then finds."""
    clock = Clock()
    async with history(place, clock) as one:
        cut_off = (await begin(one, replace(START, client_token="cut off", list_price=85))).number
        known = await started(one, WITHOUT_TOKEN)
        with pytest.raises(NotOpenError):
            await one.settle(cut_off, task_id=None)
        clock.pass_time(SENDING_SECONDS)
        lost = (await begin(one)).number
        await one.record_result(lost, task_id=None, cost=None)
        unknown = OpenStart(lost, "text_to_video", clock.now, 60)
        assert await one.open_starts("account") == [unknown, OpenStart(cut_off, "text_to_video", NOON, 85)]
        assert await one.open_starts("other") == []
        assert await one.spent("account") == Spend(205, 0, open=(cut_off, lost))
        await one.settle(cut_off, task_id=None)
        assert await one.open_starts() == [unknown]
        await one.settle(lost, task_id="task")
        found = (await one.look(START)).earlier
        assert found is not None
        assert (found.state, found.task_id, found.credits) == ("started", "task", 60)
        assert await one.spent("account") == Spend(120, 0)
        for number in (cut_off, known, lost, 99):
            with pytest.raises(NotOpenError):
                await one.settle(number, task_id=None)
        assert (await begin(one, replace(START, client_token="cut off"))).is_new
