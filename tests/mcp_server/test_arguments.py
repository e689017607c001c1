"""Arguments as models and hosts write them: taken as meant and said so, or refused with the way out."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import CallToolResult, Request, Result, Tool
from pydantic import ConfigDict
from support.scripted import ID, Script, reply, scripted_client, task, texts

from runway_mcp.api.models import parse_task_id
from runway_mcp.mcp_server.arguments import GATEWAYS_ADD, likely_task_id
from runway_mcp.mcp_server.server import TOOLSETS, build_server
from runway_mcp.tasks.callers import CallerRegistry

OTHER = "17f20503-6c24-4c16-946b-35dbbce2af2f"
BODY = {"promptText": "A red kite", "ratio": "1280:720", "duration": 5}
CREATED = reply(200, {"id": ID, "estimatedCost": {"credits": 5}})
Answer = Callable[[httpx2.Request], httpx2.Response]


def done(request: httpx2.Request) -> httpx2.Response:
    """Answer with whatever task is asked for."""
    return reply(200, {**task("SUCCEEDED"), "id": request.url.path.rpartition("/")[2]})(request)


def api(*steps: Answer) -> Script:
    """Answer a create with the task, and anything else with the steps."""
    rest = chain(steps, repeat(done))

    def answer(request: httpx2.Request) -> httpx2.Response:
        return next(rest)(request) if request.method != "POST" else CREATED(request)

    return Script(answer)


@asynccontextmanager
async def connected(*steps: Answer) -> AsyncGenerator[tuple[Script, Client]]:
    script = api(*steps)
    callers = CallerRegistry(lambda _: scripted_client(script), poll_seconds=0.02)
    with anyio.fail_after(20):
        async with Client(build_server(callers, toolsets=list(TOOLSETS.values()))) as client:
            yield script, client


def note(result: CallToolResult) -> str:
    """The note, which stands in a block of its own and in the structured content."""
    data: dict[str, Any] = result.structured_content or {}
    found = str(data.get("note", ""))
    assert (found in texts(result)) == bool(found)
    return found


def sent(script: Script) -> dict[str, Any]:
    """The body of the one start that was sent."""
    (request,) = [request for request in script.requests if request.method == "POST"]
    body: dict[str, Any] = json.loads(request.content)
    return body


class RawCall(Request[dict[str, Any], str]):
    """A call with whatever params."""


class RawAnswer(Result):
    model_config = ConfigDict(extra="allow")


SAME_ID = {
    "white space": f" {ID}\n",
    "no-break space": f"\N{NO-BREAK SPACE}{ID}",
    "zero width": f"\N{ZERO WIDTH SPACE}{ID[:8]}\N{WORD JOINER}{ID[8:]}",
    "quotes": f'"{ID}"',
    "single quotes": f"'{ID}'",
    "curly quotes": f"\N{LEFT DOUBLE QUOTATION MARK}{ID}\N{RIGHT DOUBLE QUOTATION MARK}",
    "backticks": f"```{ID}```",
    "brackets": f"<{ID}>",
    "bold": f"**{ID}**",
    "full stop": f"{ID}.",
    "capitals": ID.upper(),
    "URL": f"https://api.dev.runwayml.com/v1/tasks/{ID}",
    "URL with a slash": f"https://api.dev.runwayml.com/v1/tasks/{ID}/",
    "URL with a query": f"https://api.dev.runwayml.com/v1/tasks/{ID}?x=1#y",
    "resource": f"runway://tasks/{ID}",
    "label": f"Task ID: {ID}",
    "label without a space": f"task:{ID}",
    "MCP task": f"task start:{ID}",
    "other hyphens": ID.replace("-", "\N{NON-BREAKING HYPHEN}"),
    "dashes": ID.replace("-", "\N{EN DASH}"),
    "no hyphens": ID.replace("-", ""),
    "full width": "".join(chr(ord(sign) + 0xFEE0) for sign in ID),
    "list of one": [ID],
    "list as text": f'["{ID}"]',
}


@pytest.mark.parametrize("tool", ["runway_getTask", "runway_waitForTask", "runway_cancelTask", "runway_deleteTask"])
@pytest.mark.parametrize("written", SAME_ID.values(), ids=SAME_ID)
async def test_an_id_is_taken_in_every_form_that_can_mean_it_alone(tool: str, written: object) -> None:
    async with connected() as (script, client):
        result = await client.call_tool(tool, {"taskId": written})
    assert not result.is_error, texts(result)
    assert set(script.calls) <= {f"GET /v1/tasks/{ID}", f"DELETE /v1/tasks/{ID}"}


@pytest.mark.parametrize(
    "written",
    [
        f"{ID} {OTHER}",
        f"{ID}/{OTHER}",
        f"{ID}:{OTHER}",
        f"[{ID}](https://x.example/{OTHER})",
        f"https://x.example/{OTHER.replace('-', '')}/{ID}",
        f"not {ID}",
        f"{ID} or the other",
        f"https://cdn.example/{ID}.mp4?_jwt=x",
        f"https://cdn.example/{ID}/output.mp4",
        f"{ID[:-1]}",
        f"{ID}0",
        f"{ID}?a=b",
        f"x{ID}",
        ID.replace("-4f5c-", "-1f5c-"),
        [ID, OTHER],
        "the last one",
        "\N{ARABIC-INDIC DIGIT ONE}" * 36,
        "x" * 100_000,
    ],
    ids=lambda text: str(text)[:40],
)
@pytest.mark.parametrize("tool", ["runway_getTask", "cancel-delete-task"])
async def test_what_may_mean_another_task_is_refused_and_nothing_sent(tool: str, written: object) -> None:
    async with connected() as (script, client):
        result = await client.call_tool(tool, {"taskId" if tool == "runway_getTask" else "id": written})
    assert result.is_error
    assert "Nothing was sent to Runway" in texts(result)[0]
    assert script.calls == []


@given(st.text())
def test_no_text_is_taken_for_an_id_that_it_does_not_hold(text: str) -> None:
    assert likely_task_id(text) == text or parse_task_id(likely_task_id(text))[:8] in text.lower()


async def test_an_id_that_was_written_differently_is_told() -> None:
    async with connected() as (_, client):
        result = await client.call_tool("runway_getTask", {"taskId": f"Task ID: {ID}"})
        several = await client.call_tool("runway_waitForTask", {"taskIds": [f"`{OTHER}`", ID]})
        same = await client.call_tool("runway_getTask", {"taskId": f" {ID} "})
    assert note(result).startswith(f'Took the task id {ID} from "Task ID: ')
    assert f'Took the task id {OTHER} from "`{OTHER}`".' in (texts(several) or [""])[-1]
    assert note(same) == ""


LEFT_OUT: list[object] = [None, "", "  ", "null", "None", "NULL", "undefined", [], {}, 0]


async def tools(client: Client) -> list[Tool]:
    return (await client.list_tools()).tools


FULL: dict[str, dict[str, Any]] = {
    "runway_startTask": {"type": "text_to_video", "input": BODY},
    "runway_estimateCost": {"type": "text_to_video", "input": BODY},
    "runway_uploadFile": {"path": "kite.png"},
    "runway_listTasks": {},
    "runway_listTaskTypes": {},
    "runway_getAccount": {},
    "retrieve-task-status-and-output": {"id": ID},
    "cancel-delete-task": {"id": ID},
}
"""Arguments that a tool demands; those of the others are a task's id."""


