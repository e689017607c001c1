"""What can go wrong between us and the Runway API, as one small tree.

    RunwayError
    ├── AuthenticationError   no key, or 401 / 403
    ├── NotFoundError         404: never existed, cancelled, deleted, or not this key's
    ├── BadRequestError       any other 4xx, with the API's `issues`
    ├── TransientError        the same request may succeed a little later
    │   ├── RateLimitedError  429, with the wait that was asked for
    │   ├── UnavailableError  408 or 5xx: reached, but not served
    │   └── UnreachableError  no connection, a time-out, a broken or lost reply
    └── UnexpectedReplyError  a redirect, or a body that is not what the API promises

Every message is a sentence of our own. Text from upstream enters only through
`quote`, which bounds it and makes it harmless, for it is data and never ours.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

QUOTE_LIMIT = 200
"""Characters of upstream text that an error may carry."""

_SIGNATURE = re.compile(
    r"((?:_jwt|signature|sig|credential|key-?(?:pair-)?id|policy|token)(?:=|%(?:25)*3D))[^\s&\"'<>]+", re.IGNORECASE
)
"""What lets whoever has a URL have its file: Runway's own, and those of the stores behind it."""


def quote(text: str, limit: int = QUOTE_LIMIT) -> str:
    """Return upstream text as one bounded, printable, quoted line.

    Control, format and surrogate characters become spaces, so that the text can neither
    break a log line nor hide or reorder what a reader sees. The signature of a URL is hidden.
    """
    text = _SIGNATURE.sub(r"\1[hidden]", text[: limit * 4])
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(line) > limit:
        line = line[:limit] + "…"
    return '"' + line.replace('"', "'") + '"'


@dataclass(frozen=True, slots=True)
class Issue:
    """One entry of a 400's `issues`: where in the request, and what is wrong with it, both quoted."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class RunwayError(Exception):
    """A call to the Runway API that did not bring what was asked for.

    Attributes:
        status: The HTTP status, or None where there was no whole reply.
        applied: Whether the request may have taken effect: False when it certainly did not.
        attempts: How many times it was sent.
    """

    def __init__(self, message: str, *, status: int | None = None, may_have_taken_effect: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.may_have_taken_effect = may_have_taken_effect
        self.attempts = 1

    def __str__(self) -> str:
        tries = f" ({self.attempts} attempts)" if self.attempts > 1 else ""
        return super().__str__() + tries


class AuthenticationError(RunwayError):
    """There is no API key, or the API does not accept it."""


class NotFoundError(RunwayError):
    """The API has no such task: it never existed, is gone, or belongs to another key's organization."""


class BadRequestError(RunwayError):
    """The API refuses the request as it stands.

    Attributes:
        issues: What it says is wrong, field by field; often empty.
    """

    def __init__(self, message: str, *, status: int | None = None, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message, status=status)
        self.issues = tuple(issues)


class TransientError(RunwayError):
    """The same request may succeed a little later.

    Attributes:
        retry_after: Seconds that the API asks to wait, or None where it does not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        may_have_taken_effect: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, status=status, may_have_taken_effect=may_have_taken_effect)
        self.retry_after = retry_after


class RateLimitedError(TransientError):
    """Too many requests, or the day's generations are used up."""


class UnavailableError(TransientError):
    """The API, or a proxy before it, was reached but did not serve the request."""


class UnreachableError(TransientError):
    """There was no connection, or no whole reply came back over it."""


class UnexpectedReplyError(RunwayError):
    """A reply came that is not what the API promises."""
