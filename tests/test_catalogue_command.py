"""`runway-mcp catalogue`: what an OpenAPI document has anew is shown, kept, and used by the server."""

import json
import logging
import os
import ssl
import stat
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import trustme
from mcp import Client
from support.openapi_document import document, model, models_of
from support.scripted import texts
from support.upstream import Reply, reply, upstream

from runway_mcp.catalogue import lookup
from runway_mcp.catalogue.kept_catalogue import keep
from runway_mcp.cli.catalogue import DIFFERENT, MAX_BYTES
from runway_mcp.cli.main import main
from runway_mcp.config.sources import load
from runway_mcp.wiring.core import build_core

KITE = model(
    "kite_2",
    {
        "promptText": {"type": "string", "maxLength": 9, "description": "Where it flies. At most nine characters."},
        "wind": {"type": "string", "enum": ["low", "high"]},
    },
    "promptText",
)
"""A model that nobody has heard of."""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    lookup.look_in(None)
    yield
    lookup.look_in(None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def openapi(tmp_path: Path) -> Path:
    return tmp_path / "openapi.json"


def write(openapi: Path, **changed: Any) -> str:
    openapi.write_text(json.dumps(document(**changed)), "utf-8")
    return str(openapi)


def with_kite(**more: Any) -> dict[str, Any]:
    return {"text_to_video": {**models_of("text_to_video"), "kite_2": KITE, **more}}


@asynccontextmanager
async def connected(folder: Path) -> AsyncGenerator[Client]:
    """A client of the real server, with the sandbox in place of Runway."""
    settings = load({"sandbox": True, "sandbox_speed": 1000, "poll_seconds": 0.05, "state_dir": folder})
    with anyio.fail_after(30):
        async with Client(build_core(settings, lambda _: None).server) as client:
            yield client


async def said(client: Client, tool: str, **arguments: object) -> str:
    return "\n".join(texts(await client.call_tool(tool, arguments)))


def test_the_same_document_changes_nothing(folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(openapi)
    assert main(["catalogue", "update", path, "--state-dir", str(folder)]) == 0
    assert main(["catalogue", "diff", "--state-dir", str(folder), path]) == 0
    line = f"The catalogue of {lookup.catalogue_day()} has all that the document has. Nothing was changed.\n"
    assert capsys.readouterr().out == 2 * line
    assert not folder.exists()


async def test_a_new_model_is_listed_checked_and_started(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = with_kite()
    fields = models["text_to_video"]["gen4.5"]["properties"]
    fields["ratio"]["enum"].append("1:1")
    fields["sky"] = {"type": "integer"}
    path = write(openapi, **models)
    assert await anyio.to_thread.run_sync(main, ["catalogue", "update", path, "--state-dir", str(folder)]) == 0
    assert "+ text_to_video/kite_2" in capsys.readouterr().out
    assert os.name == "nt" or stat.S_IMODE((folder / "catalogue.json").stat().st_mode) == 0o600
    start = {"type": "text_to_video", "input": {"model": "kite_2", "promptText": "Sky"}}
    wrong = {"type": "text_to_video", "input": {"model": "kite_2", "promptText": "Too much sky", "wind": "none"}}
    async with connected(folder) as client:
        types = await said(client, "runway_listTaskTypes")
        assert 'kite_2"' in types.partition('"text_to_video"')[2].partition('"image_to_video"')[0]
        assert f"Catalogue of {datetime.now(UTC):%Y-%m-%d}." in types
        assert '"kite_2":"promptText* ≤ 9, wind low|high"' in await said(
            client, "runway_listTaskTypes", type="text_to_video"
        )
        shown = await said(client, "runway_listTaskTypes", type="text_to_video", model="kite_2")
        assert r'"description":"\"Where it flies.\""' in shown
        refused = await said(client, "runway_startTask", **wrong)
        assert "promptText" in refused
        assert "wind" in refused
        assert '"basis":"unknown"' in await said(client, "runway_estimateCost", **start)
        assert "The price is unknown" in await said(client, "runway_startTask", **start, maxCredits=1)
        for field, value, basis in (("ratio", "1:1", "unknown"), ("sky", 1, "unknown"), ("duration", 5, "table")):
            known = {"promptText": "Sky", "ratio": "1280:720", "duration": 5} | {field: value}
            told = await said(client, "runway_estimateCost", type="text_to_video", input=known)
            assert f'"basis":"{basis}"' in told
        assert '"estimatedCost":{"credits":50}' in await said(client, "runway_startTask", **start)


def test_a_diff_shows_each_change_and_keeps_nothing(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = models_of("text_to_video")
    fields = models["gen4.5"]["properties"]
    fields["ratio"]["enum"].append("1:1")
    fields["promptText"]["maxLength"] = 2000
    fields["sky"] = {"type": "boolean", "default": True}
    models["gen4.5"]["required"].append("sky")
    kites = {"": model("", {"sky": {"anyOf": [{"type": "number", "minimum": 1}, {"type": "null"}]}}, "sky")}
    del kites[""]["properties"]["model"]
    fields["contentModeration"] = {"type": "object", "additionalProperties": True}
    path = write(
        openapi, text_to_video=models | {"kite": KITE | model("kite", {}), "kite_2": KITE}, text_to_kite_picture=kites
    )
    assert main(["catalogue", "diff", path, "--state-dir", str(folder)]) == DIFFERENT
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "+ text_to_kite_picture: new task type",
        "+ text_to_video/gen4.5: sky is required",
        "+ text_to_video/gen4.5 promptText: maxLength 2000",
        "- text_to_video/gen4.5 promptText: maxLength 1000",
        '+ text_to_video/gen4.5 ratio: takes "1:1"',
        '+ text_to_video/gen4.5 sky: type "boolean", default true',
        "+ text_to_video/kite: new model, takes nothing",
        "+ text_to_video/kite_2: new model, takes promptText*, wind",
        "+ text_to_kite_picture/: new model, takes sky*",
        '- text_to_video/gen4.5 contentModeration.publicFigureThreshold: takes "auto", takes "low"',
        'Left out, so not checked: "additionalProperties" in text_to_video/gen4.5 contentModeration',
    ]
    assert not folder.exists()
    assert main(["catalogue", "update", path, "--state-dir", str(folder)]) == 0
    assert main(["catalogue", "diff", path, "--state-dir", str(folder)]) == 0
    kind = lookup.task_types()["text_to_kite_picture"]
    assert (kind.output, kind.recommended, kind.endpoint) == ("image", None, "/v1/text_to_kite_picture")
    assert list(lookup.task_types())[-2:] == ["lip_sync", "frame_interpolation"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no JSON; it begins with"),
        ("<!DOCTYPE html><title>\x1b[2JDocs</title>", 'it begins with "<!DOCTYPE html><title> [2JDocs'),
        ("[" * 100_000, "it is no JSON"),
        ('{"openapi": "3.1.0", "paths": {"x": NaN}}', "it is no JSON"),
        ("[]", "it is no OpenAPI document"),
        ('{"swagger": "2.0", "paths": {}}', "it is no OpenAPI document"),
        ('{"openapi": "3.1.0", "paths": []}', "it is no OpenAPI document"),
        ('{"openapi": "3.1.0", "paths": {"/v1/x": null}}', "it has no endpoint that starts a task"),
        (" " * (MAX_BYTES + 1), "it is larger than 16 MiB"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_document_changes_nothing(
    text: str, reason: str, folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    openapi.write_text(text, "utf-8")
    for action in ("update", "diff"):
        assert main(["catalogue", action, str(openapi), "--state-dir", str(folder)]) == 1
        error = capsys.readouterr().err
        assert reason in error
        assert error.endswith(" The catalogue is as it was.\n")
    assert not folder.exists()


def test_a_document_that_lacks_what_is_known_changes_nothing(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = models_of("text_to_video")
    del models["gen4.5"]
    path = write(openapi, text_to_video=models, sound_effect={}, **{"recipes/product_ad": {"x": KITE}})
    assert main(["catalogue", "update", path, "--state-dir", str(folder)]) == 1
    missing = "it lacks what is known today: text_to_video/gen4.5, the type sound_effect, recipes/product_ad/"
    assert missing in capsys.readouterr().err
    assert not folder.exists()


def test_a_model_of_the_sdk_that_the_document_lacks_stays(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one of them that the document has now is from the document."""
    path = write(openapi, text_to_video={**models_of("text_to_video"), "wan3": KITE | model("wan3", {})})
    assert main(["catalogue", "update", path, "--state-dir", str(folder)]) == 0
    assert '+ text_to_video/wan3: source "document"' in capsys.readouterr().out
    assert {"wan3", "wan3_prime"} <= lookup.task_types()["text_to_video"].models.keys()
    assert "promptText" in (lookup.input_fields("text_to_video") or ())


def test_a_file_or_a_folder_that_can_not_be_used_is_named(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "update", str(openapi), "--state-dir", str(folder)]) == 1
    assert f"{openapi}: No such file" in capsys.readouterr().err
    folder.write_text("no folder")
    path = write(openapi, **with_kite())
    assert main(["catalogue", "update", path, "--state-dir", str(folder)]) == 1
    assert f"nothing was changed: {folder}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://192.0.2.1/openapi.json", "must be an https:// URL"),
        ("https://user:secret@example.com/", "must hold no user name"),
        ("https://localhost:99999/", "must hold no user name or password, and a port only"),
    ],
)
def test_a_url_that_is_not_safe_is_refused(url: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalogue", "update", url]) == 2
    error = capsys.readouterr().err
    assert f"--catalogue-url / RUNWAY_MCP_CATALOGUE_URL: {reason}" in error
    assert "secret" not in error


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(404, b"<html>Nothing</html>"), "answered with status 404."),
        (
            reply(302, Location="https://evil.example/x"),
            'a redirect to "https://evil.example/x", which is not followed',
        ),
        (reply(200, b" " * (MAX_BYTES + 1)), "it is larger than 16 MiB"),
        (reply(200, b"<html>Log in</html>"), "it is no JSON"),
        (Reply(reply(200, b"{}" * 100).data[:-10], then="close"), "was not reached, or not to the end"),
    ],
    ids=["404", "redirect", "large", "page", "cut"],
)
async def test_an_answer_that_is_no_document_changes_nothing(
    answer: Reply, reason: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with upstream([answer]) as host:
        arguments = ["catalogue", "update", "--catalogue-url", host.url, "--state-dir", str(folder)]
        assert await anyio.to_thread.run_sync(main, arguments) == 1
        assert host.count("GET") == 1
    error = capsys.readouterr().err
    assert reason in error
    assert error.endswith(" The catalogue is as it was.\n")


async def test_a_document_is_fetched_over_https(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a host whose authority only --ca-file names."""
    authority, file = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType] - trustme leaves a type open
    async with upstream([reply(200, document(**with_kite()))], tls) as host:
        arguments = ["catalogue", "update", host.url, "--state-dir", str(folder)]
        assert await anyio.to_thread.run_sync(main, arguments) == 1
        assert "(ConnectError)" in capsys.readouterr().err
        assert await anyio.to_thread.run_sync(main, [*arguments, "--ca-file", str(file)]) == 0
        assert "+ text_to_video/kite_2" in capsys.readouterr().out
        assert "authorization" not in host.requests[0].headers


async def test_a_document_is_fetched_through_the_proxy(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with upstream([reply(403)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        arguments = ["catalogue", "diff", "--state-dir", str(folder)]
        assert await anyio.to_thread.run_sync(main, arguments) == 1
        assert proxy.requests[0].path == "docs.dev.runwayml.com:443"
        monkeypatch.setenv("HTTPS_PROXY", "socks://127.0.0.1:1/")
        assert await anyio.to_thread.run_sync(main, arguments) == 1
    assert "The proxy that HTTPS_PROXY or " in capsys.readouterr().err


def test_certificates_that_can_not_be_used_are_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "nowhere.pem"))
    assert main(["catalogue", "diff", "--state-dir", str(folder)]) == 1
    assert "Correct SSL_CERT_FILE" in capsys.readouterr().err


def kept(day: str) -> dict[str, Any]:
    """A catalogue of a day, with a summary of its own."""
    data = json.loads(json.dumps(lookup.catalogue_data()))
    data["types"]["text_to_video"]["summary"] = "Kites"
    return data | {"asOf": day}


async def test_the_kept_catalogue_counts_until_a_release_brings_another(folder: Path) -> None:
    keep(folder, kept("2099-01-01"), lookup.own_data())
    async with connected(folder) as client:
        types = await said(client, "runway_listTaskTypes")
        assert "Kites" in types
        assert "Catalogue of 2099-01-01." in types
        assert "does not count" not in types


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _edit(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"Kites", b"Cats!"))


def _keep_for_another_release(file: Path) -> None:
    keep(file.parent, kept("2099-01-01"), {**lookup.own_data(), "asOf": "2026-10-22"})


def _write(content: bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(content)


def _hide(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_cut, "damaged"),
        (_edit, "damaged"),
        (_write(b""), "damaged"),
        (_write(b"\xff\xfe"), "damaged"),
        (_write(b"[]"), "damaged"),
        (_write(b'{"check": 1, "catalogue": {}}'), "damaged"),
        (_write(b"[" * 100_000), "damaged"),
        (_keep_for_another_release, "outdated"),
        (_hide, "unreadable"),
    ],
)
async def test_a_kept_catalogue_that_is_not_sound_does_not_count(
    damage: Callable[[Path], object], problem: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damage(keep(folder, kept("2099-01-01"), lookup.own_data()))
    types = ""
    with caplog.at_level(logging.WARNING):
        async with connected(folder) as client:
            for _ in range(2):
                types = await said(client, "runway_listTaskTypes")
    assert "Kites" not in types
    assert f"Catalogue of 2026-10-23. The updated one is {problem} and does not count" in types
    assert [one.getMessage() for one in caplog.records if one.name == "runway_mcp.catalogue.lookup"] == [
        f"The catalogue kept in {folder} is {problem} and does not count."
    ]


def test_an_update_replaces_a_damaged_catalogue(folder: Path, openapi: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the document has nothing new."""
    _cut(keep(folder, kept("2099-01-01"), lookup.own_data()))
    assert main(["catalogue", "update", write(openapi), "--state-dir", str(folder)]) == 0
    assert "damaged" in caplog.text
    lookup.look_in(folder)
    assert (lookup.kept_problem(), lookup.catalogue_day()) == (None, f"{datetime.now(UTC):%Y-%m-%d}")


def test_nothing_is_read_before_it_is_asked_for(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    _cut(keep(folder, kept("2099-01-01"), lookup.own_data()))
    build_core(load({"state_dir": folder}), lambda _: None)
    assert not caplog.records
    assert lookup.kept_problem() == "damaged"


def test_a_document_that_lacks_what_a_kept_one_has_is_refused_with_the_way_back(
    folder: Path, openapi: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["catalogue", "update", write(openapi, **with_kite()), "--state-dir", str(folder)]) == 0
    assert main(["catalogue", "update", write(openapi), "--state-dir", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "text_to_video/kite_2" in said
    assert f"Delete {folder / 'catalogue.json'} to use the built-in one." in said
