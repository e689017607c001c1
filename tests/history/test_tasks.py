"""What every database remembers of tasks: what was seen of them, where outputs are, and what was uploaded."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
from support.databases import Place
from support.histories import KITE, NOON, SAVED, UPLOAD, Clock, start, status

from runway_mcp.history.records import SENDING_SECONDS, Spend
from runway_mcp.history.start_history import DAY, History
from runway_mcp.history.task_history import MAX_UNWRITTEN
from runway_mcp.history.task_records import (
    CLAIM_SECONDS,
    UNSEEN_SECONDS,
    UPLOAD_SECONDS,
    Seen,
    TaskQuery,
)


@asynccontextmanager
async def history(place: Place, clock: Clock | None = None) -> AsyncGenerator[History]:
    clock = clock or Clock()
    with anyio.fail_after(30):
        async with place.open(clock=clock, elapsed=clock) as opened:
            yield opened


async def prompts_of(one: History, query: TaskQuery | None = None, caller: str = "caller") -> list[str]:
    return [task.prompt for task in (await one.tasks.page("account", caller, query or TaskQuery())).tasks]


async def test_a_task_is_remembered_with_what_was_asked_for_and_what_came_of_it(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        number = await start(one)
        found = await one.tasks.find("account", "caller", "task")
        assert found is not None
        assert (found.status, found.is_active, found.credits, found.is_charged) == ("PENDING", True, 60, False)
        clock.now += 60
        one.tasks.see("account", "task", Seen("SUCCEEDED", cost=55))
        await one.tasks.record_saved(number, [SAVED])
    async with history(place, clock) as one:
        found = await one.tasks.find("account", "caller", "task")
        assert found is not None
        assert (found.type, found.model, found.prompt, found.seconds) == ("text_to_video", "gen4.5", "A red kite", 5)
        assert (found.status, found.is_active, found.credits, found.is_charged) == ("SUCCEEDED", False, 55, True)
        assert (found.begun, found.finished, found.outputs) == (NOON, NOON + 60, (SAVED,))
        assert await one.tasks.find("account", "somebody else", "task") is None


async def test_what_a_task_has_cost_counts_for_the_day_in_place_of_its_estimate(place: Place) -> None:
    async with history(place) as one:
        await start(one)
        assert await one.spent("account") == Spend(60, 0)
        one.tasks.see("account", "task", Seen("FAILED", cost=0))
        assert await one.spent("account") == Spend(0, 0)


async def test_a_task_counts_as_finished_when_it_was_first_seen_so(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        await start(one)
        for seconds, seen in enumerate(("RUNNING", "SUCCEEDED", "SUCCEEDED")):
            clock.now = NOON + seconds
            one.tasks.see("account", "task", Seen(seen))
            found = await one.tasks.find("account", "caller", "task")
            assert found is not None
            assert (found.status, found.finished) == (seen, NOON + 1 if seconds else None)


@pytest.mark.parametrize(
    ("before", "seen", "after"),
    [
        ("RUNNING", Seen(removed=True), "CANCELLED"),
        ("SUCCEEDED", Seen(removed=True), "DELETED"),
        ("RUNNING", Seen(), "DELETED"),
        ("CANCELLED", Seen(), "CANCELLED"),
        ("DELETED", Seen("RUNNING"), "RUNNING"),
    ],
)
async def test_a_task_that_runway_no_longer_has_was_cancelled_or_deleted(
    place: Place, before: str, seen: Seen, after: str
) -> None:
    async with history(place) as one:
        await start(one)
        for each in (Seen(before), seen):
            one.tasks.see("account", "task", each)
            found = await status(one)
        assert found == after


async def test_a_task_that_was_cancelled_and_is_gone_at_once_was_cancelled(place: Place) -> None:
    async with history(place) as one:
        for task_id, first in (("a", Seen(removed=True)), ("b", Seen("CANCELLED", cost=3)), ("c", Seen("RUNNING"))):
            await start(one, task_id)
            one.tasks.see("account", task_id, first)
            one.tasks.see("account", task_id, Seen())
        assert [await status(one, task_id) for task_id in "abc"] == ["CANCELLED", "CANCELLED", "DELETED"]


async def test_of_a_start_nobody_knows_whether_it_bought_a_task(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        await start(one, None)
        await one.begin(KITE, lambda _: None)
        assert [task.status for task in (await one.tasks.page("account", "caller", TaskQuery())).tasks] == [
            "PENDING",
            "UNKNOWN",
        ]
        clock.now += SENDING_SECONDS
        page = await one.tasks.page("account", "caller", TaskQuery(status="UNKNOWN"))
        assert [task.task_id for task in page.tasks] == [None, None]


async def test_a_start_that_was_cancelled_at_once_is_told_as_cancelled(place: Place) -> None:
    async with history(place) as one:
        await one.mark_cancelled(await start(one), cost=0)
        assert await status(one) == "CANCELLED"


async def test_tasks_are_found_by_status_day_type_and_text_the_latest_first(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        for index, prompt in enumerate(("A red KITE", "Straße im Regen", "A blue kite", "A whale")):
            clock.now = NOON + index * DAY
            kind = "text_to_image" if index == 3 else "text_to_video"
            await start(one, f"task-{index}", replace(KITE, prompt=prompt, type=kind, model=f"model-{index}"))
        one.tasks.see("account", "task-0", Seen("SUCCEEDED", cost=55))
        one.tasks.see("account", "task-1", Seen("FAILED", cost=0))
        for query, expected in (
            (TaskQuery(), ["A whale", "A blue kite", "Straße im Regen", "A red KITE"]),
            (TaskQuery(text="Kite"), ["A blue kite", "A red KITE"]),
            (TaskQuery(text="STRASSE"), ["Straße im Regen"]),
            (TaskQuery(text="MODEL-3"), ["A whale"]),
            (TaskQuery(text="%"), []),
            (TaskQuery(type="text_to_image"), ["A whale"]),
            (TaskQuery(since=NOON + 2 * DAY), ["A whale", "A blue kite"]),
            (TaskQuery(status="active"), ["A whale", "A blue kite"]),
            (TaskQuery(status="FAILED"), ["Straße im Regen"]),
        ):
            assert await prompts_of(one, query) == expected, query
            assert await prompts_of(one, query, caller="somebody else") == []


async def test_how_a_task_ended_that_nobody_saw_is_not_known(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        await start(one, "old")
        clock.now += UNSEEN_SECONDS
        await start(one, "new")
        clock.now += 1
        assert [await status(one, "old"), await status(one, "new")] == ["UNKNOWN", "PENDING"]
        active = (await one.tasks.page("account", "caller", TaskQuery(status="active"))).tasks
        assert [task.task_id for task in active] == ["new"]


async def test_a_clock_that_is_wrong_once_makes_nothing_be_forgotten(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        await one.tasks.record_saved(await start(one), [SAVED])
        await start(one, "second")
        clock.now += 400 * DAY
        await start(one, "third")
        clock.now -= 399 * DAY
        found = await one.tasks.find("account", "caller", "task")
        assert found is not None
        assert (found.prompt, found.outputs) == ("A red kite", (SAVED,))


async def test_a_page_has_the_sums_over_all_pages(place: Place) -> None:
    async with history(place) as one:
        for index in range(5):
            await start(one, f"task-{index}", replace(KITE, prompt=str(index), list_price=10 if index else None))
        first = await one.tasks.page("account", "caller", TaskQuery(limit=3))
        assert [task.prompt for task in first.tasks] == ["4", "3", "2"]
        second = await one.tasks.page("account", "caller", TaskQuery(limit=3, before=first.tasks[-1].number))
        assert [task.prompt for task in second.tasks] == ["1", "0"]
        assert (first.has_more, second.has_more) == (True, False)
        for page in (first, second):
            assert (page.matched, page.credits, page.unknown) == (5, 40, 1)


async def test_outputs_that_are_saved_again_elsewhere_are_in_both_places(place: Place) -> None:
    async with history(place) as one:
        number = await start(one)
        second, moved = replace(SAVED, position=2), replace(SAVED, path="/films/other.mp4")
        await one.tasks.record_saved(number, [second, SAVED])
        await one.tasks.record_saved(number, [moved])
        found = await one.tasks.find("account", "caller", "task")
        assert found is not None
        assert found.outputs == (SAVED, moved, second)


async def test_of_tasks_to_save_each_is_found_until_it_is_saved(place: Place) -> None:
    async with history(place) as one:
        await start(one, "other")
        number = await start(one, "task", replace(KITE, save=True))
        await start(one, None, replace(KITE, save=True))
        assert [task.number for task in await one.tasks.to_save("account", "caller")] == [number]
        assert await one.tasks.to_save("account", "somebody else") == []
        await one.tasks.mark_saving(number, "lost")
        assert await one.tasks.to_save("account", "caller") == []
        assert [task.saving for task in await one.tasks.to_save("account", "caller", "lost")] == ["lost"]
        await one.tasks.mark_saving(number, "saved")
        assert [task.saving for task in await one.tasks.to_save("account", "caller", "lost")] == ["lost"]


async def test_an_upload_is_found_by_its_content_and_by_its_uri_for_a_day(place: Place) -> None:
    clock = Clock()
    async with history(place, clock) as one:
        await one.tasks.record_upload("account", "caller", UPLOAD)
        image = replace(UPLOAD, sha256="ef" * 32, uri="runway://2", seconds=None)
        await one.tasks.record_upload("account", "caller", image)
        assert await one.tasks.find_upload("account", "caller", sha256=UPLOAD.sha256) == UPLOAD
        assert await one.tasks.find_upload("account", "caller", uri="runway://2") == image
        assert await one.tasks.find_upload("account", "caller", uri="runway://3") is None
        assert await one.tasks.find_upload("account", "somebody else", uri="runway://2") is None
        clock.now += UPLOAD_SECONDS - 60
        assert await one.tasks.find_upload("account", "caller", uri="runway://2", kept_seconds=59) == image
        assert await one.tasks.find_upload("account", "caller", uri="runway://2", kept_seconds=60) is None
        await one.tasks.forget_upload("account", "somebody else", "runway://2")
        assert await one.tasks.find_upload("account", "caller", uri="runway://2") == image
        await one.tasks.forget_upload("account", "caller", "runway://2")
        assert await one.tasks.find_upload("account", "caller", uri="runway://2") is None
        assert await one.tasks.find_upload("account", "caller", uri=UPLOAD.uri) == UPLOAD
        clock.now += 60
        assert await one.tasks.find_upload("account", "caller", uri=UPLOAD.uri) is None
        await one.tasks.record_upload("account", "caller", replace(UPLOAD, uri="runway://3"))
        clock.now = NOON
        assert await one.tasks.find_upload("account", "caller", uri="runway://2") is None


async def test_of_tasks_seen_while_the_file_is_held_the_latest_are_kept(place: Place) -> None:
    async with history(place) as one:
        for index in range(MAX_UNWRITTEN + 1):
            one.tasks.see("account", str(index), Seen("RUNNING"))
        assert len(one.tasks.unwritten) == MAX_UNWRITTEN
        assert ("account", "0") not in one.tasks.unwritten


async def test_one_process_at_a_time_may_save_a_task(place: Place) -> None:
    """Another one once the claim was given up, or not renewed in time; nobody once it is saved."""
    clock = Clock()
    async with history(place, clock) as one:
        number = await start(one, request=replace(KITE, save=True))
        assert await one.tasks.claim(number)
        assert not await one.tasks.claim(number)
        clock.now += CLAIM_SECONDS - 1
        assert await one.tasks.claim(number, renew=True)
        clock.now += CLAIM_SECONDS - 1
        assert not await one.tasks.claim(number)
        clock.now += 1
        assert await one.tasks.claim(number)
        await one.tasks.release(number)
        assert await one.tasks.claim(number)
        await one.tasks.mark_saving(number, "saved")
        assert not await one.tasks.claim(number, renew=True)


async def test_the_files_of_other_outputs_are_known(place: Place) -> None:
    async with history(place) as one:
        first, second = await start(one, "a"), await start(one, "b")
        await one.tasks.record_saved(first, [SAVED, replace(SAVED, position=2, path="/films/kite-2.mp4")])
        await one.tasks.record_saved(second, [replace(SAVED, path="/films/boat.mp4")])
        assert await one.tasks.saved_by_others(first, 1, "/films/kite") == ["/films/kite-2.mp4"]
        assert await one.tasks.saved_by_others(second, 1, "/films/kite") == ["/films/kite-2.mp4", "/films/kite.mp4"]


@pytest.mark.parametrize("odd", ["\0", "\ud800"])
async def test_characters_that_no_database_keeps_are_replaced_in_any(odd: str, place: Place) -> None:
    async with history(place) as one:
        text = f"a{odd}kite"
        begun = await one.begin(replace(KITE, prompt=text, model=text, client_token=text), lambda _: None)
        await one.record_result(begun.number, task_id="task", cost=1)
        one.tasks.see("account", "task", Seen(f"NEW{odd}"))
        (found,) = (await one.tasks.page("account", "caller", TaskQuery(text=text, status=f"NEW{odd}"))).tasks
        assert (found.prompt, found.model, found.status) == ("a\ufffdkite", "a\ufffdkite", "NEW\ufffd")
        assert not (await one.begin(replace(KITE, client_token=text), lambda _: None)).is_new


async def test_a_number_over_64_bits_is_that_of_no_start(place: Place) -> None:
    async with history(place) as one:
        await start(one)
        assert await one.find(2**64) is None
        assert len((await one.tasks.page("account", "caller", TaskQuery(before=2**70))).tasks) == 1
