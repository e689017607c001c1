"""What goes wrong with files: a storage that fails, and downloads that are slow or break."""

from contextlib import suppress

import anyio
import httpx2
from sandbox_client import Client
from sandbox_wires import Wire, client_of, in_process, over_a_socket, serving, wires
from support.waiting import until

from runway_mcp.sandbox import SAMPLES, Fault, create_app
from runway_mcp.sandbox.faults import Drip


async def _link(client: Client) -> str:
    return str((await client.task(SAMPLES["succeeded_video"].id))["output"][0])


@wires
async def test_the_storage_fails_once(wire: Wire) -> None:
    async with wire("POST /storage 503 @1") as client:
        await client.create()
        slot = await client.slot()
        assert (await client.store(slot)).status_code == 503
        refused = await client.start("/v1/image_upscale", imageUri=slot["runwayUri"])
        assert refused.status_code == 400
        await client.create("/v1/image_upscale", imageUri=await client.upload())


async def test_a_path_stands_for_what_lies_below_it() -> None:
    async with in_process("GET /v1/tasks 503 @2", "GET /v1/task 500", "ANY /v1 502 @4") as client:
        answers = [(await client.http.get("/v1/organization")).status_code]
        answers += [(await client.http.get(f"/v1/tasks/{SAMPLES['running'].id}")).status_code for _ in range(4)]
        assert answers == [200, 200, 503, 502, 200]


async def test_a_download_breaks_after_so_many_bytes() -> None:
    async with over_a_socket("GET /outputs 1000B") as client:
        link = await _link(client)
        got = bytearray()
        async with client.http.stream("GET", link) as answer:
            assert answer.status_code == 200
            with suppress(httpx2.RemoteProtocolError):
                async for chunk in answer.aiter_raw():
                    got += chunk
        assert len(got) == 1000
        size = int(answer.headers["Content-Length"])
        rest = {"Range": f"bytes={size - 1000}-", "If-Range": answer.headers["ETag"]}
        assert len((await client.http.get(link, headers=rest)).content) == 1000


@wires
async def test_a_slow_download_is_whole(wire: Wire) -> None:
    async with wire("GET /outputs 1000000B/s @1") as client:
        link = await _link(client)
        started = anyio.current_time()
        slow = await client.http.get(link)
        assert anyio.current_time() - started >= len(slow.content) / 1_000_000
        assert slow.content == (await client.http.get(link)).content


async def test_a_slow_download_ends_when_the_client_leaves() -> None:
    app = create_app(faults=[Fault("GET", Drip(1), path="/outputs")])
    async with serving(app) as (url, server):
        async with client_of(url) as client, client.http.stream("GET", await _link(client)) as answer:
            assert answer.status_code == 200
            assert server.server_state.tasks
        await until(lambda: not server.server_state.tasks, "the slow answer to end", timeout=5)
