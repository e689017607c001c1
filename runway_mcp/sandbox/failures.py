"""How a generation fails on demand: `sandbox:fail:CODE` anywhere in a create request's body fails the task.

`sandbox:fail` fails it with `SAFETY.INPUT.TEXT`, and `sandbox:fail:NONE` with no code.
"""

import re
from dataclasses import dataclass

from runway_mcp.sandbox.lifecycle import Outcome


@dataclass(frozen=True, slots=True)
class Family:
    """The failure codes of one prefix: how they are explained, and whether credits are kept."""

    prefix: str
    reason: str
    charged: bool = False


FAMILIES = (
    Family("SAFETY.INPUT", "An input was refused by content moderation.", charged=True),
    Family("SAFETY.OUTPUT", "The result was withheld by content moderation."),
    Family("INPUT_PREPROCESSING.SAFETY.TEXT", "The text was refused by content moderation."),
    Family("INPUT_PREPROCESSING.INTERNAL", "The inputs could not be prepared."),
    Family("ASSET.INVALID", "An input file does not meet the requirements."),
    Family("INTERNAL.BAD_OUTPUT", "The generation did not produce a usable result."),
    Family("THIRD_PARTY.UNAVAILABLE", "The model's provider is not available."),
    Family("", "Something went wrong."),
)
"""Every family that the API's documentation names, the last being that of all other codes and of none."""

_MARKER = re.compile(rb"sandbox:fail(?::([A-Z0-9_]+(?:\.[A-Z0-9_]+)*))?")


def failed(code: str) -> Outcome:
    """A failure with this code, or with none where it is empty."""
    family = next(one for one in FAMILIES if f"{code}.".startswith(f"{one.prefix}.") or not one.prefix)
    return Outcome("FAILED", charged=family.charged, failure=family.reason, failure_code=code)


def asked_failure(body: bytes) -> Outcome | None:
    """The failure a request's body asks for, or None."""
    if not (marker := _MARKER.search(body)):
        return None
    code = marker[1].decode() if marker[1] else "SAFETY.INPUT.TEXT"
    return failed("" if code == "NONE" else code)
