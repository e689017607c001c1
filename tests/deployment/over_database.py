"""Four replicas over one PostgreSQL database, used by real clients at once. `scripts/replicas` runs it.

What it sees is printed; whatever does not hold ends it with an error. The argument is how many tokens are sent to all
replicas at once.
"""

import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import anyio
import httpx2
from deployment.databases import Postgres, running_postgres
from deployment.processes import KEY, Deployment
from mcp import Client
from mcp_types import CallToolResult
from support.served import NO_TRUST, start_task
from support.waiting import until

from runway_mcp.sandbox import SAMPLES

TOKENS_AT_ONCE = 6
STARTS, PRICE = 200, 60
DAY_LIMIT = 1_800
"""Credits that all starts of the day may cost, above those of the tokens."""
WAITED = "Other tasks are being started"
AWAY = "The database of the history can't be used now"
BACK_SECONDS = 10
WISH: dict[str, Any] = {"type": "sound_effect", "input": {"promptText": "Waves"}, "wait": False}
VIDEO: dict[str, Any] = {
    "type": "text_to_video",
    "input": {"model": "gen4.5", "promptText": "Waves", "ratio": "1280:720", "duration": 5},
    "wait": False,
}


class Run:
    """The replicas' clients, and what the simulated Runway tells."""

    def __init__(self, deployment: Deployment, clients: list[Client]) -> None:
        self.deployment, self.clients = deployment, clients

    async def bought(self) -> tuple[int, int]:
        """Return how many tasks there are at Runway, and the credits that are left."""
        headers = {"Authorization": f"Bearer {KEY}", "X-Runway-Version": "2024-11-06"}
        async with httpx2.AsyncClient(headers=headers, trust_env=False, verify=NO_TRUST) as http:
            told = (await http.get(f"{self.deployment.api}/v1/organization")).json()
        return sum(one["dailyGenerations"] for one in told["usage"]["models"].values()), told["creditBalance"]

    async def at_all(self, tool: str, arguments: dict[str, Any]) -> list[CallToolResult]:
        """Send a call to all replicas at once."""
        results: list[CallToolResult] = []

        async def call(client: Client) -> None:
            results.append(await client.call_tool(tool, arguments))

        async with anyio.create_task_group() as calls:
            for client in self.clients:
                calls.start_soon(call, client)
        return results

    async def start(self, number: int, **arguments: object) -> CallToolResult:
        client = self.clients[number % len(self.clients)]
        return await client.call_tool("runway_startTask", {**WISH, **arguments})


async def one_purchase(run: Run, count: int) -> str:
    """One token that is sent to all replicas at once buys one task."""
    outcomes: Counter[str] = Counter()
    limiter = anyio.CapacityLimiter(TOKENS_AT_ONCE)
    before, _ = await run.bought()
    begun = perf_counter()

    async def send(number: int) -> None:
        ids: set[str] = set()
        results: list[CallToolResult] = []
        async with limiter:
            while not ids:  # with a day's limit, starts that waited too long for their turn are repeated
                results = await run.at_all("runway_startTask", {**WISH, "clientToken": f"at-once-{number}"})
                assert all("othing" in text_of(result) for result in results if result.is_error), results
                ids = {told(result, "id") for result in results if not result.is_error}
                outcomes.update(text_of(result)[:50] if result.is_error else "the task" for result in results)
        assert len(ids) == 1, results

    async with anyio.create_task_group() as tokens:
        for number in range(count):
            tokens.start_soon(send, number)
    seconds = perf_counter() - begun
    after, _ = await run.bought()
    assert after - before == count, (before, after)
    return (
        f"one token to four replicas at once, {count} times: {after - before} tasks at Runway; "
        f"answers: {dict(outcomes)}; {outcomes.total() / seconds:.0f} calls/s"
    )


async def moving_waits(run: Run, count: int = 8) -> str:
    """A wait that one replica began ends on another."""
    moves: list[int] = []

    async def wait(number: int) -> None:
        task_id = await start_task(run.deployment.api, KEY)
        for move in range(20):
            client = run.clients[(number + move) % 4]
            result = await client.call_tool("runway_waitForTask", {"taskId": task_id, "timeoutSeconds": 5})
            if told(result, "status") == "SUCCEEDED":
                moves.append(move)
                return
        raise AssertionError(task_id)

    async with anyio.create_task_group() as waits:
        for number in range(count):
            waits.start_soon(wait, number)
    assert any(moves), moves
    return f"waits: of {count}, {sum(map(bool, moves))} began on one replica and ended on another"


async def day_limit(run: Run, postgres: Postgres, limit: int) -> str:
    """Of many starts at once over all replicas, only those that the day's limit allows are sent."""
    before, _ = await run.bought()
    results: list[CallToolResult] = []
    rounds: list[int] = []
    spent = 0.0

    async def start(number: int) -> None:
        results.append(await run.start(number, **VIDEO))

    while not results or any(WAITED in text_of(result) for result in results):
        results.clear()
        async with anyio.create_task_group() as starts:
            for number in range(STARTS):
                starts.start_soon(start, number)
        wrong = [text_of(result) for result in results if result.is_error and "Nothing was sent" not in text_of(result)]
        assert not wrong, wrong[:5]
        rounds.append(sum(not result.is_error for result in results))
        spent = float(await postgres.query("SELECT sum(credits) FROM runway_mcp.starts"))
        assert spent <= limit, (spent, limit)
    after, _ = await run.bought()
    assert after - before == sum(rounds), (before, after, rounds)
    assert spent > limit - PRICE, (spent, limit)
    return (
        f"day's limit: {STARTS} starts at once over four replicas, repeated while any waited too long for its turn: "
        f"{rounds} were sent; {spent:,.0f} credits of {limit:,} are spent"
    )


