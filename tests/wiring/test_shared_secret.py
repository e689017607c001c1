"""A secret that processes share by a file: complete, or not there at all."""

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from runway_mcp.cli.main import main
from runway_mcp.wiring.shared_secret import LENGTH, shared_secret

CRASH = """
import os, pathlib, secrets, sys
secrets.token_bytes = lambda _: os._exit(7)
from runway_mcp.wiring.shared_secret import shared_secret
shared_secret(pathlib.Path(sys.argv[1]))
"""


def test_all_who_ask_at_once_get_the_same(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    start = threading.Barrier(8)

    def ask(_: int) -> bytes:
        start.wait(10)
        return shared_secret(file)

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(ask, range(8)))
    assert len(found) == 1
    assert len(found.pop()) == LENGTH
    assert list(tmp_path.iterdir()) == [file]
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_crash_while_it_is_created_blocks_no_later_start(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(file)], check=False, timeout=30)
    assert crashed.returncode == 7
    assert len(shared_secret(file)) == LENGTH


def test_a_full_disk_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            shared_secret(tmp_path / "secret")
    assert list(tmp_path.iterdir()) == []
    assert len(shared_secret(tmp_path / "secret")) == LENGTH


def test_a_file_system_may_have_no_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> NoReturn:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    assert len({shared_secret(tmp_path / "secret") for _ in range(2)}) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "secret"]


def test_a_file_that_holds_no_secret_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that asks people over HTTP needs the key and does not start without it."""
    (tmp_path / "approvals.key").write_bytes(b"short")
    flags = ["--sandbox", "--transport=streamable-http", f"--state-dir={tmp_path}"]
    assert main([*flags, "--confirm-over=1"]) == 2
    assert "the key of its approvals can't be kept" in capsys.readouterr().err
