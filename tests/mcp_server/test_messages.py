"""The words of errors and outcomes: each error type has its own, and says whether anything changed."""

import importlib
import pkgutil
import re

import pytest
from pydantic import JsonValue
from support.scripted import ID, task

import runway_mcp
from runway_mcp.api import errors
from runway_mcp.api.models import InvalidTaskIdError, Task
from runway_mcp.catalogue.validation import InvalidRequestError
from runway_mcp.mcp_server.messages import explain, explain_change, explain_read
from runway_mcp.mcp_server.task_messages import describe_change, describe_task, progress
from runway_mcp.tasks.background_tasks import AbortedByShutdownError
from runway_mcp.tasks.operations import (
    Change,
    ChangeInProgressError,
    StillActiveError,
    TooManyWaitsError,
    UnclearOutcomeError,
)
from runway_mcp.tasks.poller import TooManyFollowedTasksError

WITHOUT_WORDS = {
    "files.paths.InvalidPathError": "becomes a PathNotAllowedError, which names the allowed folders",
    "files.public_addresses.NotPublicError": "becomes a UrlNotAllowedError, which names the host",
    "spending.starter._NotReadyError": "has what is sent made ready, and the start goes on",
    "web.request_body": "becomes a JSON-RPC error over HTTP, or nothing where the client has gone",
    "catalogue.openapi_reader.DocumentError": "ends runway-mcp catalogue; the command line prints it",
    "cli": "ends a command; the command line prints it",
    "config": "stops the start of the server; the command line prints it",
    "sandbox": "the simulated API raises it towards its own transport",
    "web.auth": "a fault of the operator's files or authorization server; the web room answers in HTTP's terms",
    "mcp_server": "raised by what MCP adds, with its words",
}
"""Errors, or the rooms of errors, that need no words here, and why."""

TASK = Task(ID, "RUNNING", task("RUNNING"))
SAYS_WHETHER = re.compile(
    r"Nothing (was|is|of it)|nothing (was|is)|not (changed|sent|charged|written)|may be (changed|charged)|may exist"
)


def error_types() -> list[type[Exception]]:
    for module in pkgutil.walk_packages(runway_mcp.__path__, "runway_mcp."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = list[type[Exception]]()
    left: list[type[Exception]] = [Exception]
    while left:
        for kind in left.pop().__subclasses__():
            left.append(kind)
            if kind.__module__.startswith("runway_mcp.") and kind not in found:
                found.append(kind)
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def test_each_error_that_a_caller_may_meet_has_words() -> None:
    """Its own, or those of the type that it refines. A type that others refine is not raised itself."""
    wordless = {
        f"{kind.__module__.removeprefix('runway_mcp.')}.{kind.__name__}"
        for kind in error_types()
        if explain.dispatch(kind) is explain.dispatch(Exception) and not kind.__subclasses__()
    }
    assert {name for name in wordless if not f"{name}.".startswith(tuple(f"{one}." for one in WITHOUT_WORDS))} == set()
    api = {kind for kind in error_types() if kind.__module__ == errors.__name__}
    assert api <= explain.registry.keys()


def test_an_error_without_words_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="KeyError has no words"):
        explain(KeyError("x"))


RUNWAY_ERRORS: list[tuple[errors.RunwayError, str]] = [
    (errors.RunwayError(), "a fault of this server"),
    (errors.MissingKeyError(), "Set the environment variable RUNWAYML_API_SECRET"),
    (errors.MissingKeyError(of_caller=True), "tokens or tenants file"),
    (errors.AuthenticationError(status=401), "does not accept the API key (401). Check RUNWAYML_API_SECRET"),
    (errors.AccountError(status=402), "a new key does not help"),
    (errors.NetworkSettingsError(), "Correct SSL_CERT_FILE"),
    (errors.ProxySettingError(variable="ALL_PROXY"), "The proxy that ALL_PROXY or this"),
    (errors.NotFoundError(status=404), "Runway has no such task"),
    (errors.BadRequestError(status=404, unknown_endpoint="/v1/x"), "Runway does not know /v1/x"),
    (
        errors.BadRequestError(status=400, quoted='"bad"', issues=[errors.Issue('"ratio"', '"wrong"')]),
        'refuses the request (400: "bad"). "ratio": "wrong".',
    ),
    (errors.TransientError(), "Runway has not answered yet."),
    (errors.RateLimitedError(status=429, retry_after=90), "day's generations (429). It asks to wait 90 s."),
    (errors.UnavailableError(status=503, quoted='"busy"'), 'Runway is unavailable (503: "busy").'),
    (errors.UnreachableError(failure="not_connected", quoted='"refused"'), 'could not be reached: "refused".'),
    (errors.UnreachableError(failure="no_reply", timeout=20), "no complete reply within 20 s"),
    (errors.UnreachableError(failure="no_reply"), "no complete reply in time"),
    (errors.UnreachableError(failure="connect_timeout"), "the connection was not made in time"),
    (errors.UnreachableError(failure="pool_timeout"), "too many others are in flight"),
    (errors.UnreachableError(failure="unusable_url"), "the base URL or the proxy setting is not usable"),
    (errors.UnreachableError(failure="connection_lost"), "The connection broke"),
    (errors.UnexpectedReplyError(problem="foreign", status=403, content_type='"text/html"'), '(403, "text/html")'),
    (errors.UnexpectedReplyError(problem="redirect", status=302, content_type='"x"'), "redirects are not followed"),
    (errors.UnexpectedReplyError(problem="too_large"), "over 4 MiB"),
    (errors.UnexpectedReplyError(problem="undecodable"), "could not be decompressed"),
    (errors.UnexpectedReplyError(problem="unknown_endpoint", status=404, detail="/v1/uploads"), "/v1/uploads (404)"),
    (errors.UnexpectedReplyError(status=200, content_type='"x"', detail="it has no status"), "it has no status (200"),
]


