"""The client of the Runway API: authenticated, and bounded in time and size.

Reads are retried. A DELETE is sent once: only a look at the task shows whether to send it again.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import random as system_random
from time import monotonic
from typing import Literal

import anyio
import httpx2
from pydantic import JsonValue, SecretStr

from runway_mcp.api import errors, models, retry
from runway_mcp.api.connection import TIMEOUTS, RunwayAuth, Timeouts, open_pool
from runway_mcp.api.errors import RunwayError
from runway_mcp.api.reply import Reply, fetch
from runway_mcp.api.spans import client_span

TASK = "/v1/tasks/{id}"
ORGANIZATION = "/v1/organization"
UPLOADS = "/v1/uploads"

OnApiResponse = Callable[[str, int | None, float], None]
"""Called after each request with its endpoint, the status or None, and the seconds it took."""


@dataclass
class RunwayClient:
    """The endpoints of the Runway API.

    Made by `open_client`. Every method raises a `RunwayError` for whatever goes wrong and
    ends within the deadlines of its `Timeouts`.
    """

    connect: Callable[[], httpx2.AsyncClient]
    redact: Callable[[str], str] = str
    timeouts: Timeouts = TIMEOUTS
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    random: Callable[[], float] = system_random
    on_api_response: OnApiResponse | None = None
    _pool: httpx2.AsyncClient | None = field(default=None, init=False)

    async def get_task(self, task_id: models.TaskId, *, timeout: float | None = None) -> models.Task:
        """Return a task, by `GET /v1/tasks/{id}`; the read may take `timeout` seconds with its retries, or the total.

        Raises:
            NotFoundError: There is no such task, or it was cancelled or deleted.
            RunwayError: Any other failure; retries are already spent.
        """
        reply = await self._send_with_retries("GET", TASK, task_id, total=timeout)
        return reply.parse(lambda value: models.parse_task(value, task_id))

    async def delete_task(self, task_id: models.TaskId) -> None:
        """Cancel an active task or delete a finished one, by one `DELETE /v1/tasks/{id}`.

        Never repeated here: which of the two it does depends on the task's state when it arrives.

        Raises:
            NotFoundError: It is already gone.
            RunwayError: Any other failure; the task may be changed if `may_have_taken_effect`.
        """
        reply = await self._send("DELETE", TASK, task_id, timeout=self.timeouts.delete)
        if reply.body and not isinstance(reply.json(), dict):
            raise reply.unexpected("foreign", may_have_taken_effect=True)

    async def create_task(self, endpoint: str, body: Mapping[str, JsonValue]) -> models.Created:
        """Start a task, by `POST` to one of the API's endpoints.

        Sent again only if it certainly did not arrive, or was refused as one too many: otherwise a task could be
        bought twice.

        Raises:
            BadRequestError: The API does not take it, or has no such endpoint.
            RunwayError: Any other failure; a task may exist and be charged if `may_have_taken_effect`.
        """
        try:
            reply = await self._send_with_retries("POST", endpoint, body=body, once=True)
        except errors.NotFoundError:
            raise errors.BadRequestError(status=404, unknown_endpoint=endpoint) from None
        return reply.parse(models.parse_created, may_have_taken_effect=True)

    async def create_upload(self, filename: str) -> models.UploadSlot:
        """Return a place to put a file of this name, by `POST /v1/uploads`.

        Retried like a read: an unused place costs nothing and soon expires.

        Raises:
            RunwayError: There is none; retries are already spent, and `may_have_taken_effect` is False.
        """
        reply = await self._send_with_retries("POST", UPLOADS, body={"filename": filename, "type": "ephemeral"})
        return reply.parse(models.parse_upload_slot)

    async def get_organization(self) -> Mapping[str, JsonValue]:
        """Return the account behind the key, by `GET /v1/organization`: balance, limits, today's use.

        Raises:
            RunwayError: It could not be read; retries are already spent.
        """
        reply = await self._send_with_retries("GET", ORGANIZATION)
        found = reply.json()
        if not isinstance(found, dict):
            raise reply.unexpected("foreign")
        return found

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _send_with_retries(
        self,
        method: str,
        endpoint: str,
        task_id: models.TaskId | None = None,
        *,
        body: Mapping[str, JsonValue] | None = None,
        total: float | None = None,
        once: bool = False,
    ) -> Reply:
        # with `once` it is never sent again after it may have arrived, nor without the time of a whole attempt
        attempt = self.timeouts.create if once else self.timeouts.attempt
        deadline = monotonic() + (total or self.timeouts.total)
        sent = 0
        while True:
            timeout = min(attempt, deadline - monotonic())
            try:
                return await self._send(method, endpoint, task_id, timeout=timeout, body=body, resends=sent)
            except RunwayError as error:
                error.attempts = sent = sent + 1
                error.may_have_taken_effect &= once
                if isinstance(error, errors.NotFoundError) and task_id is None and not once:
                    raise errors.UnexpectedReplyError(problem="unknown_endpoint", detail=endpoint, status=404) from None
                if not isinstance(error, errors.TransientError):
                    raise
                wait = error.retry_after if error.retry_after is not None else retry.delay(sent, self.random)
                if sent > retry.RETRIES or wait > retry.MAX_RETRY_AFTER or error.may_have_taken_effect:
                    raise
                if monotonic() + wait + (attempt if once else 0) >= deadline:
                    raise
            await self.sleep(wait)

    async def _send(
        self,
        method: str,
        endpoint: str,
        task_id: models.TaskId | None = None,
        *,
        timeout: float,
        body: Mapping[str, JsonValue] | None = None,
        resends: int = 0,
    ) -> Reply:
        if self._pool is None:
            self._pool = self.connect()
        started = monotonic()
        with client_span(method, endpoint, server=self._pool.base_url, resends=resends) as exchange:
            try:
                path = endpoint.format(id=task_id)
                reply = await fetch(self._pool, method, path, body, timeout=timeout, redact=self.redact)
                exchange.status = reply.status
            except RunwayError as error:
                exchange.status = error.status
                raise
            finally:
                if self.on_api_response is not None:
                    self.on_api_response(f"{method} {endpoint}", exchange.status, monotonic() - started)
        return reply


@asynccontextmanager
async def open_client(
    *,
    api_key: SecretStr | None,
    base_url: str,
    api_version: str,
    ca_file: Path | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    timeouts: Timeouts = TIMEOUTS,
    missing_key: Literal["server", "caller"] = "server",
    on_api_response: OnApiResponse | None = None,
) -> AsyncGenerator[RunwayClient]:
    """Open the process's one client of the Runway API, and close it at the end.

    Its connection pool is made with the first request: loading the trust store takes time that would be
    added to every start of a host.

    Without `api_key` every call raises `MissingKeyError`; `missing_key` says whose it is. `base_url` ends before `/v1`.
    The certificates of `ca_file` (PEM) are trusted beside the operating system's. `transport` replaces the network.
    """

    def connect() -> httpx2.AsyncClient:
        if auth is None:
            raise errors.MissingKeyError(of_caller=missing_key == "caller")
        return open_pool(auth, base_url, ca_file=ca_file, transport=transport, timeouts=timeouts)

    auth = RunwayAuth(api_key, api_version) if api_key else None
    client = RunwayClient(
        connect, redact=auth.redact if auth else str, timeouts=timeouts, on_api_response=on_api_response
    )
    try:
        yield client
    finally:
        await client.aclose()
