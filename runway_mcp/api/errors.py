"""What can go wrong between us and the Runway API, as one small tree.

    RunwayError
    ├── AuthenticationError     401 or 403
    │   ├── MissingKeyError     no key, so nothing was sent
    │   └── AccountError        the key's account is suspended, unpaid or out of credits
    ├── NetworkSettingsError    this machine's certificate settings can't be used
    │   └── ProxySettingError   its proxy setting can't
    ├── NotFoundError           404: never existed, cancelled, deleted, or not this key's
    ├── BadRequestError         any other 4xx, with the API's `issues`
    ├── TransientError          the same request may succeed a little later
    │   ├── RateLimitedError    429, with the wait that was asked for
    │   ├── UnavailableError    408 or 5xx: reached, but not served
    │   └── UnreachableError    no connection, a time-out, a broken or lost reply
    └── UnexpectedReplyError    a redirect, or a body that is not what the API promises

Errors carry data; `mcp_server/messages.py` words them. Upstream text enters only through `quote`, which bounds it
and makes it harmless: it is untrusted.
"""

import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Literal

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


NetworkFailure = Literal[
    "connect_timeout", "not_connected", "pool_timeout", "no_reply", "unusable_url", "connection_lost"
]
"""How a request failed without a whole reply. Of `connect_timeout`, `not_connected`, `pool_timeout` and `unusable_url`
nothing was sent."""

ReplyProblem = Literal["foreign", "redirect", "too_large", "undecodable", "malformed", "unknown_endpoint"]
"""What is wrong with a reply. `foreign`: it is not the API's. `malformed`: it lacks what the API promises."""


@dataclass(eq=False)
class RunwayError(Exception):
    """A call to the Runway API that did not bring what was asked for.

    Attributes:
        note: What happened, in a few words for developers.
        status: The HTTP status, or None where there was no whole reply.
        quoted: The API's own words, as a bounded quotation; empty where it gave none.
        may_have_taken_effect: Whether the request may have changed something: False when it certainly did not.
        attempts: How many times it was sent.
    """

    note: str = ""
    _: KW_ONLY
    status: int | None = None
    quoted: str = ""
    may_have_taken_effect: bool = False
    attempts: int = 1

    def __str__(self) -> str:
        status = f"status {self.status}" if self.status else ""
        tries = f"{self.attempts} attempts" if self.attempts > 1 else ""
        return ", ".join(filter(None, (self.note, status, self.quoted, tries))) or type(self).__name__


class AuthenticationError(RunwayError):
    """The API does not accept the API key."""


@dataclass(eq=False, kw_only=True)
class MissingKeyError(AuthenticationError):
    """There is no API key, so nothing was sent; with `of_caller` it is a caller's own that this server lacks."""

    of_caller: bool = False


@dataclass(eq=False, kw_only=True)
class AccountError(AuthenticationError):
    """The API knows the key, but does not serve its account, which is suspended, unpaid or out of credits."""


class NetworkSettingsError(RunwayError):
    """This machine's certificate settings, or those of its subclass, can't be used, so nothing was sent."""


@dataclass(eq=False, kw_only=True)
class ProxySettingError(NetworkSettingsError):
    """The proxy that the environment `variable` names can't be used."""

    variable: str


class NotFoundError(RunwayError):
    """The API has no such task: it never existed, is gone, or belongs to another key's organization."""


@dataclass(eq=False, kw_only=True)
class BadRequestError(RunwayError):
    """The API refuses the request as it stands.

    Attributes:
        issues: What it says is wrong, field by field; often empty.
        unknown_endpoint: The endpoint, where the API has none of this path, or lacks something that the input names.
    """

    issues: Sequence[Issue] = ()
    unknown_endpoint: str = ""


@dataclass(eq=False, kw_only=True)
class TransientError(RunwayError):
    """The same request may succeed a little later: after `retry_after` seconds, where the API says so."""

    retry_after: float | None = None


class RateLimitedError(TransientError):
    """Too many requests, or the day's generations are used up."""


class UnavailableError(TransientError):
    """The API, or a proxy before it, was reached but did not serve the request."""


@dataclass(eq=False, kw_only=True)
class UnreachableError(TransientError):
    """There was no connection, or no whole reply came back over it: within `timeout` seconds, where it is given."""

    failure: NetworkFailure = "connection_lost"
    timeout: float | None = None

    def __post_init__(self) -> None:
        self.note = self.note or self.failure
        self.may_have_taken_effect = self.failure in {"no_reply", "connection_lost"}


@dataclass(eq=False, kw_only=True)
class UnexpectedReplyError(RunwayError):
    """A reply came that is not what the API promises.

    Attributes:
        content_type: What it claims to be, as a quotation; empty where that does not matter.
        detail: What it lacks, or the endpoint that the API does not know.
    """

    problem: ReplyProblem = "malformed"
    content_type: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        self.note = self.note or self.problem
