"""A clock to move by hand, valid bodies, and a client of a sandbox that runs in this process."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from starlette.applications import Starlette

from runway_mcp.catalogue.lookup import task_types

HEADERS: Mapping[str, str] = {"Authorization": "Bearer key", "X-Runway-Version": "2024-11-06"}
START = 1_800_000_000.5
FILE = bytes(range(256)) * 3

IMAGE, VIDEO, AUDIO = (f"https://example.com/a.{suffix}" for suffix in ("png", "mp4", "mp3"))

BY_PATH = {kind.endpoint: kind for kind in task_types().values()}


def bodies(*, documented_only: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, kind in BY_PATH.items():
        for model in kind.models.values():
            if model.documented or not documented_only:
                yield path, dict(model.example)


def body_for(path: str, **changed: object) -> dict[str, Any]:
    """A valid body for an endpoint's recommended model, or the one in `changed`, with these changes."""
    kind = BY_PATH[path]
    name = changed.get("model") or kind.recommended
    model = kind.models[str(name)] if name else next(iter(kind.models.values()))
    return {**model.example, **changed}


class Clock:
    """UNIX seconds that pass only when a test says so, and by ``tick`` at each reading."""

    def __init__(self, tick: float = 0.0) -> None:
        self.now = START
        self.tick = tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now


class Client:
    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def create(self, path: str = "/v1/text_to_video", **changed: object) -> str:
        answer = await self.start(path, **changed)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def start(self, path: str = "/v1/text_to_video", **changed: object) -> httpx2.Response:
        return await self.http.post(path, json=body_for(path, **changed))

    async def slot(self, filename: str = "a.png") -> dict[str, Any]:
        answer = await self.http.post("/v1/uploads", json={"filename": filename, "type": "ephemeral"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def store(self, slot: Mapping[str, Any], content: bytes = FILE) -> httpx2.Response:
        request = self.http.build_request(
            "POST", slot["uploadUrl"], data=slot["fields"], files={"file": ("a", content)}
        )
        del request.headers["Authorization"]
        return await self.http.send(request)

    async def upload(self, filename: str = "a.png", content: bytes = FILE) -> str:
        slot = await self.slot(filename)
        answer = await self.store(slot, content)
        assert answer.status_code == 204, answer.text
        return str(slot["runwayUri"])

    async def task(self, task_id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/v1/tasks/{task_id}")
        assert answer.status_code == 200
        return dict(answer.json())

    async def status(self, task_id: str) -> str:
        answer = await self.http.get(f"/v1/tasks/{task_id}")
        return "gone" if answer.status_code == 404 else str(answer.json()["status"])

    async def delete(self, task_id: str) -> int:
        return (await self.http.delete(f"/v1/tasks/{task_id}")).status_code

    async def usage(self, **days: str) -> dict[str, Any]:
        return dict((await self.http.post("/v1/organization/usage", json=days)).json())

    async def organization(self) -> dict[str, Any]:
        return dict((await self.http.get("/v1/organization")).json())


@asynccontextmanager
async def connected(app: Starlette) -> AsyncGenerator[Client, None]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://runway.test", headers=dict(HEADERS)) as http:
        yield Client(http)
