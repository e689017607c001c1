"""A secret that processes share by a file: the first makes it, the others wait until it is whole."""

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runway_mcp.cli.main import main
from runway_mcp.wiring.shared_secret import LENGTH, shared_secret


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    """One makes it, readable to its owner only."""
    file = tmp_path / "secret"
    start = threading.Barrier(8)

    def ask(_: int) -> bytes:
        start.wait(10)
        return shared_secret(file)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(found) == 1
    assert len(found.pop()) == LENGTH
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_no_secret_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process that asks people needs it over HTTP, and does not start without."""
    (tmp_path / "questions.key").write_bytes(b"short")
    flags = ["--sandbox", "--transport=streamable-http", f"--state-dir={tmp_path}"]
    assert main([*flags, "--confirm-over=1"]) == 2
    assert "the key of its questions can't be kept" in capsys.readouterr().err