async def test_a_strict_host_that_fills_in_every_named_field_can_start_any_type() -> None:
    """OpenAI's strict schemas allow no other fields and demand all of these."""
    async with connected() as (script, client):
        (schema,) = [tool.input_schema for tool in await tools(client) if tool.name == "runway_startTask"]
        empty = {
            name: 0 if part["type"] == "number" else ""
            for name, part in schema["properties"]["input"]["properties"].items()
        }
        wish = {"type": "sound_effect", "input": empty | {"promptText": "Waves"}, "wait": False, "clientToken": ""}
        assert not (await client.call_tool("runway_startTask", wish | {"allowUnknown": False})).is_error
    assert sent(script) == {"model": "eleven_text_to_sound_v2", "promptText": "Waves"}


@pytest.mark.parametrize("empty", LEFT_OUT, ids=repr)
async def test_what_hosts_send_for_an_argument_left_out_means_left_out_everywhere(empty: object) -> None:
    """For every optional argument of every tool, by the tools' own schemas."""
    async with connected() as (_, client):
        for tool in await tools(client):
            needed = FULL.get(tool.name, {"taskId": ID})
            plain = await client.call_tool(tool.name, needed)
            for name in tool.input_schema["properties"].keys() - needed.keys():
                if empty == 0 and tool.input_schema["properties"][name].get("minimum") == 0:
                    continue  # a limit of 0 is one
                result = await client.call_tool(tool.name, {**needed, name: empty})
                assert result.content == plain.content, (tool.name, name)


