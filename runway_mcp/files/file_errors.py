"""Why a file was not read, saved, fetched or sent. Errors carry data; the MCP server words them.

They name the host and never the URL, whose query holds a signature.
"""

import ssl
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import httpx2

from runway_mcp.api.errors import NetworkSettingsError
from runway_mcp.files.public_addresses import NotPublicError

Action = Literal["read", "saved"]
"""What was to be done with a file."""


class FilesError(Exception):
    """A file was not read, saved, fetched or sent.

    The same call may succeed later if the error is `retryable`, the same request in a moment if it is `temporary`.
    """

    retryable: bool = False
    temporary: bool = False


@dataclass(eq=False)
class NoFolderAllowedError(FilesError):
    """The caller may use no folder."""

    action: Action


@dataclass(eq=False)
class PathNotAllowedError(FilesError):
    """A path that is not used.

    It lies "outside" the `allowed` folders, leads to an "unusable_name", is a "file_name" in a folder's place, or has a
    `paths.PathProblem`.
    """

    path: str
    problem: str
    action: Action
    allowed: tuple[Path, ...]
    from_host: bool


@dataclass(eq=False)
class UnusableNameError(FilesError):
    """A name that no file gets: it leads to a "folder", or is "empty" without what no name may hold."""

    name: str
    problem: Literal["folder", "empty"]


@dataclass(eq=False)
class UnknownOutputError(FilesError):
    """The task has no output of this number, only `count` of them."""

    number: int
    count: int


@dataclass(eq=False)
class AmbiguousNameError(FilesError):
    """A path names no file, but `names` are alike: they differ only in how Unicode writes them."""

    path: str
    action: Action
    names: Sequence[str]


@dataclass(eq=False)
class UnusablePathError(FilesError):
    """The system does not open a path inside the allowed `folder`."""

    path: str
    action: Action
    error: OSError
    folder: Path
    folder_exists: bool
    is_relative: bool


@dataclass(eq=False)
class SaveFailedError(FilesError):
    """The disk does not take an output; nothing of it is left."""

    error: OSError


class OutputGoneError(FilesError):
    """Runway no longer has the task, and this output is not among what was saved of it."""


class MissingLinkError(FilesError):
    """The task names no link for this output."""


@dataclass(eq=False)
class TooManyOutputsError(FilesError):
    """The task has more outputs than one call saves: those from `first` to `last` are left out."""

    first: int
    last: int
    limit: int


@dataclass(eq=False)
class TooManyDownloadsError(FilesError):
    """The caller has `limit` downloads in progress already."""

    limit: int
    retryable = True


@dataclass(eq=False)
class UploadError(FilesError):
    """The file called `name` was not uploaded."""

    name: str


@dataclass(eq=False)
class UnsuitableFileError(UploadError):
    """Runway takes no such file, or it can't be read whole, or as it was before; `reason` is what the system says."""

    problem: Literal["size", "type", "shortened", "changed", "unreadable"]
    size: int = 0
    reason: str = ""


@dataclass(eq=False)
class UploadFailedError(UploadError):
    """The storage took the file in no attempt; the last ended with `cause`: an error, or a status beside a `code`."""

    cause: "TransferError | int"
    code: str | None = None


@dataclass(eq=False)
class UploadTimeoutError(UploadError):
    """`sent` of the file's `size` bytes had gone when `timeout` seconds were over."""

    timeout: float
    sent: int
    size: int


class TransferError(FilesError):
    """A file did not come, or did not go."""


@dataclass(eq=False)
class UrlNotAllowedError(TransferError):
    """Nothing is sent to this URL; `detail` is what TLS says of a certificate."""

    problem: Literal["invalid", "not_https", "private_address", "untrusted_certificate"]
    host: str = ""
    detail: str = ""


@dataclass(eq=False)
class UnusableNetworkError(TransferError):
    """This machine's proxy or certificate settings can't be used, so nothing was sent."""

    cause: NetworkSettingsError


@dataclass(eq=False)
class UnexpectedStatusError(TransferError):
    """The host answered with an HTTP status that brings no file."""

    host: str
    status: int

    def __post_init__(self) -> None:
        self.temporary = self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.retryable = self.temporary or self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


@dataclass(eq=False)
class UnexpectedContentError(TransferError):
    """What the host sends is not saved."""

    problem: Literal["encoded", "no_length", "wrong_range", "empty", "not_media"]
    host: str = ""
    detail = ""

    def __post_init__(self) -> None:
        self.retryable = self.problem in {"empty", "not_media"}  # a fresh link may bring the file


@dataclass(eq=False)
class TooLargeError(TransferError):
    """The file has more than `limit` bytes: `size`, where the host says so."""

    size: int | None
    limit: int


@dataclass(eq=False)
class TransferInterruptedError(TransferError):
    """There was no connection, or it broke too early; `detail` is what the system or the proxy says."""

    problem: Literal["connect_timeout", "unreachable", "proxy", "broken"]
    host: str
    detail: str = ""
    retryable = True
    temporary = True


@dataclass(eq=False)
class TransferTimeoutError(TransferError):
    """The file had not come whole after `seconds`."""

    seconds: float
    retryable = True


@contextmanager
def typed_errors(host: str) -> Generator[None]:
    """Turn errors of the HTTP libraries into ours; not chained, for their text may hold the URL."""
    try:
        yield
    except NotPublicError:
        raise UrlNotAllowedError("private_address", host) from None
    except httpx2.ConnectTimeout:
        raise TransferInterruptedError("connect_timeout", host) from None
    except httpx2.ProxyError as error:
        raise TransferInterruptedError("proxy", host, str(error)) from None
    except httpx2.ConnectError as error:
        if _is_untrusted(error):
            raise UrlNotAllowedError("untrusted_certificate", host, str(error)) from None
        raise TransferInterruptedError("unreachable", host, str(error)) from None
    except httpx2.HTTPError:
        raise TransferInterruptedError("broken", host) from None


def _is_untrusted(error: BaseException) -> bool:
    causes = [*error.args, *filter(None, [error.__cause__])]
    return any(
        isinstance(cause, ssl.SSLCertVerificationError) or (isinstance(cause, Exception) and _is_untrusted(cause))
        for cause in causes
    )
