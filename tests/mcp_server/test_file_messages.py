"""What a reader is told of errors about files that other tests do not meet."""

import errno

import pytest

from runway_mcp.files.file_errors import (
    FilesError,
    MissingLinkError,
    SaveFailedError,
    TooLargeError,
    TooManyDownloadsError,
    TooManyOutputsError,
    TransferTimeoutError,
    UnexpectedContentError,
)
from runway_mcp.mcp_server.file_messages import explain


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            SaveFailedError(OSError(errno.ENOSPC, "x")),
            "It could not be saved: the disk is full. Nothing of it is left.",
        ),
        (
            SaveFailedError(OSError(errno.EDQUOT, "x")),
            "It could not be saved: the disk is full. Nothing of it is left.",
        ),
        (SaveFailedError(OSError(errno.EFBIG, "x")), "the file system takes no file of this size"),
        (SaveFailedError(OSError(errno.EIO, "I/O error")), 'the system says "I/O error"'),
        (SaveFailedError(OSError()), 'the system says "OSError"'),
        (MissingLinkError(), "The task names no link"),
        (TooManyOutputsError(51, 70, 50), "Outputs 51 to 70 were left out: a call saves at most 50."),
        (TooManyDownloadsError(200), "200 downloads are in progress"),
        (TransferTimeoutError(1800), "It did not arrive within 30 minutes."),
        (TooLargeError(3000, 2000), "It has 3,000 bytes, more than the limit of 2,000."),
        (TooLargeError(None, 2000), "More bytes came than the limit of 2,000."),
        (UnexpectedContentError("empty"), "The host sends an empty file. Repeat the call"),
        (UnexpectedContentError("not_media"), "The host sends no image, video, sound or ZIP archive."),
    ],
    ids=repr,
)
def test_an_error_is_told_in_plain_words(error: FilesError, said: str) -> None:
    assert said in explain(error)