async def test_gateways_own_arguments_pass_everywhere() -> None:
    added = dict.fromkeys(GATEWAYS_ADD, "x")
    async with connected() as (_, client):
        for tool in await tools(client):
            needed = FULL.get(tool.name, {"taskId": ID})
            plain = await client.call_tool(tool.name, needed)
            assert (await client.call_tool(tool.name, {**needed, **added})).content == plain.content


def misspelt(name: str) -> set[str]:
    """Ways in which models misspell a name."""
    snake = "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)
    return {snake, snake.replace("_", "-"), name.upper(), name.capitalize(), name[:-1] + name[-1] * 2} - {name}


async def test_a_misspelt_name_is_refused_by_every_tool_with_the_right_one() -> None:
    async with connected() as (script, client):
        for tool in await tools(client):
            needed = FULL.get(tool.name, {"taskId": ID})
            for name in tool.input_schema["properties"]:
                for wrong in misspelt(name):
                    arguments = {key: value for key, value in needed.items() if key != name} | {
                        wrong: needed.get(name, 1)
                    }
                    result = await client.call_tool(tool.name, arguments)
                    assert result.is_error, (tool.name, wrong)
                    assert f"did you mean {name}" in texts(result)[0], (tool.name, wrong, texts(result))
                    assert "Nothing was sent to Runway" in texts(result)[0]
    assert script.calls == []


UNKNOWN = {"dryRun": True, "budget": 10, "filename": "kite.mp4", "webhook": "https://x.example", "force": True}


@pytest.mark.parametrize("name", UNKNOWN)
async def test_any_other_unknown_name_is_refused_where_something_changes_and_told_where_not(name: str) -> None:
    async with connected() as (script, client):
        for tool in await tools(client):
            before = len(script.calls)
            needed = FULL.get(tool.name, {"taskId": ID})
            result = await client.call_tool(tool.name, {**needed, name: UNKNOWN[name]})
            assert tool.annotations is not None
            if tool.annotations.read_only_hint:
                assert not result.is_error
                assert f"Ignored {name}: {tool.name} takes " in note(result)
            else:
                assert result.is_error
                assert f"{name} is no argument of {tool.name}" in texts(result)[0]
                assert len(script.calls) == before


async def test_a_name_that_hides_or_goes_on_for_ever_is_shown_in_short() -> None:
    async with connected() as (_, client):
        for name in ("x" * 10_000, "a\u202eb", "\ud83d\ude00", "a b\n"):
            result = await client.call_tool("runway_cancelTask", {"taskId": ID, name: 1})
            assert result.is_error
            assert len(texts(result)[0]) < 300
            assert "\u202e" not in texts(result)[0]


@pytest.mark.parametrize(
    ("arguments", "body", "words"),
    [
        (BODY, BODY, "Took promptText, ratio, duration into input."),
        (
            {"input": {"promptText": "A red kite"}, "ratio": "1280:720", "duration": 5},
            BODY,
            "Took ratio, duration into",
        ),
        ({"input": BODY, "model": "veo3.1_fast", "duration": 5}, None, None),
        ({"input": BODY, "seed": 7}, {**BODY, "seed": 7}, "Took seed into input."),
        ({"input": json.dumps(BODY)}, BODY, "Took input from its JSON text."),
        ({"input": None, **BODY}, BODY, "Took promptText"),
        ({"input": {}, **BODY}, BODY, "Took promptText"),
        ({"input": {"json": json.dumps(BODY), "promptText": "", "duration": 0}}, BODY, ""),
        ({"input": {"json": "", **BODY}}, BODY, ""),
        ({"input": {**BODY, "model": "", "promptImage": ""}, "wait": False, "clientToken": ""}, BODY, ""),
    ],
)
async def test_fields_beside_the_input_are_taken_into_it(
    arguments: dict[str, Any], body: dict[str, Any] | None, words: str | None
) -> None:
    async with connected() as (script, client):
        result = await client.call_tool("runway_startTask", {"type": "text_to_video", **arguments})
    if body is None or words is None:
        return
    assert not result.is_error, texts(result)
    assert sent(script) == {"model": "gen4.5", **body}
    assert words in note(result)


