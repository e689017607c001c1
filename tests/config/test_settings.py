"""Settings: where they come from, which wins, and what is refused."""

import os
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from runway_mcp.config.settings import Settings, SettingsError, flag, variables
from runway_mcp.config.sources import find_key_in, load
from runway_mcp.config.values import is_loopback

KEY = "key_0123456789abcdef0123456789abcdef"
OAUTH_URLS = ("issuer", "audience", "introspection_url")


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's own, and an empty working directory."""
    for name in Settings.model_fields:
        for variable in variables(name):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_nothing_is_needed_and_only_the_documented_variables_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAY_MCP_API_KEY", KEY)
    monkeypatch.setenv("RUNWAY_MCP_BASE_URL", "https://other.example")
    settings = load({})
    assert settings.api_key is None
    assert settings.base_url == "https://api.dev.runwayml.com"
    assert settings.api_version == "2024-11-06"
    assert (settings.transport, settings.host, settings.port, settings.path) == ("stdio", "127.0.0.1", 8000, "/mcp")
    assert (settings.sandbox, settings.read_only) == (False, False)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RUNWAY_MCP_MAX_CREDITS_PER_DAYS", "RUNWAY_MCP_MAX_CREDITS_PER_DAY"),
        ("RUNWAY_MCP_MAX_CREDIT_PER_TASK", "RUNWAY_MCP_MAX_CREDITS_PER_TASK"),
        ("RUNWAY_MCP_READONLY", "RUNWAY_MCP_READ_ONLY"),
    ],
)
@pytest.mark.parametrize("in_file", [True, False])
def test_a_misspelt_variable_is_refused_with_the_right_one(
    name: str, meant: str, in_file: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A limit that is ignored would not hold. A variable of the operator's own passes."""
    monkeypatch.setenv("RUNWAY_MCP_KEY_OF_ANN", KEY)
    file = tmp_path / "some.env"
    file.write_text(f"{name}=5\n" if in_file else "")
    if not in_file:
        monkeypatch.setenv(name, "5")
    with pytest.raises(SettingsError, match=f"{name}: there is no such variable; did you mean {meant}?"):
        load({}, file)


def test_flags_win_over_variables_and_variables_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_text("RUNWAYML_BASE_URL=https://file.example\nRUNWAY_MCP_PORT=1111\nRUNWAY_MCP_LOG_LEVEL=debug\n")
    monkeypatch.setenv("RUNWAYML_BASE_URL", "https://variable.example")
    monkeypatch.setenv("RUNWAY_MCP_PORT", "2222")
    settings = load({"base_url": "https://flag.example"}, file)
    assert settings.base_url == "https://flag.example"
    assert settings.port == 2222
    assert settings.log_level == "debug"


def test_the_key_comes_from_the_first_variable_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAY_API_KEY", "second_key")
    for first, found in (("", "second_key"), ("first_key", "first_key")):
        monkeypatch.setenv("RUNWAYML_API_SECRET", first)
        assert load({}).api_key == SecretStr(found)


def test_no_env_file_is_found_by_chance(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"RUNWAYML_API_SECRET={KEY}\n")
    assert load({}).api_key is None
    assert load({}, tmp_path / ".env").api_key is not None


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\x00A=1", b"A=1\nRUNWAYML_API_SECRET='open\n", b"A=\x00", b"no assignment\n", b"1A=2\n"]
)
def test_an_env_file_that_cannot_be_read_whole_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "some.env"
    if content:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^--env-file: "):
        load({}, file)


def test_an_env_file_may_hold_what_such_files_hold(tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_text(
        "# a comment\n\nexport RUNWAYML_API_SECRET='quoted_key'  # kept\n RUNWAY_MCP_PORT = 1234\nOTHER=\nX=\"a b\"\n"
    )
    settings = load({}, file)
    assert settings.api_key == SecretStr("quoted_key")
    assert settings.port == 1234


@pytest.mark.parametrize(
    ("name", "given", "taken"),
    [
        ("log_level", "DEBUG", "debug"),
        ("log_level", " Warning ", "warning"),
        ("log_format", "JSON", "json"),
        ("transport", "Streamable-HTTP", "streamable-http"),
        ("auth", "None", "none"),
        ("toolsets", "Tasks, WAITING", "tasks, waiting"),
    ],
)
def test_a_choice_may_be_written_in_any_case(
    monkeypatch: pytest.MonkeyPatch, name: str, given: str, taken: str
) -> None:
    """As a flag and as a variable."""
    assert getattr(load({name: given}), name) == taken
    monkeypatch.setenv(variables(name)[0], given)
    assert getattr(load({}), name) == taken


def test_settings_are_frozen_and_hide_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", KEY)
    settings = load({})
    assert KEY not in repr(settings) + str(settings) + settings.model_dump_json()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue] - that it can't be is the test


