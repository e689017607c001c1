"""What can go wrong on a file's way, as one small tree.

    TransferError
    ├── RefusedError   nothing was sent: no https, an address that is not public, no certificate that is trusted
    ├── StatusError    the host answered, but not with the file
    ├── UnwantedError  what the host sends is not what is saved here
    └── BrokenError    no connection, or no whole answer: a moment later it may go better
        └── LateError  the time was up

What is said of a failure names the host, never the URL, whose query is a signature.
"""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus

import httpcore2
import httpx2

from runway_mcp.api.errors import quote
from runway_mcp.files.public_addresses import NotPublicError

_DIRECT = " No proxy is used for files."


class TransferError(Exception):
    """A file did not come, or did not go.

    Attributes:
        may_pass: Whether it may go better later, by a fresh link, with nothing else changed.
    """

    retryable = False


class RefusedError(TransferError):
    """The URL is none that anything is sent to."""


class StatusError(TransferError):
    """The host answered, but not with the file.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = self.is_busy or status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}

    @property
    def is_busy(self) -> bool:
        """Whether the host is overloaded or ails, so that it may answer the same request better in a moment."""
        return self.status == HTTPStatus.TOO_MANY_REQUESTS or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


class UnwantedError(TransferError):
    """What the host sends is not what is saved here."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class BrokenError(TransferError):
    """There was no connection, or no whole answer came over it."""

    retryable = True


class LateError(BrokenError):
    """The time was up."""


def describe_status(host: str, status: int) -> str:
    """Say what a status means that is not the file's."""
    match status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return (
                f"{host} does not accept the link ({status}): it has expired, as links do after 24 to 48 hours, or is "
                "not whole. Reading the task again brings fresh ones."
            )
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return f"{host} does not have the file any more ({status})."
        case _ if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
            return f"{host} says that the file is elsewhere ({status}); redirects are not followed."
        case _:
            return f"{host} answers {status} instead of the file."


@contextmanager
def typed_errors(host: str) -> Generator[None]:
    """Turn the errors of the layers below into ours; not chained, for their text may hold the URL."""
    try:
        yield
    except NotPublicError:
        raise RefusedError(
            f"{host} has an address in a private or reserved network, so nothing was sent: "
            "files go only to and from public addresses."
        ) from None
    except httpcore2.ConnectTimeout:
        raise BrokenError(f"{host} could not be reached: the connection was not made in time.{_DIRECT}") from None
    except httpcore2.ConnectError as error:
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in error.args):
            raise RefusedError(
                f"{host} has no certificate that is trusted here, so nothing was sent: {quote(str(error))}. "
                "--ca-file (PEM) names a further authority."
            ) from None
        raise BrokenError(f"{host} could not be reached: {quote(str(error))}.{_DIRECT}") from None
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpx2.HTTPError):
        raise BrokenError(f"The connection to {host} broke before everything had come.") from None