@pytest.mark.parametrize("written", ["text-to-video", "TEXT_TO_VIDEO", "textToVideo", " text_to_video "])
async def test_a_task_type_is_taken_in_another_spelling(written: str) -> None:
    async with connected() as (script, client):
        result = await client.call_tool("runway_startTask", {"type": written, **BODY})
        shown = await client.call_tool("runway_listTaskTypes", {"type": written})
    assert script.calls[0] == "POST /v1/text_to_video"
    assert ("Took type text_to_video from" in note(result)) == (written.strip() != "text_to_video")
    assert not shown.is_error


@pytest.mark.parametrize("tool", ["runway_waitForTask", "runway_cancelTask", "runway_getTask"])
async def test_a_text_of_more_values_than_a_tool_takes_is_not_decoded(tool: str) -> None:
    """Decoded, it would take fifty times its size."""
    async with connected() as (script, client):
        for name, text in (("taskId", f"[{'{},' * 5_000}1]"), ("taskIds", f"[{'1,' * 5_000}1]")):
            result = await client.call_tool(tool, {name: text})
            assert result.is_error
        wish = {"type": "text_to_video", "input": f'{{"a": [{"{}," * 5_000}1]}}'}
        assert "JSON values" in texts(await client.call_tool("runway_startTask", wish))[0]
    assert script.calls == []


async def test_arguments_that_are_json_text_are_read() -> None:
    """Some gateways encode them twice."""
    message = {"name": "runway_getTask", "arguments": json.dumps({"taskId": ID})}
    async with connected() as (_, client):
        answer = await client.session.send_request(RawCall(method="tools/call", params=message), RawAnswer)
        with pytest.raises(MCPError, match=r"params\.arguments: .* object"):
            await client.session.send_request(
                RawCall(method="tools/call", params={**message, "arguments": "no JSON"}), RawAnswer
            )
    assert not answer.model_dump()["isError"]


async def test_a_client_token_buys_once_however_it_is_written() -> None:
    async with connected(*[reply(200, task("PENDING"))] * 20) as (script, client):
        for token in ("caf\u00e9", " caf\u00e9", "caf\u00e9\n", "cafe\u0301"):
            wish = {"type": "text_to_video", "input": BODY, "clientToken": token}
            assert not (await client.call_tool("runway_startTask", wish)).is_error
    assert script.methods.count("POST") == 1


@pytest.mark.parametrize("name", ["reason", "dryRun", "seed", "duration"])
async def test_a_name_without_a_value_is_left_out(name: str) -> None:
    async with connected() as (script, client):
        wish = {"type": "text_to_video", "input": BODY, name: None}
        assert not (await client.call_tool("runway_startTask", wish)).is_error
    assert sent(script) == {"model": "gen4.5", **BODY}


