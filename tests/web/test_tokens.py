"""Access tokens from a file: what the file may hold, how it is read again, and a server that goes by it."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import anyio
import httpx2
import pytest
from pydantic import SecretStr
from support.process import KEY, Message, call, request
from support.served import Served, headers_of, serving_http
from support.served import token_entry as entry
from support.serving import authorized
from support.upstream import TASK_ID, Upstream, reply, task, upstream
from support.waiting import Clock, until

from runway_mcp.cli.main import main
from runway_mcp.tasks.callers import READ, SCOPES, WRITE, Caller
from runway_mcp.web.auth.reloading_file import CHECK_SECONDS, ReloadingFileError
from runway_mcp.web.auth.runway_keys import RunwayKeys
from runway_mcp.web.auth.tenants import Tenants
from runway_mcp.web.auth.token_watch import STREAM
from runway_mcp.web.auth.tokens import PREFIX, TokensFile, new_token

ALICE, BOB, CARL = (f"{PREFIX}{name}_5ecre7_marked_0123456789" for name in ("alice", "bob", "carl"))
ALICES_KEY = "key_a11ce5ecre70123456789marked"
KEYS = {"ALICE_KEY": SecretStr(ALICES_KEY)}
SHARED = SecretStr("key_shared")


def find(variable: str) -> SecretStr | None:
    if variable == "BROKEN_KEY":
        raise ValueError("the API key holds a space")
    return KEYS.get(variable)


def write(path: Path, text: str) -> None:
    """Replace the file, as an editor that is careful does."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8", errors="surrogateescape")
    new.replace(path)


async def whose(tokens: TokensFile, token: str) -> str | None:
    found = await tokens.verify_token(token)
    return found.caller.subject if found else None


