"""Folders that may be used: what lies inside is, and nothing else, however it is written or exchanged."""

import os
import re
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runway_mcp.files.file_errors import NoFolderAllowedError, PathNotAllowedError, UnusablePathError
from runway_mcp.files.folders import Folders, open_saved
from runway_mcp.files.partial_file import PartialFile
from runway_mcp.files.safe_open import Abilities
from runway_mcp.mcp_server.file_messages import explain

MODES = sorted({os.open in os.supports_dir_fd, False})
Open = Callable[[Folders, str], object]


@pytest.fixture(params=MODES, ids=lambda by: "descriptors" if by else "paths")
def abilities(request: pytest.FixtureRequest) -> Abilities:
    """Both ways to reach a file, as far as this system has them."""
    return Abilities(descriptors=request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder, beside which a secret lies."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.png").write_bytes(b"secret")
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "a b.png").write_bytes(b"inside")
    return tmp_path / "root"


@contextmanager
def opened_descriptors() -> Generator[None]:
    """See that nothing is left open."""
    proc = Path("/proc/self/fd")
    before = len(list(proc.iterdir())) if proc.is_dir() else 0
    yield
    assert (len(list(proc.iterdir())) if proc.is_dir() else 0) == before


def read(folders: Folders, path: str) -> bytes:
    """The content of a file inside."""
    with folders.open_input(path) as file:
        content = file.file.read()
        assert file.size == len(content)
        assert file.name == Path(path).name.replace("%20", " ")
        return content


def make(folders: Folders, path: str) -> Path:
    """Open a folder to save in."""
    destination = folders.destination(path)
    with destination.open():
        return destination.path


def exchange(root: Path) -> None:
    """Put a link that leads out in the place of a folder."""
    (root / "sub").rename(root / "moved")
    (root / "sub").symlink_to(root.parent / "outside")


def test_a_file_inside_is_read_however_it_is_written(root: Path, abilities: Abilities) -> None:
    """Relative to the first folder, whole, as a URI, through the folder's other names or a link that stays inside."""
    (root.parent / "alias").symlink_to(root)
    (root / "link").symlink_to(root / "sub")
    (root / "sub" / "link.png").symlink_to("a b.png")
    folders = Folders([root.parent / "alias", root / "sub"], abilities=abilities)
    assert folders
    assert folders.paths == (root, root / "sub")
    with opened_descriptors():
        for path in ("sub/a b.png", f"{root}/sub/a b.png", f"{root.parent}/alias/sub/a b.png", "link/a b.png"):
            assert read(folders, path) == b"inside"
        assert read(folders, (root / "sub" / "a b.png").as_uri()) == b"inside"
        with folders.open_input("sub/link.png") as file:
            assert file.file.read() == b"inside"


@pytest.mark.parametrize("use", [read, make])
@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "sub/../../secret.png",
        "{outside}/secret.png",
        "{root}-beside/secret.png",
        "file://{outside}/secret.png",
        "file://{root}/%2e%2e/secret.png",
        "/etc/passwd",
        "//server/share",
        r"\\server\share\a.png",
        r"C:\a.png",
        "~/secret.png",
        "a\0.png",
        "x" * 100_000,
        "link-out/secret.png",
        "link-out/new",
        "link-to-file",
        "sub/link-up/secret.png",
        "link-dangling",
        "link-chain/secret.png",
    ],
)
def test_what_lies_outside_is_neither_read_nor_made(root: Path, abilities: Abilities, use: Open, path: str) -> None:
    """By "..", by a whole path, as Windows or a shell writes it, through links: told in short which are allowed."""
    (root.parent / "root-beside").mkdir()
    (root / "link-out").symlink_to(root.parent / "outside")
    (root / "link-to-file").symlink_to(root.parent / "secret.png")
    (root / "sub" / "link-up").symlink_to("../..")
    (root / "link-dangling").symlink_to(root.parent / "new")
    (root / "link-chain").symlink_to(root / "link-out")
    before = sorted(root.parent.rglob("*"))
    with pytest.raises(PathNotAllowedError) as caught, opened_descriptors():
        use(Folders([root], abilities=abilities), path.format(root=root, outside=root.parent / "outside"))
    assert f"Allowed: {root}" in explain(caught.value)
    assert len(explain(caught.value)) < 1000
    assert sorted(root.parent.rglob("*")) == before


def test_without_a_folder_nothing_is_guessed() -> None:
    folders = Folders([])
    assert not folders
    for use in (read, make):
        with pytest.raises(NoFolderAllowedError):
            use(folders, "pyproject.toml")
    with pytest.raises(NoFolderAllowedError):
        folders.destination(None)


