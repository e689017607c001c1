"""`runway-mcp viewer`: a link for the browser of this machine, until a stop signal."""

import re
import sys
from pathlib import Path

import anyio
import httpx2
import pytest
from support.process import KEY, running
from support.served import NO_TRUST
from support.waiting import until

from runway_mcp.cli.main import main


@pytest.mark.parametrize("account", ["sandbox", "own"])
async def test_it_opens_a_browser_and_ends_in_order(account: str, tmp_path: Path) -> None:
    (script := tmp_path / "browser.py").write_text(
        "import pathlib, sys; pathlib.Path(__file__).with_name('opened').write_text(sys.argv[1])"
    )
    browser = f"{Path(sys.executable).as_posix()} {script.as_posix()} %s"
    options = ["--sandbox"] if account == "sandbox" else ["--state-dir", str(tmp_path)]
    env = {"BROWSER": browser} | ({} if account == "sandbox" else {"RUNWAYML_API_SECRET": KEY})
    with anyio.fail_after(60):
        async with running("viewer", *options, env=env, measured=True) as server:
            await server.logged("Ctrl+C ends it")
            (link,) = re.findall(r"http://127\.0\.0\.1:\d+/\?token=\S+", server.stderr)
            opened = tmp_path / "opened"
            await until(lambda: opened.exists() and opened.read_text() == link, "the browser to open the link")
            origin = link.partition("/?")[0]
            headers = {"Origin": origin}
            async with httpx2.AsyncClient(headers=headers, trust_env=False, verify=NO_TRUST) as http:
                assert (await http.get(link)).status_code == 200
                call: dict[str, object] = {"name": "runway_listTasks", "arguments": {}}
                listed = (await http.post(f"{origin}/call", json=call)).json()
            assert listed["structuredContent"]["matched"] == 0
            await server.stop("SIGINT")
            await server.ends_quietly()
            assert KEY not in server.stderr


def test_a_wrong_setting_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["viewer", "--sandbox", "--toolsets", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("runway-mcp: --toolsets / RUNWAY_MCP_TOOLSETS: there are ")