async def test_the_model_beside_the_input_is_the_one_that_is_started() -> None:
    async with connected() as (script, client):
        arguments = {"type": "text_to_video", "model": "veo3.1", "input": {"promptText": "A kite", "ratio": "1280:720"}}
        assert not (await client.call_tool("runway_startTask", arguments)).is_error
    assert sent(script)["model"] == "veo3.1"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"input": '{"duration": 5, "duration": 10}'}, "duration stands twice in an object"),
        ({"input": {"json": '{"a": {"seed": 1, "seed": 2}}'}}, "seed stands twice in an object"),
        ({"input": {"json": "[1]"}}, "input.json must be the text of a JSON object"),
        ({"input": {**BODY, "json": '{"duration": 8}'}}, "duration is 8 in json and 5 in input: give it once"),
        (
            {"input": {**BODY, "audio": True}, "model": "veo3.1", "audio": False},
            "audio is false beside input and true in",
        ),
        ({"input": {**BODY, "seed": [1]}, "seed": {"a": 1}}, "seed is an object beside input and a list of 1 in input"),
        ({"client_token": "x"}, "did you mean clientToken?"),
        ({"prompt": "A red kite"}, "did you mean promptText, in input?"),
        ({"aspectRatio": "16:9"}, "did you mean ratio, in input?"),
        ({"duration": 6}, "duration is 6 beside input and 5 in input: give it once"),
        ({"type": "text2video", "seed": 1}, '"text2video" is not known'),
        *[
            ({"input": {**BODY, name: "x"}, "allowUnknown": True}, f"{name} stands in input; ")
            for name in ("clientToken", "client_token", "wait", "input", "type")
        ],
        ({"input": {"json": '{"clientToken": "x"}'}}, "clientToken stands in input; "),
    ],
)
async def test_nothing_is_spent_on_what_can_be_read_in_two_ways(more: dict[str, Any], words: str) -> None:
    async with connected() as (script, client):
        result = await client.call_tool("runway_startTask", {"type": "text_to_video", "input": BODY, **more})
    assert result.is_error
    assert words in texts(result)[0]
    assert script.calls == []


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        *[("timeoutSeconds", text, 6) for text in ("6", "6s", "6 seconds", "6.0", " 6 sec", "`6`")],
        ("timeoutSeconds", "5.5", 5.5),
        *[("until", text, "any") for text in ("ANY", " Any ", '"any"')],
    ],
)
async def test_numbers_and_choices_are_taken_in_the_forms_that_models_write(
    name: str, written: str, meant: object
) -> None:
    async with connected() as (_, client):
        result = await client.call_tool("runway_waitForTask", {"taskId": ID, name: written})
    assert not result.is_error
    assert f"Took {name} {meant} from " in note(result)


@pytest.mark.parametrize("written", ["true", "True", "yes", "on", "1", 1])
async def test_a_switch_is_taken_in_the_forms_that_models_write(written: object) -> None:
    async with connected() as (_, client):
        result = await client.call_tool("runway_startTask", {"type": "text_to_video", "input": BODY, "wait": written})
    assert "Took wait true from " in note(result)


@pytest.mark.parametrize("written", ["maybe", 2, "2", ["x"], {"x": 1}])
async def test_a_switch_that_is_none_is_refused_and_nothing_sent(written: object) -> None:
    async with connected() as (script, client):
        result = await client.call_tool("runway_startTask", {"type": "text_to_video", "input": BODY, "wait": written})
    assert result.is_error
    assert "wait: " in texts(result)[0]
    assert "true or false" in texts(result)[0]
    assert script.calls == []


async def test_an_input_that_is_no_object_is_refused_and_nothing_sent() -> None:
    async with connected() as (script, client):
        for written in ("a red kite", 5, [BODY], True):
            for more in ({}, {"seed": 5}):
                arguments = {"type": "text_to_video", "input": written, **more}
                assert (await client.call_tool("runway_startTask", arguments)).is_error
    assert script.calls == []


async def test_each_of_several_tasks_is_changed_and_told_with_its_cost() -> None:
    """What is refused for one is told beside what was done to the others."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        task_id = request.url.path.rpartition("/")[2]
        if request.method == "DELETE":
            deleted.append(task_id)
            return reply(204)(request)
        status = "CANCELLED" if task_id in deleted else "RUNNING" if task_id == ID else "SUCCEEDED"
        return reply(200, {**task(status, cost={"credits": 7}), "id": task_id})(request)

    deleted: list[str] = []
    async with connected(*[answer] * 30) as (_, client):
        kept = await client.call_tool("runway_deleteTask", {"taskIds": [ID]})
        mixed = await client.call_tool("runway_deleteTask", {"taskIds": [ID, OTHER, OTHER]})
        cancelled = await client.call_tool("runway_cancelTask", {"taskIds": [ID, OTHER]})
    assert deleted == [OTHER, ID]
    assert kept.is_error
    assert texts(kept)[0].startswith(f'{ID}: Refused: the task is "RUNNING"')
    assert kept.structured_content is not None
    assert kept.structured_content["note"] == texts(kept)[0]
    assert not mixed.is_error
    first, second = json.loads(texts(mixed)[0])
    assert (first["id"], first["done"], second["done"]) == (ID, "nothing", "deleted")
    assert first["error"].startswith("Refused")
    assert f"{OTHER}: Deleted" in note(mixed)
    (one, other) = json.loads(texts(cancelled)[0])
    assert one == {"id": ID, "done": "cancelled", "statusBefore": "RUNNING", "cost": {"credits": 7}}
    assert other["done"] == "nothing"
    assert f"{ID}: Cancelled: it cost 7 credits." in note(cancelled)
