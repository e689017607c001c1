"""A file while it is written: hidden, resumable by one at a time, published over nothing."""

import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import time

import pytest

from runway_mcp.files.folders import Folder, Folders
from runway_mcp.files.parts import Part
from runway_mcp.files.safe_open import Abilities

MODES = [
    Abilities(descriptors=descriptors, hard_links=hard_links)
    for descriptors in sorted({os.open in os.supports_dir_fd, False})
    for hard_links in (True, False)
]
DAY = 24 * 3600
OUTPUT = ".runway-08388106-1b46-4f5c-bd46-1c1d7ee86892-1"


@pytest.fixture(params=MODES, ids=str)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Folder]:
    """A folder to save in, by every way to reach and to name a file."""
    (tmp_path / "root").mkdir()
    with Folders([tmp_path / "root"], abilities=request.param).folder(None) as folder:
        yield folder


def names(folder: Folder) -> list[str]:
    """What the folder holds."""
    return sorted(path.name for path in folder.path.iterdir())


def written(folder: Folder, name: str, *data: bytes) -> Part:
    """A part with something in it."""
    part = folder.open_part(name)
    for piece in data:
        part.write(piece)
    return part


def test_a_whole_file_gets_its_name(folder: Folder) -> None:
    """Before that it is hidden and the owner's alone; afterwards nothing else is left, and nothing undoes it."""
    part = written(folder, "a.abc", b"12", b"", b"345")
    assert part.size == 5
    (hidden,) = folder.path.iterdir()
    assert hidden.name.startswith(".runway-a.abc.")
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o600
    assert part.publish("task-1.png") == folder.path / "task-1.png"
    part.keep()
    part.discard()
    assert names(folder) == ["task-1.png"]
    assert (folder.path / "task-1.png").read_bytes() == b"12345"


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
def test_a_name_that_is_taken_stays_as_it_is(folder: Folder, tmp_path: Path, kind: str) -> None:
    """Whatever has it; the part can still be published under another, kept or discarded."""
    taken = folder.path / "taken.png"
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
    parts = [written(folder, name, b"new") for name in "abc"]
    for part in parts:
        with pytest.raises(FileExistsError):
            part.publish("taken.png")
    parts[0].publish("free.png")
    parts[1].keep()
    parts[2].discard()
    assert names(folder) == [".runway-b.part", "free.png", "taken.png"]
    assert taken.lstat() == before
    assert (tmp_path / "file").read_bytes() == b"old"
    assert not (tmp_path / "new").exists()


def test_what_was_kept_is_gone_on_with(folder: Folder) -> None:
    """By another call or process: what is there can be read back, added to, or thrown away."""
    written(folder, "a", b"123").keep()
    assert names(folder) == [".runway-a.part"]
    part = folder.open_part("a")
    assert part.size == 3
    assert b"".join(part.read_back()) == b"123"
    part.write(b"45")
    assert b"".join(part.read_back()) == b"12345"
    part.keep()
    part = folder.open_part("a")
    part.restart()
    assert part.size == 0
    part.write(b"6")
    assert part.publish("a.bin").read_bytes() == b"6"
    assert names(folder) == ["a.bin"]


def test_an_empty_part_is_not_kept(folder: Folder) -> None:
    """There is nothing to go on with."""
    folder.open_part("a").keep()
    assert names(folder) == []


def test_one_alone_goes_on_with_what_was_kept(folder: Folder) -> None:
    """Of many at once the others begin anew, each in a file of its own."""
    written(folder, "a", b"kept").keep()
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(folder.open_part, ["a"] * 16))
    assert sorted(part.size for part in parts) == [0] * 15 + [4]
    assert len(names(folder)) == 16
    for part in parts:
        part.discard()
    assert names(folder) == []


def test_one_alone_gets_a_name(folder: Folder) -> None:
    """Of many that publish at once under the same name; what the others wrote is still theirs."""

    def publish(number: int) -> bool:
        part = written(folder, f"p{number}", b"%d" % number)
        try:
            part.publish("a.bin")
        except FileExistsError:
            part.discard()
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(publish, range(16))) == 1
    assert names(folder) == ["a.bin"]


