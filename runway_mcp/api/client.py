"""The one client of the Runway API: authenticated, bounded in time and size, honest in its errors.

A read is repeated where that can help; a DELETE is sent once, for only the caller can
tell from the task itself whether sending it again is right.
"""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from random import random as system_random
from time import monotonic

import anyio
import httpx2
from pydantic import JsonValue, SecretStr

from runway_mcp import __version__
from runway_mcp.api import retry
from runway_mcp.api.errors import (
    AuthenticationError,
    BadRequestError,
    NotFoundError,
    RunwayError,
    TransientError,
    UnexpectedReplyError,
)
from runway_mcp.api.models import Created, Task, TaskId, parse_created, parse_json, parse_task
from runway_mcp.api.reply import Reply, foreign, raise_for, typed_errors
from runway_mcp.api.spans import client_span

TASK = "/v1/tasks/{id}"
ORGANIZATION = "/v1/organization"
NO_TASK = TaskId("00000000-0000-0000-0000-000000000000")
"""An id that no task has."""
USER_AGENT = f"runway-mcp/{__version__}"
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a reply, after decompression, that are read before it is refused."""
SHORTEST_SECRET = 16
"""Characters from which on a key is looked for in replies; a shorter one is a placeholder or a word."""

Observe = Callable[[str, int | None, float], None]
"""Hears of each request: its endpoint, the status that came back or None, and the seconds that it took."""

MISSING_KEY = (
    "No Runway API key is set, so nothing was sent. Set the environment variable RUNWAYML_API_SECRET "
    "(or RUNWAY_API_KEY) in the host's configuration of this server and restart it; "
    "keys are made at https://dev.runwayml.com/."
)
UNUSABLE_NETWORK = (
    "The proxy or certificate settings of this machine can't be used, so nothing was sent. Mend HTTPS_PROXY, "
    "HTTP_PROXY or ALL_PROXY (http:// or https://), or SSL_CERT_FILE, SSL_CERT_DIR or --ca-file (PEM)."
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each part of a call may take.

    `attempt` bounds one request and its whole reply, `total` a read with all its retries:
    below the 60 s after which common MCP hosts give up on a tool call.
    """

    connect: float = 5
    read: float = 15
    write: float = 10
    pool: float = 5
    attempt: float = 20
    delete: float = 8
    create: float = 30
    reach: float = 5
    total: float = 45


