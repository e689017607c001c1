"""What a model or a person reads about the errors of `tasks`: limits of a caller, and changes that stay unclear."""

from runway_mcp.mcp_server.messages import explain
from runway_mcp.tasks.background_tasks import AbortedByShutdownError
from runway_mcp.tasks.operations import ChangeInProgressError, TooManyWaitsError, UnclearOutcomeError
from runway_mcp.tasks.poller import TooManyFollowedTasksError

__all__ = ["explain"]


@explain.register
def _(error: TooManyWaitsError) -> str:
    return (
        f"You have {error.limit} waits in progress, the maximum. Nothing was sent to Runway. "
        "Call again when one has ended."
    )


@explain.register
def _(error: TooManyFollowedTasksError) -> str:
    return (
        f"You follow {error.limit} tasks in waits and subscriptions, the maximum. Nothing was sent to Runway. "
        "Try again when one of them has finished."
    )


@explain.register
def _(_: ChangeInProgressError) -> str:
    return "An earlier call that cancels or deletes the task has not ended."


@explain.register
def _(error: AbortedByShutdownError) -> str:
    return f"The server stopped before the {error.name} had ended, so its outcome is unknown."


@explain.register
def _(error: UnclearOutcomeError) -> str:
    if error.error is None:
        return f"No clear answer came within {error.seconds:.0f} s."
    if error.second is None:
        return f"{error.error} The last read still showed the task unchanged."
    return f"{error.error} Reading the task failed too: {error.second}"