@pytest.mark.parametrize(("error", "words"), RUNWAY_ERRORS, ids=lambda value: str(value)[:30])
def test_a_failed_call_to_runway_says_what_happened_and_that_nothing_changed(
    error: errors.RunwayError, words: str
) -> None:
    assert words in explain(error)
    assert explain_read(error).startswith(f"{explain(error)} Nothing was changed.")
    changed = explain_change(error)
    assert changed.startswith(f"{explain(error)} The task was not changed.")
    assert ("runway_getTask shows its state." in changed) is isinstance(error, errors.TransientError)
    error.attempts = 3
    assert len(explain_read(error)) < 600


@pytest.mark.parametrize("error", [errors.UnavailableError(status=503), errors.UnreachableError()])
def test_how_often_it_was_tried_is_said(error: errors.RunwayError) -> None:
    assert "3" not in explain(error).replace("503", "")
    error.attempts = 3
    assert re.search(r"\(503, 3 attempts\)|Tried 3 times\.", explain(error))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InvalidTaskIdError(), "taskId must be a Runway task's id: a UUID such as"),
        (InvalidRequestError(["ratio is missing."]), "ratio is missing."),
        (StillActiveError(TASK), 'Refused: the task is "RUNNING", not finished.'),
        (TooManyWaitsError(4), "You have 4 waits in progress, the maximum."),
        (TooManyFollowedTasksError(1000), "You follow 1000 tasks in waits and subscriptions, the maximum."),
        (UnclearOutcomeError(TASK, seconds=30), "No clear answer came within 30 s."),
        (UnclearOutcomeError(TASK, errors.UnreachableError()), "The last read still showed the task unchanged."),
        (
            UnclearOutcomeError(TASK, errors.UnreachableError(), errors.UnavailableError(status=503)),
            "Reading the task failed too: Runway is unavailable (503).",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_other_error_says_what_happened_and_whether_anything_changed(error: Exception, words: str) -> None:
    assert words in explain(error)
    assert SAYS_WHETHER.search(explain(error))


def test_a_change_that_waited_for_another_or_for_the_end_says_so() -> None:
    assert explain_change(ChangeInProgressError(ID)).startswith("An earlier call that cancels or deletes the task has")
    assert "stopped before the cancel of X had ended" in explain(AbortedByShutdownError("cancel of X"))


def test_a_change_whose_outcome_is_unknown_names_the_read_that_shows_it() -> None:
    text = explain_change(UnclearOutcomeError(TASK, errors.UnreachableError()), reader="tasks/get")
    assert "its outcome is unknown" in text
    assert text.endswith("Nothing was bought. tasks/get, which changes nothing, shows its state.")
    assert "runway_cancelTask" in explain_change(StillActiveError(TASK))


@pytest.mark.parametrize(
    ("outcome", "before", "words"),
    [
        ("cancelled", "PENDING", "Cancelled: it had not begun, which costs nothing"),
        ("cancelled", "RUNNING", "not refunded"),
        ("deleted", "SUCCEEDED", "Nothing is refunded"),
        ("finished", "SUCCEEDED", "call runway_deleteTask"),
        ("finished", "CANCELLED", "already cancelled"),
        ("gone", None, "or belongs to another key's organization"),
        ("gone", "CANCELLED", "keeps no output of it"),
        ("gone", "RUNNING", "at the same moment"),
    ],
)
def test_a_change_says_what_was_done(outcome: str, before: str | None, words: str) -> None:
    change = Change(ID, outcome, Task(ID, before, task(before)) if before else None)  # type: ignore[arg-type] - parametrised
    assert words in describe_change(change)


@pytest.mark.parametrize(
    ("given", "share"),
    [(0.45, 0.45), (1, 1.0), (-3, 0.0), (10**400, 1.0), (-(10**400), 0.0), (True, None), ("45 %", None), (None, None)],
    ids=lambda value: str(value)[:10],
)
def test_a_progress_of_any_size_is_a_share(given: JsonValue, share: float | None) -> None:
    """Numbers are brought between 0 and 1, however large; anything else is none."""
    assert progress(Task(ID, "RUNNING", task("RUNNING", progress=given))) == share


def test_a_task_is_described_by_its_status_and_progress() -> None:
    assert describe_task(Task(ID, "RUNNING", task("RUNNING", progress=0.45))) == "RUNNING, 45 %"
    assert describe_task(Task(ID, "a b\n", task("a b"))) == '"a b"'