@pytest.mark.parametrize("kind", ["fifo", "socket", "folder"])
def test_what_is_no_ordinary_file_is_refused_at_once(root: Path, abilities: Abilities, kind: str) -> None:
    """A FIFO without a writer would wait for ever, a device has no end."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = root / "x.png"
        {
            "fifo": lambda: os.mkfifo(path),
            "socket": lambda: listener.bind(str(path)),
            "folder": path.mkdir,
        }[kind]()
        with (
            pytest.raises(UnusablePathError),
            opened_descriptors(),
        ):
            Folders([root], abilities=abilities).open_input("x.png")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.png", "does not exist in /"),
        ("{root}/none.png", r'none\.png" does not exist\. '),
        ("none/a.png", "does not exist"),
        ("sub/a b.png/c.png", "no folder"),
        (".", "no ordinary file"),
        ("x" * 300, "name too long"),
        ("loop", "symbolic links|does not exist"),
    ],
)
def test_what_can_not_be_read_says_why(root: Path, abilities: Abilities, path: str, said: str) -> None:
    """Missing, in a file's place, a folder, refused by the system."""
    (root / "loop").symlink_to("loop")
    with pytest.raises(UnusablePathError) as caught, opened_descriptors():
        Folders([root], abilities=abilities).open_input(path.format(root=root))
    assert re.search(f"(?i){said}", explain(caught.value))
    assert explain(caught.value).endswith("Nothing was read.")
    assert len(explain(caught.value)) < 1000


def test_an_allowed_folder_that_is_none_is_told_when_it_is_used(root: Path, abilities: Abilities) -> None:
    """Missing or a file: the server starts all the same; the folder may still come."""
    missing = Folders([root / "later"], abilities=abilities)
    for folders in (missing, Folders([root / "sub" / "a b.png"], abilities=abilities)):
        for use in (read, make):
            with pytest.raises(UnusablePathError):
                use(folders, "a/b.png")
        with pytest.raises(UnusablePathError, match="saved"):
            folders.destination(None)
    (root / "later").mkdir()
    assert make(missing, "a") == root / "later" / "a"


def test_a_folder_to_save_in_is_made_inside(root: Path, abilities: Abilities) -> None:
    """The first one if nothing is said; further ones level by level; an existing one as it is."""
    folders = Folders([root, root.parent / "outside"], abilities=abilities)
    (root / "link").symlink_to(root / "made later")
    with opened_descriptors():
        assert make(folders, ".") == root
        assert folders.destination(None).path == root
        assert folders.destination("new/deep").path == root / "new" / "deep"
        assert not (root / "new").exists()
        assert make(folders, "new/deep") == root / "new" / "deep"
        assert make(folders, str(root.parent / "outside" / "new")) == root.parent / "outside" / "new"
        assert make(folders, "new/deep") == root / "new" / "deep"
        assert make(folders, "link/x") == root / "made later" / "x"
    assert (root / "made later" / "x").is_dir()
    with pytest.raises(UnusablePathError) as caught:
        folders.destination("sub/a b.png")
    assert "leads through something that is no folder. Nothing was saved." in explain(caught.value)


def test_a_file_of_an_opened_folder_can_be_read(root: Path, abilities: Abilities) -> None:
    """What was saved before, but no link to elsewhere and nothing above."""
    (root / "saved.png").write_bytes(b"saved")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    (root / "dangling.png").symlink_to(root.parent / "none.png")
    with Folders([root], abilities=abilities).destination(None).open() as folder, opened_descriptors():
        with open_saved(folder, "saved.png") as file:
            assert file.file.read() == b"saved"
        for name in ("link.png", "dangling.png", "none.png"):
            with pytest.raises(OSError, match=r"(?i)links|no such"):
                open_saved(folder, name)
        for name in ("../secret.png", "sub/a b.png", ""):
            with pytest.raises(ValueError, match="name"):
                open_saved(folder, name)


def test_a_link_put_in_a_folders_place_leads_nowhere(root: Path) -> None:
    """After a folder was opened: whatever is done in it is done in the folder that it was."""
    with Folders([root]).destination("sub").open() as folder, opened_descriptors():
        file = PartialFile(folder, "a")
        exchange(root)
        file.write(b"1")
        file.publish("final", "png")
        PartialFile(folder, "b").discard()
        with pytest.raises(FileNotFoundError):
            open_saved(folder, "secret.png")
    assert (root / "moved" / "final.png").read_bytes() == b"1"
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret.png"]


def test_a_link_put_there_before_a_folder_is_opened_is_refused(root: Path, abilities: Abilities) -> None:
    """Between the look at a path and the first byte that is saved."""
    destination = Folders([root], abilities=abilities).destination("sub")
    exchange(root)
    with pytest.raises(UnusablePathError), opened_descriptors():
        destination.open()
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret.png"]


def test_without_descriptors_a_link_in_a_folders_place_is_refused(root: Path) -> None:
    folders = Folders([root], abilities=Abilities(descriptors=False))
    with folders.destination("sub").open() as folder, opened_descriptors():
        file = PartialFile(folder, "a")
        file.write(b"1")
        exchange(root)
        for step in (
            lambda: file.publish("final", "png"),
            lambda: PartialFile(folder, "b"),
            lambda: open_saved(folder, "secret.png"),
        ):
            with pytest.raises(OSError, match="symbolic links"):
                step()
        file.discard()
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret.png"]
