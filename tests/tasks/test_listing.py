"""A listing ends in time, whatever Runway does."""

import anyio
import httpx2
from support.scripted import ID, Script, context_of, reply, scripted_client

from runway_mcp.catalogue.validation import prepare
from runway_mcp.history.task_records import TaskQuery
from runway_mcp.spending.starter import Starter
from runway_mcp.tasks.listing import list_tasks

CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 60}})
KITE = prepare("text_to_video", {"promptText": "A red kite", "ratio": "1280:720", "duration": 5})


class Silent(Script):
    """Answers a create, and no read."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            await anyio.sleep_forever()
        return await super().handle_async_request(request)


async def test_a_task_of_which_no_answer_comes_keeps_its_status() -> None:
    with anyio.fail_after(20):
        async with scripted_client(Silent(CREATED)) as client, context_of(client) as context:
            await Starter(context).start(KITE)
            listing = await list_tasks(context, TaskQuery(), look_seconds=0.05)
    assert [(found.status, found.credits) for found in listing.page.tasks] == [("PENDING", 60)]
    assert listing.unread == {ID: None}
