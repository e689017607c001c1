"""Files of this machine as inputs, where the disk fails; the rest is proved through the tools."""

from io import BufferedReader, RawIOBase
from typing import Any

import pytest
from support.faulty import FaultyWire, faulty_context

from runway_mcp.files.file_errors import UnsuitableFileError
from runway_mcp.files.folders import InputFile
from runway_mcp.tasks.local_files import upload_anew

PNG = b"\x89PNG\r\n\x1a\n" + bytes(9000)


class Failing(RawIOBase):
    """A disk that can be read once."""

    has_been_read = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, _whence: int = 0, /) -> int:
        return offset

    def readinto(self, buffer: Any, /) -> int:
        if self.has_been_read:
            raise OSError(5, "Input/output error")
        self.has_been_read = True
        buffer[:] = PNG[: len(buffer)]
        return len(buffer)


async def test_a_file_that_can_not_be_read_to_its_end_is_not_uploaded() -> None:
    wire = FaultyWire()
    async with faulty_context(wire) as context:
        with pytest.raises(UnsuitableFileError) as caught:
            await upload_anew(context, InputFile("kite.png", len(PNG), BufferedReader(Failing())), _nobody)
    assert (caught.value.problem, caught.value.reason) == ("unreadable", "Input/output error")
    assert wire.methods == []


async def _nobody(_sent: int, _size: int) -> None:
    raise AssertionError