async def killed_database(run: Run, postgres: Postgres) -> str:
    """The database is killed in the middle of starts, and comes back: nothing is bought twice, nothing restarts."""
    tokens = [f"killed-{number}" for number in range(40)]
    first: dict[str, CallToolResult] = {}
    before, _ = await run.bought()
    pids = [replica.server.process.pid for replica in run.deployment.replicas]

    async def start(number: int, token: str) -> None:
        first[token] = await run.start(number, clientToken=token)

    async with anyio.create_task_group() as starts:
        for number, token in enumerate(tokens):
            starts.start_soon(start, number, token)
        await until(lambda: first, "the first start")
        await postgres.kill()
    sent, _ = await run.bought()
    words = await meanwhile(run)
    assert (await run.bought())[0] == sent + 1  # what is waited for, which was started past the replicas
    await postgres.start()
    back = await starts_again(run)
    again = [await run.start(number + 1, clientToken=token) for number, token in enumerate(tokens)]
    for token, result in zip(tokens, again, strict=True):
        if not result.is_error and not first[token].is_error:
            assert told(result, "id") == told(first[token], "id")
    bought = (await run.bought())[0] - before - 1 - len(run.clients)
    known = sum(not result.is_error for result in again)
    cancelled = sum("cancelled" in text_of(result) for result in first.values())  # for the day's sum was unknown
    assert known <= bought <= len(tokens) + cancelled, (known, bought, cancelled)
    assert not any("fault of this server" in text_of(result) for result in (*first.values(), *again)), first
    assert [replica.server.process.pid for replica in run.deployment.replicas] == pids
    assert all(replica.server.process.returncode is None for replica in run.deployment.replicas)
    unknown = Counter(text_of(result)[:70] for result in again if result.is_error)
    return (
        f"database killed during {len(tokens)} starts: {sent - before} were sent by then; {words}\n"
        f"database back: each replica starts again within {back:.1f} s; after repeating all tokens {known} tell their "
        f"task, and Runway has {bought} for {len(tokens)} tokens, {cancelled} of them "
        f"cancelled at once; the others: {dict(unknown)}"
    )


async def meanwhile(run: Run) -> str:
    """Without the database starts are refused in plain words, and all else goes on."""
    refused = await run.at_all("runway_startTask", WISH)
    assert all(result.is_error and AWAY in text_of(result) for result in refused), refused
    reads = await run.at_all("runway_getTask", {"taskId": SAMPLES["succeeded_images"].id})
    waits = await run.at_all("runway_waitForTask", {"taskId": await start_task(run.deployment.api, KEY)})
    assert {told(result, "status") for result in reads + waits} == {"SUCCEEDED"}, (reads, waits)
    first, second, *_ = run.clients
    cancelled = await first.call_tool("runway_cancelTask", {"taskId": SAMPLES["pending"].id})
    deleted = await second.call_tool("runway_deleteTask", {"taskId": SAMPLES["succeeded_audio"].id})
    assert (told(cancelled, "done"), told(deleted, "done")) == ("cancelled", "deleted"), (cancelled, deleted)
    return "4 starts were refused, 4 reads, 4 waits, a cancel and a delete went on"


async def starts_again(run: Run) -> float:
    """Return the seconds until the last replica starts tasks again."""
    begun = perf_counter()
    with anyio.fail_after(BACK_SECONDS):
        for number, _ in enumerate(run.clients):
            while (result := await run.start(number)).is_error:
                assert AWAY in text_of(result), result
                await anyio.sleep(0.1)
    return perf_counter() - begun


def told(result: CallToolResult, field: str) -> Any:
    found: dict[str, Any] = result.structured_content or {}
    assert field in found, result
    return found[field]


def text_of(result: CallToolResult) -> str:
    return " ".join(getattr(block, "text", "") for block in result.content)


async def main(count: int) -> None:
    with TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            postgres = await stack.enter_async_context(running_postgres())
            limit = DAY_LIMIT + 2 * (count + 100)
            deployment = Deployment(Path(folder), postgres, f"--max-credits-per-day={limit}", replicas=4)
            await stack.enter_async_context(deployment.running())
            clients = [await stack.enter_async_context(deployment.direct(replica)) for replica in deployment.replicas]
            run = Run(deployment, clients)
            try:
                say(await moving_waits(run))
                say(await one_purchase(run, count))
                say(await killed_database(run, postgres))
                say(await day_limit(run, postgres, limit))
            except Exception:
                for replica in deployment.replicas:
                    say(*(line for line in replica.server.stderr.splitlines() if '"info"' not in line))
                raise


def say(*texts: str) -> None:
    sys.stdout.write("\n".join([*texts, ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
