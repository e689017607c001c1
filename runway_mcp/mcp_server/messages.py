"""Every sentence that a model or a person reads about an error or an outcome, made from the data that it carries.

Rooms below raise errors with data and no prose. `explain` words them; what belongs to one toolset is registered in a
module beside this one (`file_messages.py`, `start_messages.py`).
"""

from collections.abc import Mapping, Sequence
from functools import partial, singledispatch
from itertools import islice
from typing import Any

from pydantic import JsonValue

from runway_mcp.api import errors
from runway_mcp.api.errors import quote
from runway_mcp.api.models import InvalidTaskIdError
from runway_mcp.catalogue.problems import describe
from runway_mcp.catalogue.suggestions import likely_choice
from runway_mcp.catalogue.validation import InvalidRequestError
from runway_mcp.tasks.background_tasks import AbortedByShutdownError
from runway_mcp.tasks.operations import (
    ChangeInProgressError,
    StillActiveError,
    TooManyWaitsError,
    UnclearOutcomeError,
)
from runway_mcp.tasks.poller import TooManyFollowedTasksError

KEYS_PAGE = "https://dev.runwayml.com/"
NOTHING_SENT = "Nothing was sent to Runway."
NO_SUCH_TASK = "It was cancelled or deleted, never existed, or belongs to another key's organization."
GOES_ON = "Runway keeps working; call runway_waitForTask again to keep waiting."
NO_ANSWER_YET = "Runway has not answered yet."

MAX_STATUS = 40
"""Characters of a status that a sentence shows."""

_FAILURES: dict[errors.NetworkFailure, str] = {
    "connect_timeout": "Runway could not be reached: the connection was not made in time.",
    "pool_timeout": "The request was not sent: too many others are in flight.",
    "no_reply": "Runway sent no complete reply in time.",
    "unusable_url": "The request could not be sent: the base URL or the proxy setting is not usable.",
    "connection_lost": "The connection broke before Runway's complete reply arrived.",
}


@singledispatch
def explain(error: Exception) -> str:
    """Return what happened, and for an error that is no `RunwayError` also whether anything changed.

    What a failed call to Runway means depends on what it was to do: `explain_read` and `explain_change` say it.

    Raises:
        TypeError: The error's type has no words.
    """
    raise TypeError(f"{type(error).__name__} has no words") from error


def word(templates: Mapping[type[Exception], str]) -> None:
    """Give errors their words: sentences in which `{error.name}` stands for what the error carries."""
    for kind, template in templates.items():
        explain.register(kind)(partial(_fill, template))


def _fill(template: str, error: Exception) -> str:
    return template.format(error=error)


word(
    {
        errors.RunwayError: "The call to Runway failed through a fault of this server; its log says more.",
        errors.NetworkSettingsError: (
            "The certificate settings of this machine can't be used, so nothing was sent. Correct SSL_CERT_FILE, "
            "SSL_CERT_DIR or --ca-file (PEM)."
        ),
        errors.ProxySettingError: (
            "The proxy that {error.variable} or this machine's settings name can't be used, so nothing was sent. Give "
            "it as http://host:port or https://host:port, or exempt the host with NO_PROXY."
        ),
        errors.NotFoundError: f"Runway has no such task. {NO_SUCH_TASK}",
        errors.TransientError: NO_ANSWER_YET,
        TooManyWaitsError: (
            f"You have {{error.limit}} waits in progress, the maximum. {NOTHING_SENT} Call again when one has ended."
        ),
        TooManyFollowedTasksError: (
            f"You follow {{error.limit}} tasks in waits and subscriptions, the maximum. {NOTHING_SENT} Try again when "
            "one of them has finished."
        ),
        ChangeInProgressError: "An earlier call that cancels or deletes the task has not ended.",
        AbortedByShutdownError: "The server stopped before the {error.name} had ended, so its outcome is unknown.",
    }
)


@explain.register
def _(error: errors.AccountError) -> str:
    return (
        f"Runway knows the API key, but does not serve its account {_answer(error)}: it is suspended, unpaid or out "
        f"of credits. The account's owner settles that at {KEYS_PAGE}; a new key does not help."
    )


@explain.register
def _(error: errors.AuthenticationError) -> str:
    return (
        f"Runway does not accept the API key {_answer(error)}. Check RUNWAYML_API_SECRET; keys are made at {KEYS_PAGE}."
    )


@explain.register
def _(error: errors.MissingKeyError) -> str:
    if error.of_caller:
        return (
            "This server has no Runway API key for the caller of this access token, so nothing was sent. Its operator "
            "has to name one in the tokens or tenants file (runway_key_env), or to let callers use the server's "
            "(--allow-shared-key)."
        )
    return (
        "No Runway API key is set, so nothing was sent. Set the environment variable RUNWAYML_API_SECRET "
        "(or RUNWAY_API_KEY) in the host's configuration of this server and restart it; "
        f"keys are made at {KEYS_PAGE}."
    )


