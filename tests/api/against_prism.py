"""What the client sends to start a task, judged by a mock of the API that others made. `scripts/prism` runs it.

Every model of the API's document gets the catalogue's example and an input with every field, and then what is
wrong in one place each, for a judge that refuses nothing proves nothing. What only newer sources have is left out.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping

import anyio
import httpx2
from pydantic import JsonValue, SecretStr
from support.catalogue_script import MODELS, full_input
from support.sources import document_models, older_input

from runway_mcp.api.client import RunwayClient, open_client
from runway_mcp.api.errors import BadRequestError, RunwayError
from runway_mcp.catalogue.lookup import Model, TaskType
from runway_mcp.catalogue.validation import prepare

LONGEST = 60
"""Seconds that all of it may take."""
VERSION = "2024-11-06"
UNPROCESSABLE = 422


class Judge(httpx2.AsyncHTTPTransport):
    """Sends over the network, and keeps what the mock had against the last request; empty where nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.violations = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.violations = ""
        response = await super().handle_async_request(request)
        self.violations = response.headers.get("sl-violations", "")
        return response


def wrong(kind: TaskType, model: Model) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    # fields that the model lacks are not among it: for some models the document does not exclude them
    full = older_input(kind.endpoint, model.name, full_input(model))
    required = model.schema.get("required")
    for name in required if isinstance(required, list) else []:
        yield f"no {name}", {key: value for key, value in full.items() if key != name}
    for name in full:
        yield f"an impossible {name}", {**full, name: {"notAValue": [None]}}


async def judge(client: RunwayClient, judged: Judge) -> str:
    counts: Counter[str] = Counter()
    findings: list[str] = []
    for kind, model in MODELS:
        if model.name not in document_models().get(kind.endpoint, {}):
            counts["left out, for the document lacks them"] += 1
            continue
        for what, newest in (("example", dict(model.example)), ("full input", full_input(model))):
            given = older_input(kind.endpoint, model.name, newest)
            counts[f"accepted: {what}"] += 1
            if trouble := await _trouble(client, judged, kind.name, given):
                findings.append(f"{kind.name} {model.name}, {what}: {trouble}")
        for what, body in wrong(kind, model):
            counts["refused: wrong input"] += 1
            if not await _is_refused(client, judged, kind.endpoint, body):
                findings.append(f"{kind.name} {model.name}: accepted with {what}")
    assert not findings, "\n".join(findings)
    return ", ".join(f"{number} {what}" for what, number in counts.items())


async def _trouble(client: RunwayClient, judged: Judge, kind: str, given: dict[str, JsonValue]) -> str:
    prepared = prepare(kind, given)
    try:
        await client.create_task(prepared.endpoint, prepared.body)
    except RunwayError as error:
        return f"{error} {judged.violations}"
    return judged.violations


async def _is_refused(client: RunwayClient, judged: Judge, endpoint: str, body: Mapping[str, JsonValue]) -> bool:
    # past our own check; the mock refuses with the API's own 400 and a header, or a 422 where there is no 400
    try:
        await client.create_task(endpoint, body)
    except BadRequestError as error:
        return bool(judged.violations) or error.status == UNPROCESSABLE
    return False


async def main(url: str) -> None:
    judged = Judge()
    with anyio.fail_after(LONGEST):
        async with open_client(
            api_key=SecretStr("a key of the mock's"), base_url=url, api_version=VERSION, transport=judged
        ) as client:
            sys.stdout.write(f"{await judge(client, judged)}\n")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
