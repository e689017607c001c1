"""Saved files that are looked at again and read, whatever the disk has become."""

from pathlib import Path

import pytest

from runway_mcp.files.saved_files import SavedFileTooLargeError, existing, read_saved


def test_only_regular_files_exist(tmp_path: Path) -> None:
    file = tmp_path / "kite.mp4"
    file.write_bytes(b"film")
    others = ["kite.mp4", "", str(tmp_path), str(tmp_path / "none"), f"{tmp_path}/a\0b", f"{tmp_path}/{'x' * 5000}"]
    assert existing([str(file), *others]) == {str(file): 4}


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "kite.mp4"
    file.write_bytes(b"film")
    assert read_saved(str(file), 4) == b"film"
    with pytest.raises(SavedFileTooLargeError, match="4 bytes of 3"):
        read_saved(str(file), 3)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(OSError, match=r"ordinary|No such|Is a directory|denied|cannot find"):
            read_saved(str(path), 4)