class RunwayAuth(httpx2.Auth):
    """Puts the bearer token and the API's version on every request, and shows neither key nor token."""

    def __init__(self, key: SecretStr, version: str) -> None:
        self._key = key
        self._version = version

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Send `request` with its credentials."""
        request.headers["Authorization"] = f"Bearer {self._key.get_secret_value()}"
        request.headers["X-Runway-Version"] = self._version
        yield request

    def redact(self, text: str) -> str:
        """Return `text` without the key, should somebody upstream have echoed it."""
        key = self._key.get_secret_value()
        return text.replace(key, "[API key]") if len(key) >= SHORTEST_SECRET else text

    def __repr__(self) -> str:
        return f"RunwayAuth(key={self._key!r}, version={self._version!r})"


class RunwayClient:
    """The endpoints of the Runway API that a task's life needs.

    Made by `open_client`. Every method raises a `RunwayError` for whatever goes wrong and
    ends within the deadlines of its `Timeouts`.
    """

    def __init__(
        self,
        connect: Callable[[], httpx2.AsyncClient],
        *,
        redact: Callable[[str], str] = str,
        timeouts: Timeouts = Timeouts(),
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        random: Callable[[], float] = system_random,
        observe: Observe | None = None,
    ) -> None:
        self._observe = observe
        self._connect = connect
        self._pool: httpx2.AsyncClient | None = None
        self._base = ""
        self._redact = redact
        self._timeouts = timeouts
        self._sleep = sleep
        self._random = random

    async def get_task(self, task_id: TaskId, *, within: float | None = None) -> Task:
        """Return a task as it stands, by `GET /v1/tasks/{id}`.

        Args:
            task_id: The task.
            within: Seconds that the read may take with its retries; the client's total where not given.

        Raises:
            NotFoundError: There is no such task, or it was cancelled or deleted.
            RunwayError: Any other failure; retries are already spent.
        """
        reply = await self._read(TASK, task_id, within or self._timeouts.total)
        try:
            return parse_task(parse_json(reply.body, reply.redact), task_id)
        except ValueError as error:
            raise UnexpectedReplyError(
                f"Runway answered {reply.status}, but not with a task: {error} ({reply.content_type}, "
                f"{len(reply.body)} bytes). A proxy or a wrong base URL may have answered in its place.",
                status=reply.status,
            ) from error

    async def delete_task(self, task_id: TaskId) -> None:
        """Cancel an active task or delete a finished one, by one `DELETE /v1/tasks/{id}`.

        Never repeated here: which of the two it does depends on the task's state when it arrives.

        Raises:
            NotFoundError: It is already gone.
            RunwayError: Any other failure; its `applied` says whether the task may be changed all the same.
        """
        reply = await self._send("DELETE", TASK, task_id, within=self._timeouts.delete)
        if not reply.is_from_the_api:
            raise foreign(reply)

    async def create_task(self, endpoint: str, body: Mapping[str, JsonValue]) -> Created:
        """Start a task, by `POST` to one of the API's endpoints.

        Sent again only where it certainly did not arrive, or was refused for there being too many: a task
        that was started unseen would be bought twice.

        Raises:
            BadRequestError: The API does not take it, or has no such endpoint.
            RunwayError: Any other failure; its `applied` says whether a task may have been started and charged.
        """
        deadline = monotonic() + self._timeouts.total
        attempt = 0
        while True:
            within = min(self._timeouts.create, deadline - monotonic())
            try:
                reply = await self._send("POST", endpoint, within=within, body=body, resends=attempt)
                break
            except NotFoundError:
                raise BadRequestError(
                    f"Runway does not know {endpoint}, or something that the input names (404): nothing was started.",
                    status=404,
                ) from None
            except TransientError as error:
                attempt += 1
                error.attempts = attempt
                wait = self._wait_before_retry(error, attempt)
                if error.applied or wait is None or monotonic() + wait + self._timeouts.create > deadline:
                    raise
            await self._sleep(wait)
        try:
            return parse_created(parse_json(reply.body, reply.redact))
        except ValueError as error:
            raise UnexpectedReplyError(
                f"Runway answered {reply.status}, but not with a started task: {error} ({reply.content_type}).",
                status=reply.status,
                applied=True,
            ) from error

    async def get_organization(self) -> Mapping[str, JsonValue]:
        """Return the account behind the key, by `GET /v1/organization`: balance, limits, today's use.

        Raises:
            RunwayError: It could not be read; retries are already spent.
        """
        reply = await self._read(ORGANIZATION, None, self._timeouts.total)
        found = reply.json()
        if not isinstance(found, dict):
            raise foreign(reply)
        return found

    async def reach(self) -> None:
        """See whether the API answers and accepts the key, by one small read that is not repeated.

        Raises:
            RunwayError: It does not; with a `status` it was reached all the same.
        """
        with suppress(NotFoundError):
            await self._send("GET", TASK, NO_TASK, within=self._timeouts.reach)

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _read(self, endpoint: str, task_id: TaskId | None, within: float) -> Reply:
        deadline = monotonic() + within
        attempt = 0
        while True:
            left = deadline - monotonic()
            try:
                return await self._send(
                    "GET", endpoint, task_id, within=min(self._timeouts.attempt, left), resends=attempt
                )
            except TransientError as error:
                attempt += 1
                error.attempts = attempt
                wait = self._wait_before_retry(error, attempt)
                if wait is None or monotonic() + wait >= deadline:
                    raise
            await self._sleep(wait)

    def _wait_before_retry(self, error: TransientError, attempt: int) -> float | None:
        if attempt > retry.RETRIES:
            return None
        if error.retry_after is None:
            return retry.delay(attempt, self._random)
        return error.retry_after if error.retry_after <= retry.LONGEST_RETRY_AFTER else None

    async def _send(
        self,
        method: str,
        endpoint: str,
        task_id: TaskId | None = None,
        *,
        within: float,
        body: Mapping[str, JsonValue] | None = None,
        resends: int = 0,
    ) -> Reply:
        if self._pool is None:
            self._pool = self._connect()
            self._base = str(self._pool.base_url).rstrip("/")
        started = monotonic()
        with client_span(method, endpoint, server=self._pool.base_url, resends=resends) as exchange:
            try:
                reply = await self._exchange(self._pool, method, self._base + endpoint.format(id=task_id), body, within)
                exchange.status = reply.status
            except RunwayError as error:
                exchange.status = error.status
                raise
            finally:
                if self._observe is not None:
                    self._observe(f"{method} {endpoint}", exchange.status, monotonic() - started)
        return reply

    async def _exchange(
        self, pool: httpx2.AsyncClient, method: str, url: str, sent: Mapping[str, JsonValue] | None, within: float
    ) -> Reply:
        with typed_errors(within):
            with anyio.fail_after(within):
                async with pool.stream(method, url, json=sent) as response:
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > LARGEST_BODY:
                            raise UnexpectedReplyError(
                                f"Runway's reply is over {LARGEST_BODY // 1024**2} MiB and was not read on.",
                                status=response.status_code,
                                applied=True,
                            )
        reply = Reply(response.status_code, response.headers, bytes(body), self._redact)
        if not response.is_success:
            raise_for(reply)
        return reply


@asynccontextmanager
async def open_client(
    *,
    api_key: SecretStr | None,
    base_url: str,
    api_version: str,
    ca_file: Path | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    timeouts: Timeouts = Timeouts(),
    missing_key: str | None = MISSING_KEY,
    observe: Observe | None = None,
) -> AsyncGenerator[RunwayClient]:
    """Open the process's one client of the Runway API, and close it at the end.

    Its connection pool is made with the first request: loading the trust store takes time that would be
    added to every start of a host.

    Args:
        api_key: The bearer token; without one every call raises `AuthenticationError`.
        base_url: Where the API is, without `/v1`.
        api_version: The `X-Runway-Version` of every request.
        ca_file: Certificates in PEM form that are trusted beside the operating system's.
        transport: What carries the requests instead of the network.
        timeouts: The bounds of every call.
        missing_key: What is said of every call where there is no key; None where it is sent all the same.
        observe: Hears of each request.
    """

    def connect() -> httpx2.AsyncClient:
        if auth is None and missing_key is not None:
            raise AuthenticationError(missing_key)
        encrypted = base_url.startswith("https:")
        try:
            return httpx2.AsyncClient(
                auth=auth,
                base_url=base_url,
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                timeout=httpx2.Timeout(
                    connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=timeouts.pool
                ),
                limits=httpx2.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30),
                follow_redirects=False,
                # http is only for this machine (see the settings): no proxy may see the key on its way there.
                trust_env=encrypted,
                verify=trust(ca_file) if encrypted and transport is None else True,
                transport=transport,
            )
        except (ImportError, ValueError, OSError, httpx2.InvalidURL):
            raise RunwayError(UNUSABLE_NETWORK) from None

    auth = RunwayAuth(api_key, api_version) if api_key else None
    client = RunwayClient(connect, redact=auth.redact if auth else str, timeouts=timeouts, observe=observe)
    try:
        yield client
    finally:
        await client.aclose()


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Return the operating system's trust store, and the certificates of `ca_file` beside it."""
    context = httpx2.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