@pytest.mark.parametrize(
    "written", [f"{KEY}\n", f" {KEY}\t", f"\r\n{KEY}\r\n", f"\ufeff{KEY}\u200b", f"\xa0{KEY}\u202f", f"{KEY}=="]
)
def test_white_space_around_a_key_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """As it is copied from a page or piped from a file."""
    key = SecretStr(f"{KEY}==" if "=" in written else KEY)
    monkeypatch.setenv("RUNWAYML_API_SECRET", written)
    assert load({}).api_key == key
    assert find_key_in()("RUNWAYML_API_SECRET") == key


def test_a_key_of_white_space_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", " \n")
    assert load({}).api_key is None
    assert find_key_in()("RUNWAYML_API_SECRET") is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        *(
            (key, "which nothing has replaced")
            for key in (
                "${RUNWAYML_API_SECRET}",
                "$RUNWAYML_API_SECRET",
                " %RUNWAYML_API_SECRET% ",
                "${env:RUNWAYML_API_SECRET}",
                "${input:runway-key}",
                "$(cat key.txt)",
                "{{ secrets.runway }}",
                "<your key>",
                "YOUR_API_KEY",
            )
        ),
        *((f"{mark}{KEY}{mark}", "in quotation marks") for mark in "\"'`"),
        (f"“{KEY}”", "in quotation marks"),
        (f'"{KEY}', "in quotation marks"),
        (f"Bearer {KEY}", "give the API key alone"),
        (f"RUNWAYML_API_SECRET={KEY}", "give the API key alone"),
        (f"export RUNWAYML_API_SECRET={KEY}", "give the API key alone"),
    ],
)
def test_what_stands_for_a_key_is_named_unseen(monkeypatch: pytest.MonkeyPatch, key: str, words: str) -> None:
    monkeypatch.setenv("RUNWAYML_API_SECRET", key)
    with pytest.raises(SettingsError, match=words) as caught:
        load({})
    assert str(caught.value).startswith("RUNWAYML_API_SECRET / RUNWAY_API_KEY: ")
    assert KEY not in str(caught.value)
    assert key.strip() not in str(caught.value)


