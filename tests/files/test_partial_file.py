"""A file while it is written: hidden, removed if it never becomes whole, published over nothing."""

import hashlib
import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time

import pytest

from runway_mcp.files.folders import Folders
from runway_mcp.files.partial_file import RECORD_SECONDS, STALE_SECONDS, Copy, PartialFile
from runway_mcp.files.safe_open import Abilities, Directory

MODES = [
    Abilities(descriptors=descriptors, hard_links=hard_links)
    for descriptors in sorted({os.open in os.supports_dir_fd, False})
    for hard_links in (True, False)
]
OUTPUT = ".runway-08388106-1b46-4f5c-bd46-1c1d7ee86892-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where files are saved."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(params=MODES, ids=str)
def folder(request: pytest.FixtureRequest, path: Path) -> Iterator[Directory]:
    """A folder to save in, by every way to reach and to name a file."""
    with Folders([path], abilities=request.param).destination(None).open() as folder:
        yield folder


def names(path: Path) -> list[str]:
    """What the folder holds."""
    return sorted(entry.name for entry in path.iterdir())


def written(folder: Directory, *data: bytes, name: str = "a") -> PartialFile:
    """A file with something in it."""
    file = PartialFile(folder, name)
    for piece in data:
        file.write(piece)
    return file


def test_a_whole_file_gets_its_name(folder: Directory, path: Path) -> None:
    """Before that it is hidden and the owner's alone; afterwards nothing else is left, and nothing undoes it."""
    file = written(folder, b"12", b"", b"3")
    file.restart()
    file.write(b"\x89PNG\r\n\x1a\n")
    file.write(b"45")
    assert (file.size, file.content_type and file.content_type.name) == (10, "image/png")
    (hidden,) = path.iterdir()
    assert hidden.name.startswith(".runway-a.")
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o600
    assert file.publish("task-1", "png") == (path / "task-1.png", False)
    file.discard()
    assert names(path) == ["task-1.png"]
    content = (path / "task-1.png").read_bytes()
    assert content == b"\x89PNG\r\n\x1a\n45"
    assert file.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_a_name_that_is_taken_stays_as_it_is(folder: Directory, path: Path, tmp_path: Path, kind: str) -> None:
    """Whatever has it; the next free name is taken, and the same bytes are saved once."""
    taken = path / "a.png"
    (tmp_path / "file").write_bytes(b"old")
    match kind:
        case "file":
            taken.write_bytes(b"old")
        case "folder":
            taken.mkdir()
        case "link":
            taken.symlink_to(tmp_path / "file")
        case _:
            taken.symlink_to(tmp_path / "new")
    before = taken.lstat()
    assert written(folder, b"new").publish("a", "png") == (path / "a-2.png", False)
    assert written(folder, b"new").publish("a", "png") == (path / "a-2.png", True)
    written(folder, b"new").discard()
    assert names(path) == ["a-2.png", "a.png"]
    after = taken.lstat()  # reading a link changes its atime
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not (tmp_path / "new").exists()


def test_many_that_publish_at_once_all_get_a_name(folder: Directory, path: Path) -> None:
    def publish(number: int) -> tuple[Path, bool]:
        return written(folder, b"%d" % number).publish("a", "bin")

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(publish, range(16)))
    assert len(set(found)) == len(names(path)) == 16
    assert sorted(int(file.read_bytes()) for file, _ in found) == list(range(16))


def test_what_is_exchanged_while_it_is_written_is_not_published(path: Path) -> None:
    """A link in the hidden file's place does not become the output."""
    with Folders([path]).destination(None).open() as folder:
        file = written(folder, b"new")
        (hidden,) = path.iterdir()
        hidden.unlink()
        hidden.symlink_to("/etc/passwd")
        with pytest.raises(OSError, match="exchanged"):
            file.publish("a", "bin")
        file.discard()
        assert names(path) == []


def test_what_can_not_be_published_takes_no_name(folder: Directory, path: Path) -> None:
    """The hidden file was removed: told, and the final name is free."""
    file = written(folder, b"new")
    (hidden,) = path.iterdir()
    hidden.unlink()
    with pytest.raises(FileNotFoundError):
        file.publish("a", "bin")
    file.discard()
    assert names(path) == []


def test_what_a_killed_process_left_is_removed(path: Path) -> None:
    """With the next opening of the folder, and nothing else; what another process may be writing stays."""
    mark = "0123456789abcdef"
    stale = f"{OUTPUT}.{mark}.part"
    young = f"{OUTPUT}1.{mark}.part"
    others = [f".runway-notes.{mark}.part", f"{OUTPUT}.part", f"{stale}.txt", stale[1:], f"{OUTPUT}.{mark}.writing"]
    for name in [stale, young, *others]:
        (path / name).touch()
        if name != young:
            os.utime(path / name, (0, time() - STALE_SECONDS - 60))
    (path / f"{OUTPUT}2.{mark}.part").mkdir()
    os.utime(path / f"{OUTPUT}2.{mark}.part", (0, 0))
    with Folders([path]).destination(None).open():
        pass
    assert names(path) == sorted([*others, young, f"{OUTPUT}2.{mark}.part"])


@pytest.mark.parametrize("name", ["", "..", "a/b", "x" * 256])
def test_a_hidden_file_has_a_name_that_every_system_takes(folder: Directory, path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        PartialFile(folder, name)
    assert names(path) == []


def test_the_same_bytes_of_another_output_are_not_taken_for_its_own(folder: Directory, path: Path) -> None:
    """Two tasks can have the same prompt on the same day, and even the same result."""
    first = path / "a.png"
    assert written(folder, b"new").publish("a", "png") == (first, False)
    assert written(folder, b"new").publish("a", "png", {first}) == (path / "a-2.png", False)
    assert written(folder, b"new").publish("a", "png", {first, path / "a-2.png"}) == (path / "a-3.png", False)
    assert written(folder, b"new").publish("a", "png", {path / "a-2.png"}) == (path / "a-4.png", False)
    os.utime(first, (0, time() - RECORD_SECONDS - 1))
    assert written(folder, b"new").publish("a", "png", {path / "a-2.png"}) == (first, True)


def test_a_full_disk_is_the_systems_error(folder: Directory) -> None:
    file = PartialFile(folder, "a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            file.write(bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.size == 100_000
    file.discard()


def test_another_file_is_taken_only_as_it_was(folder: Directory, path: Path) -> None:
    (path / "other").write_bytes(b"kite")
    file = PartialFile(folder, "a")
    assert not file.take(Copy(lambda: (path / "other").open("rb"), "0" * 64))
    assert file.size == 0
    assert file.take(Copy(lambda: (path / "other").open("rb"), hashlib.sha256(b"kite").hexdigest()))
    assert file.size == 4
    file.discard()
