"""What runway_listTaskTypes tells a model: types, models, fields with their values, and what can't be done."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from support.catalogue_script import MODELS, NAMES
from support.faulty import FaultyWire, faulty_client
from support.scripted import texts

from runway_mcp.catalogue.lookup import IMPOSSIBLE, Model, TaskType, forms, task_types
from runway_mcp.catalogue.outline import MAX_CHOICES
from runway_mcp.mcp_server.server import build_server
from runway_mcp.tasks.callers import CallerRegistry

UNDOCUMENTED = [(kind.name, model.name) for kind, model in MODELS if not model.documented]


@asynccontextmanager
async def connected() -> AsyncGenerator[Client]:
    with anyio.fail_after(30):
        async with Client(build_server(CallerRegistry(lambda _: faulty_client(FaultyWire())))) as client:
            yield client


async def listed(**arguments: str | None) -> list[str]:
    async with connected() as client:
        return texts(await client.call_tool("runway_listTaskTypes", arguments))


async def shown(**arguments: str) -> dict[str, Any]:
    return json.loads((await listed(**arguments))[0])


async def test_the_table_of_types_is_small_and_whole() -> None:
    """Every type, with its models and the one that is taken where none is named; at 4 characters a token."""
    table, note = await listed()
    assert json.loads(table)["types"].keys() == task_types().keys()
    assert "gen4.5 (default), veo3.1, " in json.loads(table)["types"]["text_to_video"]
    assert "*" not in table + note
    assert IMPOSSIBLE in note
    assert len(table) + len(note) < 1_200 * 4


async def test_what_is_not_documented_is_marked_and_last_in_every_list() -> None:
    rows = (await shown())["types"]
    for kind, model in UNDOCUMENTED:
        after = rows[kind].partition(f"{model} ")[2]
        assert after.startswith(("(undocumented)", "(default) (undocumented)"))
        assert after.count(", ") == after.count("(undocumented)") - 1
        assert (await shown(type=kind))["models"][model].startswith(("(undocumented)", "(default) (undocumented)"))
    error = "".join(await listed(type="symphony"))
    assert error.index("lip_sync (undocumented), frame_interpolation (undocumented).") > error.index("product_ugc")
    assert list(rows)[-2:] == ["lip_sync", "frame_interpolation"]


@pytest.mark.parametrize("kind", task_types().values(), ids=lambda kind: kind.name)
async def test_a_type_says_in_one_small_answer_what_its_models_take(kind: TaskType) -> None:
    found = await listed(type=kind.name)
    assert len("".join(found)) < 750 * 4 + 170 * len(kind.models)
    answer = json.loads(found[0])
    assert list(answer["models"]) == [model.name or kind.name for model in kind.models.values()]
    assert answer["example"] in [model.example for model in kind.models.values()]
    assert (IMPOSSIBLE in found[1]) is (kind.output != "image")
    assert "Call again with a model for its schema." in found[1]


@pytest.mark.parametrize(("kind", "model"), MODELS, ids=NAMES)
async def test_a_model_is_listed_with_each_field_and_choice(kind: TaskType, model: Model) -> None:
    answer = await shown(type=kind.name)
    row: str = answer["models"][model.name or kind.name]
    assert ("(default)" in row) is (model.name is not None and model.name == kind.recommended)
    assert model.purpose in row
    for form in forms(model.schema):
        for name, field in form["properties"].items():
            if name == "model" or field.get("deprecated"):
                continue
            is_required = all(name in one.get("required", ()) for one in forms(model.schema))
            assert f"{name}*" in row if is_required else name in row
            alike = [answer["models"][teller] for teller in re.findall(rf"\b{name}\*? as ([\w.]+)", row)]
            values = "".join([row, answer.get("shared", {}).get(name, ""), *alike])
            choices = field.get("enum", ())
            assert len(choices) <= MAX_CHOICES or f"({len(choices)} in all)" in values
            for choice in choices if len(choices) <= MAX_CHOICES else choices[: MAX_CHOICES // 2]:
                assert str(choice) in values


async def test_values_stand_beside_the_fields() -> None:
    rows = (await shown(type="text_to_video"))["models"]
    assert "promptText* ≤ 1000" in rows["gen4.5"]
    assert "duration* 2-10" in rows["gen4.5"]
    assert "promptText* 2-2500 characters" in rows["happyhorse_1_0"]
    rows = (await shown(type="text_to_image"))["models"]
    assert "referenceImages [] ≤ 10 {uri* image}" in rows["seedream5_pro"]
    assert "subject object|human (default object)" in rows["gemini_image3_pro"]
    assert (
        "speechRate -50 to 100"
        in "".join((await shown(type="text_to_speech"))["shared"].values())
        + ((await shown(type="text_to_speech"))["models"]["seed_audio"])
    )
    assert "numSpeakers > 0" in (await shown(type="voice_dubbing"))["models"]["eleven_voice_dubbing"]
    aleph = (await shown(type="video_to_video"))["models"]["aleph2"]
    assert "range {start_seconds* ≥ 0, end_seconds* > 0}" in aleph
    assert ", ratio" not in aleph
    mode = (await shown(type="recipes/multi_shot_video"))["models"]["recipes/multi_shot_video"]
    assert mode.startswith("mode* auto|custom, ")


@pytest.mark.parametrize(
    ("kind", "model", "words"),
    [
        ("text_to_video", "veo3.1", "sound"),
        ("video_to_video", "seedance2_5", "extend"),
        ("text_to_speech", "seed_audio", "clones a voice"),
        ("text_to_image", "gen4_image", "keep a face"),
    ],
)
async def test_a_model_is_told_with_what_it_is_for(kind: str, model: str, words: str) -> None:
    assert words in (await shown(type=kind))["models"][model].partition(": ")[0]


@pytest.mark.parametrize("kind", list(task_types()))
async def test_a_models_schema_comes_with_an_example(kind: str) -> None:
    models = task_types()[kind].models
    async with connected() as client:
        for model in filter(None, models):
            found = texts(await client.call_tool("runway_listTaskTypes", {"type": kind, "model": model}))
            assert len("".join(found)) < 850 * 4
            answer = json.loads(found[0])
            assert (answer["schema"], answer["example"]) == (models[model].schema, models[model].example)
            assert ("lacks it" in found[-1]) is not models[model].documented


async def test_an_unknown_type_or_model_is_answered_with_what_there_is() -> None:
    assert "There are: text_to_video, image_to_video" in (await listed(type="symphony"))[0]
    assert "Did you mean text_to_video?" in (await listed(type="Text2 To Video"))[0]
    assert IMPOSSIBLE in (await listed(type="slow_motion"))[0]
    assert (await shown(model="gen4.5"))["types"].keys() == {"text_to_video", "image_to_video"}
    unknown = (await listed(type="text_to_video", model="gen5"))[0]
    assert "Did you mean gen4.5?" in unknown
    assert "It has: gen4.5 (default), " in unknown
    assert "It is a model of image_to_video, lip_sync." in (await listed(type="text_to_video", model="gen4_turbo"))[0]
    assert "It has no models to choose." in (await listed(type="recipes/product_ad", model="x"))[0]
    assert "No task type has such a model. Did you mean veo3.1_fast?" in (await listed(model="Veo 3.1 fast"))[0]


@pytest.mark.parametrize("nothing", ["", None])
async def test_an_argument_that_says_nothing_is_one_left_out(nothing: str | None) -> None:
    """As hosts send it that fill in every field."""
    assert await listed(type=nothing, model=nothing) == await listed()
    assert await listed(type="text_to_video", model=nothing) == await listed(type="text_to_video")


async def test_it_is_told_how_large_a_file_may_be_within_a_call() -> None:
    """Where a model takes files as data, of which Runway allows more."""
    assert "runway_uploadFile" in (await listed(type="image_to_video", model="gen4.5"))[1]
    assert "runway_uploadFile" not in "".join(await listed(type="text_to_video", model="gen4.5"))


async def test_every_property_of_the_answer_has_a_type() -> None:
    async with connected() as client:
        (tool,) = [one for one in (await client.list_tools()).tools if one.name == "runway_listTaskTypes"]
    assert tool.output_schema is not None
    assert all("type" in field for field in tool.output_schema["properties"].values())
