"""A clock to move by hand and a client of a sandbox that runs in this process."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from sandbox_bodies import body_for
from starlette.applications import Starlette

HEADERS: Mapping[str, str] = {"Authorization": "Bearer key", "X-Runway-Version": "2024-11-06"}
START = 1_800_000_000.5
FILE = bytes(range(256)) * 3


class Clock:
    """UNIX seconds that pass only when a test says so, and by ``tick`` at each reading."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = START
        self.tick = tick

    def __call__(self) -> float:
        """Read the clock."""
        self.now += self.tick
        return self.now


class Client:
    """What the tests do with a sandbox, in a few words."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def create(self, path: str = "/v1/text_to_video", **changed: object) -> str:
        """Start a task from a valid body with these changes; returns its id."""
        answer = await self.start(path, **changed)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def start(self, path: str = "/v1/text_to_video", **changed: object) -> httpx2.Response:
        """Ask for a task, from a valid body with these changes; returns the answer."""
        return await self.http.post(path, json=body_for(path, **changed))

    async def slot(self, filename: str = "a.png") -> dict[str, Any]:
        """Ask for a place in the storage."""
        answer = await self.http.post("/v1/uploads", json={"filename": filename, "type": "ephemeral"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def store(self, slot: Mapping[str, Any], content: bytes = FILE) -> httpx2.Response:
        """Put a file into a place, as a browser would send the form."""
        request = self.http.build_request(
            "POST", slot["uploadUrl"], data=slot["fields"], files={"file": ("a", content)}
        )
        del request.headers["Authorization"]
        return await self.http.send(request)

    async def upload(self, filename: str = "a.png", content: bytes = FILE) -> str:
        """Upload a file; returns its URI."""
        slot = await self.slot(filename)
        answer = await self.store(slot, content)
        assert answer.status_code == 204, answer.text
        return str(slot["runwayUri"])

    async def task(self, task_id: str) -> dict[str, Any]:
        """Read a task that is there."""
        answer = await self.http.get(f"/v1/tasks/{task_id}")
        assert answer.status_code == 200
        return dict(answer.json())

    async def status(self, task_id: str) -> str:
        """A task's status, or ``gone``."""
        answer = await self.http.get(f"/v1/tasks/{task_id}")
        return "gone" if answer.status_code == 404 else str(answer.json()["status"])

    async def delete(self, task_id: str) -> int:
        """Cancel or delete a task; returns the HTTP status."""
        return (await self.http.delete(f"/v1/tasks/{task_id}")).status_code

    async def usage(self, **days: str) -> dict[str, Any]:
        """Read the credits used, by day and model."""
        return dict((await self.http.post("/v1/organization/usage", json=days)).json())

    async def organization(self) -> dict[str, Any]:
        """Read limits, credits and usage."""
        return dict((await self.http.get("/v1/organization")).json())


@asynccontextmanager
async def connected(app: Starlette) -> AsyncGenerator[Client, None]:
    """Open a client of a sandbox, with a key and the API's version."""
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://runway.test", headers=dict(HEADERS)) as http:
        yield Client(http)