@pytest.mark.parametrize("kind", ["link", "second name", "folder", "fifo"])
def test_what_was_put_in_a_kept_parts_place_is_not_written_to(folder: Folder, tmp_path: Path, kind: str) -> None:
    """A link to another file, another file itself, or none at all: a new file is begun."""
    victim, kept = tmp_path / "victim", folder.path / ".runway-a.part"
    victim.write_bytes(b"precious")
    {
        "link": lambda: kept.symlink_to(victim),
        "second name": lambda: kept.hardlink_to(victim),
        "folder": kept.mkdir,
        "fifo": lambda: os.mkfifo(kept),
    }[kind]()
    part = written(folder, "a", b"new")
    assert part.size == 3
    assert part.publish("a.bin").read_bytes() == b"new"
    assert victim.read_bytes() == b"precious"


def test_what_is_exchanged_while_it_is_written_is_not_published(tmp_path: Path) -> None:
    """A link in the hidden file's place does not become the output."""
    with Folders([tmp_path]).folder(None) as folder:
        part = written(folder, "a", b"new")
        (hidden,) = tmp_path.iterdir()
        hidden.unlink()
        hidden.symlink_to("/etc/passwd")
        with pytest.raises(OSError, match="exchanged"):
            part.publish("a.bin")
        part.discard()
        assert names(folder) == []


def test_what_can_not_be_published_takes_no_name(folder: Folder) -> None:
    """The hidden file was removed: told, and the final name is free."""
    part = written(folder, "a", b"new")
    (hidden,) = folder.path.iterdir()
    hidden.unlink()
    with pytest.raises(FileNotFoundError):
        part.publish("a.bin")
    part.discard()
    assert names(folder) == []


def test_what_was_left_for_a_day_is_removed(folder: Folder) -> None:
    """With the next opening of the folder: parts of killed processes too, but nothing else."""
    stale = (f"{OUTPUT}-{'1' * 16}.part", f"{OUTPUT}-{'1' * 16}.0123456789abcdef.writing")
    others = (
        ".runway-notes.part",
        ".runway-notes.writing",
        f".runway-notes-{'1' * 16}.part",
        f"{OUTPUT}.part",
        f"{OUTPUT}-{'1' * 16}.part.txt",
        f"{OUTPUT}-{'1' * 16}.writing",
        f"{OUTPUT}-{'1' * 16}.part"[1:],
    )
    young = (f"{OUTPUT}-{'2' * 16}.part", f"{OUTPUT}-{'2' * 16}.0123456789abcdef.writing")
    for name in stale + others + young:
        (folder.path / name).touch()
        if name not in young:
            os.utime(folder.path / name, (time() - DAY - 60, time() - DAY - 60))
    (folder.path / f"{OUTPUT}-{'3' * 16}.part").mkdir()
    os.utime(folder.path / f"{OUTPUT}-{'3' * 16}.part", (0, 0))
    with Folders([folder.path]).folder(None):
        pass
    assert names(folder) == sorted((*others, *young, f"{OUTPUT}-{'3' * 16}.part"))


def test_of_the_versions_of_an_output_one_is_kept(folder: Folder) -> None:
    """What is begun of another replaces it; other outputs, files of the user's and what is written stay."""
    first, second, other = (f"{OUTPUT[8:]}-{mark * 16}" for mark in "abc")
    sibling = f"{OUTPUT[8:-1]}11-{'a' * 16}"
    written(folder, first, b"1").keep()
    written(folder, sibling, b"2").keep()
    (folder.path / f"{OUTPUT}-notes.part").write_bytes(b"mine")
    busy = written(folder, other, b"3")
    written(folder, second, b"4").keep()
    for name, size in ((sibling, 1), (second, 1), (first, 0)):
        part = folder.open_part(name)
        assert part.size == size
        part.discard()
    assert (folder.path / f"{OUTPUT}-notes.part").read_bytes() == b"mine"
    assert busy.publish("a.bin").read_bytes() == b"3"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "a\\b", ".a", "a.", "a b", "ä", "a\0", "a:b", "x" * 152]
)
def test_a_name_is_plain(folder: Folder, name: str) -> None:
    """Of letters, digits, dots, underscores and hyphens: no other file system reads it differently."""
    with pytest.raises(ValueError, match="name"):
        folder.open_part(name)
    part = folder.open_part("a")
    with pytest.raises(ValueError, match="name"):
        part.publish(name)
    part.discard()
    assert names(folder) == []


def test_a_full_disk_is_the_systems_error(folder: Folder) -> None:
    """How much it holds is still known, so that it can be kept."""
    part = folder.open_part("a")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            part.write(bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert part.size == 100_000
    part.keep()
    assert names(folder) == [".runway-a.part"]
