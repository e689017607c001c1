"""How a generation fails in the sandbox: on demand, by a marker in the request.

``sandbox:fail`` anywhere in a create request's body makes the task fail with SAFETY.INPUT.TEXT;
``sandbox:fail:CODE`` makes it fail with that code, for example
``sandbox:fail:INTERNAL.BAD_OUTPUT.CODE01``.
"""

import re

from runway_mcp.sandbox.lifecycle import Outcome

_MARKER = re.compile(rb"sandbox:fail(?::([A-Z0-9_]+(?:\.[A-Z0-9_]+)*))?")
_DEFAULT_CODE = "SAFETY.INPUT.TEXT"
_REASONS = (
    ("SAFETY.INPUT", "An input was refused by content moderation."),
    ("SAFETY.OUTPUT", "The result was withheld by content moderation."),
    ("INPUT_PREPROCESSING.SAFETY", "The text was refused by content moderation."),
    ("ASSET.INVALID", "An input file does not meet the requirements."),
    ("THIRD_PARTY.UNAVAILABLE", "The model's provider is not available."),
    ("", "The generation did not produce a usable result."),
)


def failed(code: str) -> Outcome:
    """A failure with this code; moderated inputs are charged for, everything else is refunded."""
    reason = next(text for prefix, text in _REASONS if code.startswith(prefix))
    return Outcome("FAILED", charged=code.startswith("SAFETY.INPUT"), failure=reason, failure_code=code)


def asked_failure(body: bytes) -> Outcome | None:
    """The failure a request's body asks for, or None."""
    marker = _MARKER.search(body)
    return failed((marker[1] or _DEFAULT_CODE.encode()).decode()) if marker else None