def test_the_url_of_a_database_is_kept_unseen() -> None:
    settings = load({"history": "postgresql://me:secret-word@db/films"})
    assert "secret-word" not in repr(settings)
    assert settings.history is not None
    assert settings.history.get_secret_value().endswith("secret-word@db/films")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "postgres://me:a:b%2F%zz@db:5432,[::1]:5433,other/films?passfile=/my%20files/pass&sslmode=require",
        "postgresql:///films?host=/run/postgresql&port=5432,5433",
        "postgresql://?service=films",
    ],
)
def test_a_database_may_be_anywhere(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services = tmp_path / "services.conf"
    services.write_text("[films]\nhost=db\nport=5432\npassword=a%%b\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    found = load({"history": url}).history
    assert found is not None
    assert found.get_secret_value() == url


@pytest.mark.parametrize(
    "services",
    ["", "[other]\n", "no section=1\n", "[films]\nport=x\n", "[films]\npassword=secret%word\n", "[films]\n\xff"],
)
@pytest.mark.parametrize("way", ["URL", "PGSERVICE"])
def test_an_unknown_service_is_refused(
    services: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's tools refuse it as well: another database would be used in its place."""
    file = tmp_path / "services.conf"
    file.write_text(services, encoding="latin-1")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    if way == "PGSERVICE":
        monkeypatch.setenv("PGSERVICE", "films")
    with pytest.raises(
        SettingsError, match=r"its service \(service= or PGSERVICE\) is not in .*services\.conf"
    ) as caught:
        load({"history": "postgresql://me:secret@db" if way == "PGSERVICE" else "postgresql://?service=films"})
    assert "secret" not in str(caught.value)


def test_a_port_in_the_environment_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "abc")
    with pytest.raises(SettingsError, match="PGPORT must be a port's number"):
        load({"history": "postgresql://db/films"})


@pytest.mark.parametrize("key", ["two words", f"{KEY}\n{KEY}", "kéy", "key\x00", "key\x7f"])
def test_a_key_that_fits_no_header_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, key: str, tmp_path: Path) -> None:
    file = tmp_path / "some.env"
    file.write_text(f'RUNWAYML_API_SECRET="{key}"\n', encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load({}, file) if "\x00" in key else (monkeypatch.setenv("RUNWAYML_API_SECRET", key), load({}))
    message = str(caught.value)
    assert message.startswith("RUNWAYML_API_SECRET / RUNWAY_API_KEY: ")
    assert "\n" not in message
    assert key not in message
    assert KEY not in message


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        *(
            ("base_url", url, "must be a URL")
            for url in ("api.example", "ftp://api.example", "https://", "https://é.com")
        ),
        ("base_url", "http://api.example", "unencrypted"),
        ("base_url", "https://user:secret@api.example", "no user name"),
        ("base_url", "https://api.example/?a=b", "no user name"),
        ("base_url", "https://api.example/v1/", "must not end with /v1"),
        ("base_url", "https://[::1", "--base-url"),
        ("base_url", "http://other.localhost", "unencrypted"),
        *(("base_url", f"https://api.example:{port}", "a port only from 1 to 65535") for port in (0, 99999)),
        *(("base_url", url, "no space") for url in ("https://api example", " https://api.example")),
        ("base_url", "https://api.example/../..", "no . or .."),
        *(
            ("history", url, "must be a URL")
            for url in ("films.sqlite3", "mysql://db/films", "postgresql://db/my films")
        ),
        *(
            ("history", f"postgresql://{url}", "its parts can't be told apart: within a user name, password or value")
            for url in (
                *(f"me:se{mark}cret@db/films" for mark in "/?#@[]"),
                *(
                    "me:12/34@db/films",
                    "me:12?a=b@db/films",
                    "me:12#@db",
                    "db:port/films",
                    "db:99999/films",
                    "db:0/films",
                ),
                *(
                    "[::1/films",
                    "[::1]x:5432/films",
                    "db,other:x/films",
                    "db/films?port=x",
                    "db/films?password",
                    "db/#",
                ),
            )
        ),
        ("ca_file", __file__, "no certificates"),
        ("api_version", "latest", "must look like 2024-11-06"),
        ("ca_file", "/nowhere/at/all.pem", "--ca-file"),
        ("transport", "sse", "'stdio' or 'streamable-http'"),
        ("host", "0.0.0.0", "without authentication"),
        *(("host", host, "without authentication") for host in ("::", "192.0.2.1", "example.com")),
        ("port", "0", "--port"),
        ("path", "mcp", "must look like /mcp"),
        *(("path", path, "must not be one of the server's own") for path in ("/readyz", "/openapi.json", "/v1/tasks")),
        *(("path", path, "must look like /mcp") for path in ("/a b", "/../x", "/a//b")),
        pytest.param("path", "/" + "a" * 10_000 + "!", "must look like /mcp", id="a pattern that backtracks"),
        ("log_level", "loud", "--log-level"),
        ("sandbox_speed", "nan", "--sandbox-speed"),
        ("read_only", "perhaps", "--read-only"),
        ("auth", "password", "'none', 'token' or 'oauth'"),
        ("auth", "token", "for --transport streamable-http"),
        ("tokens_file", __file__, "it goes with --auth token"),
        *((f"oauth_{name}", "https://id.example", "it goes with --auth oauth") for name in OAUTH_URLS),
        ("tenants_file", __file__, "it goes with --auth oauth"),
        ("oauth_issuer", "http://id.example", "must be an https:// URL"),
        ("oauth_issuer", "https://id.example/?a=b", "no space, query or fragment"),
        ("allowed_host", "https://mcp.example", "must look like mcp.example.com"),
        ("allowed_origin", "mcp.example", "must look like https://app.example.com"),
        ("allowed_origin", "https://app.example/path", "must look like https://app.example.com"),
        ("media_domain", "media.example", "must look like https://*.example.com"),
        ("media_domain", "http://media.example", "must look like https://*.example.com"),
        ("media_domain", "https://*", "must look like https://*.example.com"),
        ("media_domain", "https://media.example; script-src *", "must look like https://*.example.com"),
        ("trusted_proxy", "proxy.example", "must be an address or a network"),
        ("max_concurrent_requests", "0", "--max-concurrent-requests"),
        ("max_concurrent_waits", "many", "--max-concurrent-waits"),
        ("metrics", "true", "for --transport streamable-http"),
    ],
)
def test_a_bad_value_is_one_line_that_names_flag_and_variable(name: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value})
    message = str(caught.value)
    assert "\n" not in message
    assert words in message
    assert message.startswith(f"{flag(name)} / {variables(name)[0]}: ")
    assert "secret" not in message


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("path", ["/", "/mcp", "/mcp/", "/a.b/~c/-d_1", "/" + "a/" * 5_000]),
        (
            "base_url",
            ["https://gateway.example/runway", "http://127.0.0.1:8790", "http://localhost:1", "http://[::1]:9"],
        ),
    ],
)
def test_good_paths_and_urls_are_taken(name: str, values: list[str]) -> None:
    assert [getattr(load({name: value}), name) for value in values] == values


def test_a_base_url_loses_its_trailing_slash() -> None:
    assert load({"base_url": "http://localhost:1/"}).base_url == "http://localhost:1"


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "::", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example", "a.localhost", "127.1", ""),
        *("[::1]", "127.0.0.1:1", "127.0.0.1\0", "\ud800", "\u0661", "1" * 5_000),
    ],
)
def test_look_alikes_and_garbage_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)