async def test_a_token_is_its_entrys(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    digest = sha256(BOB.encode()).hexdigest()
    in_capitals = entry(BOB, "bob").replace(digest, digest.upper())  # some tools print it so
    write(path, entry(ALICE, "alice", READ, key="ALICE_KEY") + in_capitals)
    tokens = TokensFile(path, RunwayKeys(find, SHARED))
    alice, bob = await tokens.verify_token(ALICE), await tokens.verify_token(BOB)
    assert alice is not None
    assert bob is not None
    assert alice.caller == Caller("alice", scopes=frozenset({READ}), key=KEYS["ALICE_KEY"])
    assert bob.caller == Caller("bob", key=SHARED)
    for stranger in (CARL, "", ALICE + " ", ALICE.upper(), sha256(ALICE.encode()).hexdigest(), "é"):
        assert await tokens.verify_token(stranger) is None
    without = await TokensFile(path, RunwayKeys(find)).verify_token(BOB)
    assert without is not None
    assert without.caller.key is None


async def test_the_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, clock = tmp_path / "tokens.toml", Clock()
    write(path, entry(ALICE, "alice"))
    tokens = TokensFile(path, RunwayKeys(find), clock=clock)
    write(path, entry(BOB, "bob"))
    assert (await whose(tokens, ALICE), await whose(tokens, BOB)) == ("alice", None)
    clock.now += CHECK_SECONDS
    assert (await whose(tokens, ALICE), await whose(tokens, BOB)) == (None, "bob")
    write(path, "")
    tokens.reread()
    assert await whose(tokens, BOB) is None
    clock.now += CHECK_SECONDS
    assert await whose(tokens, BOB) is None


async def test_a_file_that_broke_does_not_replace_what_it_held(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "tokens.toml", Clock()
    write(path, entry(ALICE, "alice"))
    tokens = TokensFile(path, RunwayKeys(find), clock=clock)
    write(path, entry(ALICE, "alice") + f'oops "{BOB}"')
    for _ in range(3):
        clock.now += CHECK_SECONDS
        assert await whose(tokens, ALICE) == "alice"
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: it is no TOML, as line 5 shows. Its earlier content stays in force."
    ]
    path.unlink()
    clock.now += CHECK_SECONDS
    assert await whose(tokens, ALICE) == "alice"
    assert "it is no file" in caplog.text
    write(path, entry(BOB, "bob"))
    clock.now += CHECK_SECONDS
    assert (await whose(tokens, ALICE), await whose(tokens, BOB)) == (None, "bob")
    assert len(caplog.records) == 2
    assert BOB not in caplog.text


GOOD = entry(ALICE, "alice")
BAD_TOKENS = [
    ("[[token\n", "it is no TOML, as line 1 shows"),
    ("a = [", "it is no TOML, as"),
    ("b'\\xff'", "it is no TOML"),
    ("\udcff", "it can't be read as UTF-8 text"),
    pytest.param("a = " + "[" * 100_000, "it ", id="nested without end"),
    ("token = 7", "its token is not written as [[token]] tables"),
    ("token = [7]", "[[token]] 1: Input should be a valid dictionary"),
    ("[[tokens]]", "it holds something beside [[token]] tables"),
    (GOOD + "runway_key = 'x'\n", "[[token]] 1: runway_key: Extra inputs are not permitted"),
    (GOOD + f"{ALICE} = 'x'\n", "[[token]] 1: Extra inputs are not permitted"),
    (GOOD + GOOD.replace('"alice"', '"bob"'), "[[token]] 2: sha256: another entry has it"),
    (GOOD + entry(BOB, "alice"), "[[token]] 2: name: another entry has it"),
    (GOOD.replace('"alice"', '""'), "[[token]] 1: name: must be 1 to 64 letters"),
    (GOOD.replace('"alice"', '"a\\nb"'), "[[token]] 1: name: must be 1 to 64 letters"),
    (GOOD.replace('"alice"', '"nobody"'), "[[token]] 1: name: must be 1 to 64 letters"),
    (GOOD.replace('"alice"', "7"), "[[token]] 1: name: Input should be a valid string"),
    (GOOD.replace(sha256(ALICE.encode()).hexdigest(), ALICE), "[[token]] 1: sha256: must be 64 hexadecimal digits"),
    (GOOD.replace("sha256", "sha_256"), "[[token]] 1: sha256: Field required"),
    (GOOD.replace(READ, "runway:all"), "[[token]] 1: scopes: must hold only runway:read and runway:write"),
    (GOOD.replace(f'"{READ}", "{WRITE}"', ""), "[[token]] 1: scopes: List should have at least 1 item"),
    (entry(ALICE, "alice", key="NO_KEY"), "[[token]] 1: runway_key_env: there is no such environment variable"),
    (entry(ALICE, "alice", key="BROKEN_KEY"), "[[token]] 1: runway_key_env: the API key holds a space"),
    (entry(ALICE, "alice", key="key_" + "0" * 128), "must be the name of an environment variable, never the key"),
]


@pytest.mark.parametrize(("text", "words"), BAD_TOKENS)
def test_a_file_that_can_not_be_used_says_where_and_shows_nothing(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tokens.toml"
    write(path, text)
    with pytest.raises(ReloadingFileError) as raised:
        TokensFile(path, RunwayKeys(find))
    said = str(raised.value)
    assert words in said
    assert "\n" not in said
    for secret in (ALICE, sha256(ALICE.encode()).hexdigest(), "0" * 64):
        assert secret not in said


def tenant(issuer: str, subject: str, key: str) -> str:
    return f'[[tenant]]\nissuer = "{issuer}"\nsubject = "{subject}"\nrunway_key_env = "{key}"\n'


def test_tenants_are_told_apart_by_issuer_and_subject(tmp_path: Path) -> None:
    path, clock = tmp_path / "tenants.toml", Clock()
    write(path, tenant("https://one.example", "alice", "ALICE_KEY"))
    tenants = Tenants(path, RunwayKeys(find), clock=clock)
    assert tenants.key_of("https://one.example", "alice") == KEYS["ALICE_KEY"]
    assert tenants.key_of("https://two.example", "alice") is None
    assert tenants.key_of("https://one.example", "bob") is None
    assert Tenants(path, RunwayKeys(find, SHARED)).key_of("https://one.example", "bob") == SHARED
    write(path, "")
    clock.now += CHECK_SECONDS
    assert tenants.key_of("https://one.example", "alice") is None
    write(path, tenant("https://one.example", "alice", "ALICE_KEY"))
    tenants.reread()
    assert tenants.key_of("https://one.example", "alice") == KEYS["ALICE_KEY"]
    nobody = Tenants(None, RunwayKeys(find, SHARED))
    nobody.reread()
    assert nobody.key_of("https://one.example", "alice") == SHARED
    twice = tenant("https://one.example", "alice", "ALICE_KEY") * 2
    for text, words in (
        (twice, "[[tenant]] 2: subject: another entry has it"),
        (tenant("https://one.example", "alice", "NO_KEY"), "[[tenant]] 1: runway_key_env: there is no such"),
        (tenant("https://one.example", "", "ALICE_KEY"), "[[tenant]] 1: subject: must be 1 to 255 characters"),
    ):
        write(path, text)
        with pytest.raises(ReloadingFileError) as raised:
            Tenants(path, RunwayKeys(find))
        assert words in str(raised.value)


def test_each_new_token_is_another() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    for token, digest in made:
        assert token.startswith(PREFIX)
        assert len(token) == len(PREFIX) + 43
        assert digest == sha256(token.encode()).hexdigest()


async def test_the_command_makes_a_token_and_its_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, scopes in (
        (["alice"], frozenset(SCOPES)),
        (["bob", "--scope", READ, "--scope", READ, "--runway-key-env", "ALICE_KEY"], {READ}),
    ):
        assert main(["token", *arguments]) == 0
        said = capsys.readouterr().out
        token, _, rest = said.partition("\n")
        assert token not in rest
        path = tmp_path / "tokens.toml"
        write(path, rest[rest.index("[[token]]") :])
        found = await TokensFile(path, RunwayKeys(find)).verify_token(token)
        assert found is not None
        assert (found.caller.subject, found.caller.scopes) == (arguments[0], scopes)
        assert found.caller.key == (KEYS["ALICE_KEY"] if "ALICE_KEY" in arguments else None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["token"], "the following arguments are required: NAME"),
        (["token", "a b"], "NAME: must be 1 to 64 letters"),
        (["token", "nobody"], "NAME: must be 1 to 64 letters"),
        (["token", "x" * 65], "NAME: must be 1 to 64 letters"),
        (["token", "alice", "--scope", "key_secret"], "--scope: must be runway:read or runway:write"),
        (["token", "alice", "--runway-key-env", "key-secret"], "must be the name of a variable, never the key"),
    ],
)
def test_a_token_that_could_not_be_used_is_not_made(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert words in captured.err
    assert "secret" not in captured.err


HTTP = ["--transport", "streamable-http"]
OAUTH = [*HTTP, "--auth", "oauth", "--oauth-issuer", "https://id.example", "--oauth-audience", "https://us.example/mcp"]


@pytest.fixture
def _logging_as_before() -> Generator[None]:
    """Undo what a server's start does to the process's logging."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])


@pytest.mark.usefixtures("_logging_as_before")
def test_what_can_not_be_served_is_told_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.toml"
    write(path, GOOD * 2)
    cases: list[tuple[list[str], str]] = [
        ([*HTTP, "--auth", "token", "--tokens-file", str(path)], "--tokens-file: [[token]] 2: sha256: another"),
        ([*OAUTH, "--tenants-file", str(path)], "--tenants-file: it holds something beside [[tenant]] tables"),
        ([*OAUTH, "--allow-shared-key"], "--allow-shared-key: there is no key to share"),
        (
            [*OAUTH, "--oauth-introspection-url", "https://id.example/look"],
            "it needs --oauth-client-id and the variable",
        ),
    ]
    for arguments, words in cases:
        assert main(arguments) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1


@dataclass
class Office:
    """A server that goes by the tokens file `path`, and the Runway API behind it."""

    served: Served
    api: Upstream
    path: Path

    async def get(self, token: str) -> httpx2.Response:
        return await self.served.post(call(1, "runway_getTask", TASK_ID), Authorization=f"Bearer {token}")

    def reread(self, text: str) -> None:
        """Replace the file, and tell the server."""
        write(self.path, text)
        os.kill(self.served.server.process.pid, signal.SIGHUP)

    async def until_status(self, token: str, status: int) -> None:
        with anyio.fail_after(10):
            while (await self.get(token)).status_code != status:
                pass


@pytest.fixture(scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Office]:
    folder = tmp_path_factory.mktemp("office")
    path, env_file = folder / "tokens.toml", folder / "keys.env"
    write(path, entry(ALICE, "alice", key="ALICE_KEY") + entry(BOB, "bob", READ))
    env_file.write_text(f"ALICE_KEY={ALICES_KEY}\n", encoding="utf-8")
    arguments = ("--auth", "token", "--tokens-file", str(path), "--env-file", str(env_file), "--log-level", "debug")
    polling = ("--poll-seconds", "0.05")
    async with upstream([reply(200, task("RUNNING"))]) as api, serving_http(api, *arguments, *polling) as served:
        yield Office(served, api, path)
        await served.server.stop("SIGTERM")
        await served.server.ends_quietly(timeout=20)


async def test_a_caller_is_served_with_their_own_key(office: Office) -> None:
    for mode in ("auto", "legacy"):
        async with authorized(office.served.url, ALICE, mode=mode) as client:
            result = await client.call_tool("runway_getTask", {"taskId": TASK_ID})
            assert (result.structured_content or {})["status"] == "RUNNING"
    assert office.api.requests
    for asked in office.api.requests:
        assert asked.headers["authorization"] == f"Bearer {ALICES_KEY}"
        for value in asked.headers.values():
            assert ALICE not in value
            assert KEY not in value


async def test_a_caller_without_a_key_is_refused_and_told_why(office: Office) -> None:
    before = len(office.api.requests)
    async with authorized(office.served.url, BOB) as client:
        result = await client.call_tool("runway_getTask", {"taskId": TASK_ID})
    assert result.is_error
    said = " ".join(getattr(block, "text", "") for block in result.content)
    assert "no Runway API key for the caller of this access token" in said
    assert "nothing was sent" in said
    assert "--allow-shared-key" in said
    assert "RUNWAYML_API_SECRET" not in said
    assert len(office.api.requests) == before


async def test_strangers_are_not_served(office: Office) -> None:
    message = call(1, "runway_getTask", TASK_ID)
    assert (await office.served.post(message)).status_code == 401
    assert (await office.get(CARL)).status_code == 401
    assert (await office.get("x" * 30_000)).status_code == 401
    async with httpx2.AsyncClient(trust_env=False) as http:
        url = f"{office.served.url}?access_token={ALICE}"
        answer = await http.post(url, json=message, headers=headers_of(message))
    assert answer.status_code == 401
    assert (await office.get(ALICE)).status_code == 200


async def test_the_server_reads_the_file_again_at_a_hangup(office: Office) -> None:
    before = office.path.read_text("utf-8")
    office.reread(before + entry(CARL, "carl"))
    await office.until_status(CARL, 200)
    office.reread("[[token")
    await until(lambda: "stays in force" in office.served.server.stderr, "the complaint")
    assert (await office.get(CARL)).status_code == 200
    office.reread(before)
    await office.until_status(CARL, 401)
    assert (await office.get(ALICE)).status_code == 200


async def test_a_removed_token_ends_its_streams_and_waits(office: Office) -> None:
    """The wait returns its task as it stands; the streams of others go on."""
    before = office.path.read_text("utf-8")
    office.reread(before + entry(CARL, "carl", key="ALICE_KEY"))
    await office.until_status(CARL, 200)
    listen = request(1, STREAM, notifications={"toolsListChanged": True})
    async with AsyncExitStack() as stack:

        async def opened(message: Message, token: str) -> asyncio.StreamReader:
            stream = office.served.stream(message, Authorization=f"Bearer {token}", Connection="close")
            return await stack.enter_async_context(stream)

        listening, other = await opened(listen, CARL), await opened(listen, ALICE)
        for stream in (listening, other):
            await stream.readuntil(b"acknowledged")
        waiting = await opened(call(2, "runway_waitForTask", TASK_ID), CARL)
        await office.api.asked("GET", times=office.api.count("GET") + 2)
        office.reread(before)
        with anyio.fail_after(20):
            listened, waited = await listening.read(), await waiting.read()
        assert listened.endswith(b"0\r\n\r\n")
        assert b'"status":"RUNNING"' in waited
        assert (await office.get(CARL)).status_code == 401
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            await other.readuntil(b"0\r\n\r\n")


async def test_no_token_hash_or_key_is_logged(office: Office) -> None:
    assert (await office.get(CARL)).status_code == 401
    said = office.served.server.stderr
    assert "Traceback" not in said
    for token in (ALICE, BOB, CARL):
        assert token not in said
        assert sha256(token.encode()).hexdigest() not in said
    assert ALICES_KEY not in said
    assert KEY not in said
