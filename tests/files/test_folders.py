"""Folders that may be used: what lies inside is, and nothing else, however it is written or exchanged."""

import os
import re
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from runway_mcp.files.file_errors import (
    AmbiguousNameError,
    NoFolderAllowedError,
    PathNotAllowedError,
    UnusablePathError,
)
from runway_mcp.files.folders import Folders
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


@pytest.mark.parametrize(
    ("on_disk", "typed"),
    [
        ("Screenshot 3.04\u202fPM.png", "Screenshot 3.04 PM.png"),
        ("Screenshot 3.04 PM.png", "Screenshot 3.04\u202fPM.png"),
        ("a\xa0b\u2009c.png", "a b c.png"),
        ("Ku\u0308che.png", "K\xfcche.png"),
        ("K\xfcche.png", "Ku\u0308che.png"),
        ("\u5c71\u304b\u3099.png", "\u5c71\u304c.png"),
        ("\uff21.png", "A.png"),
        ("\u200ephoto.png", "photo.png"),
        ("Ann\u2019s kite\u2014big.png", "Ann's kite-big.png"),
        ("two  spaces.png", "two spaces.png"),
    ],
)
def test_a_name_that_looks_the_same_is_found(root: Path, abilities: Abilities, on_disk: str, typed: str) -> None:
    """In every folder on its way, and in a URI; the exact name comes first."""
    folder = root / on_disk
    folder.mkdir()
    (folder / on_disk).write_bytes(b"inside")
    folders = Folders([root], abilities=abilities)
    with opened_descriptors():
        for path in (f"{typed}/{typed}", f"{on_disk}/{typed}", f"{root}/{typed}/{typed}", f"'{typed}/{typed}'\n"):
            with folders.open_input(path) as file:
                assert (file.name, file.file.read()) == (on_disk, b"inside")
        assert folders.destination(typed).path == folder
        assert folders.destination(f"{typed}/new").path == folder / "new"
    (folder / typed).write_bytes(b"exact")
    with folders.open_input(f"{typed}/{typed}") as file:
        assert file.file.read() == b"exact"


def test_an_allowed_folder_may_look_the_same_too(root: Path, abilities: Abilities) -> None:
    """Hosts on macOS write names in another form than models do."""
    allowed = root / "Bu\u0308cher\u202f1"
    (allowed / "sub").mkdir(parents=True)
    (allowed / "sub" / "a b.png").write_bytes(b"inside")
    folders = Folders([allowed], abilities=abilities)
    assert read(folders, f"{root}/B\xfccher 1/sub/a b.png") == b"inside"
    assert read(folders, f"{allowed}/sub/a b.png") == b"inside"
    assert make(folders, f"{root}/B\xfccher 1/new") == allowed / "new"
    with pytest.raises(PathNotAllowedError):
        folders.open_input(f"{root}/B\xfccher 2/sub/a b.png")


def test_of_several_names_that_look_the_same_none_is_chosen(root: Path, abilities: Abilities) -> None:
    for name in ("a\xa0b.png", "a\u202fb.png"):
        (root / name).write_bytes(b"inside")
        (root / f"in {name[:-4]}").mkdir()
    folders = Folders([root], abilities=abilities)
    with pytest.raises(AmbiguousNameError) as caught:
        folders.open_input("a b.png")
    assert 'look the same: "a\\u00a0b.png", "a\\u202fb.png". Repeat the call' in explain(caught.value)
    assert explain(caught.value).endswith("Nothing was read.")
    with pytest.raises(AmbiguousNameError):
        folders.destination("in a b")


def test_a_link_that_looks_the_same_leads_nowhere_else(root: Path, abilities: Abilities) -> None:
    """Inside it is followed as any; out of the folder it is not."""
    (root / "to\xa0sub").symlink_to(root / "sub")
    (root / "to\xa0outside").symlink_to(root.parent / "outside")
    folders = Folders([root], abilities=abilities)
    assert read(folders, "to sub/a b.png") == b"inside"
    with pytest.raises(PathNotAllowedError):
        folders.open_input("to outside/secret.png")


@pytest.mark.parametrize(
    "typed",
    [
        "sub/a b.png\n",
        "\r\n sub/a b.png \t",
        '"sub/a b.png"',
        "'sub/a b.png' ",
        "`sub/a b.png`",
        "\u201csub/a b.png\u201d",
        "<sub/a b.png>",
        "sub/a\\ b.png",
        "sub/a%20b.png",
        "'{root}/sub/a%20b.png'\n",
        "{root}/sub/a\\ b.png",
        '"file://{root}/sub/a%20b.png"',
    ],
)
def test_what_a_chat_a_shell_or_a_url_adds_is_left_out(root: Path, abilities: Abilities, typed: str) -> None:
    """Where there is no such name: the name as it is written comes first."""
    typed = typed.format(root=root)
    folders = Folders([root], abilities=abilities)
    with folders.open_input(typed) as file:
        assert file.file.read() == b"inside"
    if "\n" not in typed and "file:" not in typed:
        literal = root / typed
        literal.parent.mkdir(parents=True, exist_ok=True)
        literal.write_bytes(b"literal")
        with folders.open_input(typed) as file:
            assert file.file.read() == b"literal"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("sub ", "sub"), ("'sub'\n", "sub"), ("'s%20b'", "s%20b"), ("new%20one", "new one"), (' "new" ', "new")],
)
def test_a_folder_is_not_made_with_what_a_chat_adds(root: Path, abilities: Abilities, typed: str, meant: str) -> None:
    (root / "s%20b").mkdir()
    assert make(Folders([root], abilities=abilities), typed) == root / meant