HTTP: dict[str, object] = {"transport": "streamable-http"}


def test_a_repeated_flag_and_a_variable_with_commas_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAY_MCP_ALLOWED_HOST", "mcp.example, [::1]:8000,,other.example:8443")
    monkeypatch.setenv("RUNWAY_MCP_TRUSTED_PROXY", "10.0.0.0/8")
    settings = load({"trusted_proxy": ["10.1.2.3", "fd00::/8"]})
    assert settings.allowed_host == ("mcp.example", "[::1]:8000", "other.example:8443")
    assert settings.trusted_proxy == ("10.1.2.3", "fd00::/8")
    assert settings.allowed_origin == ()


def test_with_authentication_other_addresses_may_be_served() -> None:
    token = HTTP | {"auth": "token", "tokens_file": __file__}
    assert load(token | {"host": "10.0.0.5"}).host == "10.0.0.5"
    assert load(token | {"host": "0.0.0.0", "allowed_host": ["mcp.example"]}).allowed_host == ("mcp.example",)
    with pytest.raises(SettingsError, match="--allowed-host must name the hosts"):
        load(token | {"host": "::"})


@pytest.mark.parametrize(
    ("flags", "missing"),
    [
        ({"auth": "token"}, "--tokens-file"),
        ({"auth": "oauth", "oauth_audience": "https://mcp.example/mcp"}, "--oauth-issuer"),
        ({"auth": "oauth", "oauth_issuer": "https://id.example"}, "--oauth-audience"),
    ],
)
def test_what_a_mode_of_authentication_needs_must_be_there(flags: dict[str, object], missing: str) -> None:
    with pytest.raises(SettingsError, match=f"^--auth / RUNWAY_MCP_AUTH: {flags['auth']} needs {missing} / "):
        load(HTTP | flags)


def test_oauth_takes_https_and_for_trying_it_out_this_machine() -> None:
    """Issuer, audience and introspection; the client's secret comes from its variable alone and is not shown."""
    local = {"oauth_issuer": "http://127.0.0.1:9", "oauth_introspection_url": "http://localhost:9/introspect"}
    settings = load(HTTP | local | {"auth": "oauth", "oauth_audience": "https://mcp.example/mcp"})
    assert settings.oauth_issuer == "http://127.0.0.1:9"
    assert flag("oauth_client_secret") is None


def test_a_folder_may_be_told_from_home_on() -> None:
    """Hosts start no shell that would put the home folder in the place of ~."""
    assert load({"state_dir": Path("~/state")}).state_dir == Path.home() / "state"


def test_folders_are_whole_paths_and_certificates_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWAY_MCP_FILES_ROOT", os.pathsep.join([str(tmp_path), "~"]))
    assert load({}).files_root == (tmp_path, Path.home())
    for folders, which in (([tmp_path / "none", "none"], "number 2 of 2"), (["."], "it")):
        with pytest.raises(SettingsError, match=f"{which} is not a whole path"):
            load({"files_root": folders})
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")  # pyright: ignore[reportUnknownMemberType] - trustme leaves a type open
    assert load({"ca_file": tmp_path / "ca.pem"}).ca_file == tmp_path / "ca.pem"


def test_a_key_is_found_by_the_name_of_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys.env"
    file.write_text("ANNS_KEY=from_file\nBOBS_KEY=from_file\nEVES_KEY='not a key'\n")
    monkeypatch.setenv("ANNS_KEY", "from_environment")
    monkeypatch.setenv("BOBS_KEY", "")
    find = find_key_in(file)
    found = {name: key.get_secret_value() for name in ("ANNS_KEY", "BOBS_KEY") if (key := find(name))}
    assert found == {"ANNS_KEY": "from_environment", "BOBS_KEY": "from_file"}
    assert find("NO_SUCH_KEY") is None
    assert find_key_in()("EVES_KEY") is None
    with pytest.raises(ValueError, match="holds a space") as caught:
        find("EVES_KEY")
    assert "not a key" not in str(caught.value)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({}, "it needs a folder to save in: --files-root"),
        ({"files_root": ["/films"], "toolsets": "tasks,generation"}, "it needs the toolset files"),
        ({"files_root": ["/films"], "read_only": True}, "goes without --read-only"),
    ],
)
def test_outputs_are_saved_by_themselves_only_where_they_can_be(flags: dict[str, object], words: str) -> None:
    with pytest.raises(SettingsError, match=f"^--auto-save / RUNWAY_MCP_AUTO_SAVE: .*{words}"):
        load({"auto_save": True} | flags)
    assert load({"auto_save": True, "files_root": ["/films"], "toolsets": "Files , generation"}).auto_save