@explain.register
def _(error: errors.BadRequestError) -> str:
    if error.unknown_endpoint:
        return f"Runway does not know {error.unknown_endpoint}, or something that the input names ({error.status})."
    issues = "".join(f" {issue}." for issue in error.issues)
    return f"Runway refuses the request {_answer(error)}.{issues}"


@explain.register
def _(error: errors.RateLimitedError) -> str:
    return f"Runway limits the requests or the day's generations {_answer(error)}.{_retry_after(error)}"


@explain.register
def _(error: errors.UnavailableError) -> str:
    return f"Runway is unavailable {_answer(error)}.{_retry_after(error)}"


@explain.register
def _(error: errors.UnreachableError) -> str:
    if error.failure == "not_connected":
        text = f"Runway could not be reached: {error.quoted}."
    elif error.timeout is not None:
        text = f"Runway sent no complete reply within {error.timeout:.0f} s."
    else:
        text = _FAILURES[error.failure]
    return f"{text} Tried {error.attempts} times." if error.attempts > 1 else text


@explain.register
def _(error: errors.UnexpectedReplyError) -> str:
    where = f"{error.status}, {error.content_type}"
    match error.problem:
        case "foreign":
            return f"The reply is not Runway's ({where}): a proxy answered, or the base URL is wrong."
        case "redirect":
            return f"The reply is not Runway's ({where}): redirects are not followed. Check the base URL."
        case "too_large":
            return "Runway's reply is over 4 MiB and was not read to its end."
        case "undecodable":
            return "Runway's reply could not be decompressed."
        case "unknown_endpoint":
            return f"Runway does not know {error.detail} ({error.status})."
        case _:
            return (
                f"Runway's reply is not what its API promises: {error.detail} ({where}). A proxy may have answered, or "
                "the base URL is wrong."
            )


@explain.register
def _(error: InvalidTaskIdError) -> str:
    return (
        f"{error.field} must be a Runway task's id: a UUID such as 17f20503-6c24-4c16-946b-35dbbce2af2f. {NOTHING_SENT}"
    )


@explain.register
def _(error: InvalidRequestError) -> str:
    return str(error)  # the catalogue words what is wrong with an input, for it alone knows what is allowed


@explain.register
def _(error: StillActiveError) -> str:
    return (
        f"Refused: the task is {quote(error.task.status, MAX_STATUS)}, not finished. Nothing was changed. "
        "To stop it, call runway_cancelTask."
    )


@explain.register
def _(error: UnclearOutcomeError) -> str:
    return f"The request was sent, but its outcome is unknown. {_why_unclear(error)} The task may be changed or not."


def explain_read(error: errors.RunwayError) -> str:
    """Return why a task could not be read. A read changes nothing, and the sentence says so."""
    match error:
        case errors.TransientError():
            after = " The task goes on at Runway. Reading it again later is free."
        case errors.NotFoundError():
            after = " Check the id; a removed task can't be brought back."
        case _:
            after = ""
    return f"{explain(error)} Nothing was changed.{after}"


def explain_change(
    error: errors.RunwayError | UnclearOutcomeError | StillActiveError, *, reader: str = "runway_getTask"
) -> str:
    """Return why a change did not happen, or may have, and that the tool `reader` shows the task's state."""
    match error:
        case StillActiveError():
            return explain(error)
        case UnclearOutcomeError():
            return f"{explain(error)} Nothing was bought. {reader}, which changes nothing, shows its state."
        case errors.TransientError():
            return f"{explain(error)} The task was not changed. {reader} shows its state."
        case _:
            return f"{explain(error)} The task was not changed."


def explain_arguments(tool: str, arguments: Mapping[str, JsonValue], schema: Mapping[str, Any]) -> str:
    """Return what is wrong with a call's arguments by its tool's schema."""
    problems = islice(describe(dict(arguments), schema, allow_unknown=False), 5)
    return f"The arguments of {tool} are not valid: {' '.join(problems)} {NOTHING_SENT}"


def explain_name(kind: str, name: str, names: Sequence[str]) -> str:
    """Return that there is no tool, or prompt, of a name, and which there are."""
    likely = likely_choice(name, names)
    there = f"Did you mean {likely}?" if likely else f"There are: {', '.join(names) or 'none'}."
    return f"There is no {kind} named {quote(name, 60)} here. {there} Nothing was done."


def _answer(error: errors.RunwayError) -> str:
    tries = f", {error.attempts} attempts" if error.attempts > 1 else ""
    return f"({error.status}{': ' if error.quoted else ''}{error.quoted}{tries})"


def _retry_after(error: errors.TransientError) -> str:
    return "" if error.retry_after is None else f" It asks to wait {error.retry_after:.0f} s."


def _why_unclear(error: UnclearOutcomeError) -> str:
    if error.error is None:
        return f"No clear answer came within {error.seconds:.0f} s."
    if error.second is None:
        return f"{explain(error.error)} The last read still showed the task unchanged."
    return f"{explain(error.error)} Reading the task failed too: {explain(error.second)}"