@pytest.mark.parametrize("use", [read, make])
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        *((home, "~ is not expanded") for home in ("~/a.png", "'~/a'", "%7E/a", "\\~/a")),
        *((parent, '".."') for parent in ("'../a'", "%2e%2e/a", "sub/%2e%2e/%2e%2e/a")),
        *((blank, "It is blank") for blank in (" ", "\t\n", "''", '" "', "\u202f", "%20")),
        *((control, "control character") for control in ("\a", "a\nb", "a%00b", "\ud800")),
    ],
)
def test_what_stands_in_quotes_or_signs_is_checked_as_ever(
    root: Path, abilities: Abilities, use: Open, typed: str, said: str
) -> None:
    with pytest.raises(PathNotAllowedError) as caught:
        use(Folders([root], abilities=abilities), typed)
    assert said in explain(caught.value)


ATTACHED = (
    "kite.png",
    "/mnt/user-data/uploads/kite.png",
    "/mnt/data/kite.png",
    "sandbox:/mnt/data/kite.png",
    "file-service://file-8KTh2",
    "attachment://kite.png",
    "blob:https://chat.example/17f2",
    "content://media/external/images/7",
    "cid:part1.kite@example",
    "s3://bucket/kite.png",
    "file-8KTh2",
)


@pytest.mark.parametrize("path", ATTACHED)
def test_a_picture_of_the_chat_is_told_to_be_elsewhere(root: Path, path: str) -> None:
    """With the folder that it has to be saved into; not where something is saved."""
    said = f"A picture attached to the chat is not on this machine: save it into {root} first, then name it."
    with pytest.raises((PathNotAllowedError, UnusablePathError)) as caught:
        Folders([root]).open_input(path)
    assert said in explain(caught.value)
    with pytest.raises(NoFolderAllowedError) as caught:
        Folders([]).open_input(path)
    assert said.replace(str(root), "that folder") in explain(caught.value)


def test_a_url_that_an_input_takes_needs_no_upload(root: Path) -> None:
    for url in ("https://a.example/b.png", "HTTP://a.example", "runway://17f20503", "data:image/png;base64,aa"):
        with pytest.raises(PathNotAllowedError) as caught:
            Folders([root]).open_input(url)
        assert "pass a URL to the input as it is" in explain(caught.value)


@pytest.mark.parametrize("directory", ["kite.mp4", "sub/Kite.PNG", "'out/a.webm'", "out/a.jpeg\n", "x" * 300 + ".png"])
def test_a_folder_is_not_named_as_a_media_file(root: Path, abilities: Abilities, directory: str) -> None:
    """It is a wish for a file's name; a folder that has such a name is one."""
    folders = Folders([root], abilities=abilities)
    with pytest.raises(PathNotAllowedError) as caught:
        folders.destination(directory)
    assert "It is the name of a file, and this names a folder" in explain(caught.value)
    assert "A picture" not in explain(caught.value)
    (root / "kite.mp4").mkdir()
    assert make(folders, "kite.mp4") == root / "kite.mp4"
    assert make(folders, "kite.mp4/v1.0") == root / "kite.mp4" / "v1.0"


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
        ("'sub/a b.png/c.png'", "no folder"),
        ("sub/a%20b.png/c.png", "no folder"),
        ("x" * 300 + "%20", "name too long"),
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
                use(folders, "a/b")
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
        folders.destination("sub/a b.png/new")
    assert "leads through something that is no folder. Nothing was saved." in explain(caught.value)


def test_what_was_saved_is_found_again_while_it_is_the_same(root: Path, abilities: Abilities) -> None:
    """No link to elsewhere, nothing outside, and no other content."""
    (root / "saved.png").write_bytes(b"saved")
    (root / "link.png").symlink_to(root.parent / "secret.png")
    secret = (root.parent / "secret.png").read_bytes()
    folders, digest = Folders([root], abilities=abilities), sha256(b"saved").hexdigest()
    with opened_descriptors():
        assert folders.holds(root / "saved.png", 5, digest)
        assert not folders.holds(root / "saved.png", 4, digest)
        assert not folders.holds(root / "saved.png", 5, sha256(b"other").hexdigest())
        assert not folders.holds(root / "none.png", 5, digest)
        for path in (root / "link.png", root.parent / "secret.png"):
            assert not folders.holds(path, len(secret), sha256(secret).hexdigest())


def test_a_link_put_in_a_folders_place_leads_nowhere(root: Path) -> None:
    """After a folder was opened: whatever is done in it is done in the folder that it was."""
    with Folders([root]).destination("sub").open() as folder, opened_descriptors():
        file = PartialFile(folder, "a")
        exchange(root)
        file.write(b"1")
        file.publish("final", "png")
        PartialFile(folder, "b").discard()
        with pytest.raises(FileNotFoundError):
            folder.open_file("secret.png", os.O_RDONLY)
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
            lambda: folder.open_file("secret.png", os.O_RDONLY),
        ):
            with pytest.raises(OSError, match="symbolic links"):
                step()
        file.discard()
    assert [path.name for path in (root.parent / "outside").iterdir()] == ["secret.png"]
