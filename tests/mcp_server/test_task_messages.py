"""The words of the errors of `tasks`."""

import pytest
from support.scripted import ID

from runway_mcp.api.errors import UnreachableError
from runway_mcp.api.models import Task
from runway_mcp.mcp_server.task_messages import explain
from runway_mcp.tasks.background_tasks import AbortedByShutdownError
from runway_mcp.tasks.operations import ChangeInProgressError, TooManyWaitsError, UnclearOutcomeError
from runway_mcp.tasks.poller import TooManyFollowedTasksError

BEFORE = Task(ID, "RUNNING", {})
LOST, LATE = UnreachableError("The reply was lost."), UnreachableError("Nothing came.")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TooManyWaitsError(50), "You have 50 waits in progress, the maximum. Nothing was sent to Runway."),
        (TooManyFollowedTasksError(1000), "You follow 1000 tasks in waits and subscriptions, the maximum. Nothing was"),
        (ChangeInProgressError(ID), "An earlier call that cancels or deletes the task has not ended."),
        (AbortedByShutdownError("cancel of X"), "The server stopped before the cancel of X had ended"),
        (UnclearOutcomeError(BEFORE, seconds=30), "No clear answer came within 30 s."),
        (UnclearOutcomeError(BEFORE, LOST), "The reply was lost. The last read still showed the task unchanged."),
        (UnclearOutcomeError(BEFORE, LOST, LATE), "The reply was lost. Reading the task failed too: Nothing came."),
    ],
)
def test_an_error_says_what_happened(error: Exception, words: str) -> None:
    assert explain(error).startswith(words)
