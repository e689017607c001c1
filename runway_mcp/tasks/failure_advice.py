"""What a FAILED task's `failureCode` advises, by its dotted prefix.

The set of codes is open and its last part is a diagnosis that may be wrong, so only
prefixes count. Source: Runway's documentation of task failures.
"""

_A_NEW_TASK = "Starting it again is a new task with its own price."

_ON_THEIR_SIDE = "This is a failure on Runway's side. A retry may succeed after a delay. " + _A_NEW_TASK
_PARTS = {
    "TEXT": "an input, by its code the text and no image",
    "IMAGE": "an input, by its code an image and not the text",
    "VIDEO": "an input, by its code a video and not the text",
    "AUDIO": "an input, by its code a sound and not the text",
}
"""What a part of a code says that was refused; Runway calls it a diagnosis, which may be wrong."""
_UNKNOWN = "The code is not known here; the failure text says more. " + _A_NEW_TASK
_MODERATED = "Moderation refused {part}. Never start it again unchanged: change it first. " + _A_NEW_TASK

_ADVICE = {
    "": _ON_THEIR_SIDE,
    "INTERNAL": _ON_THEIR_SIDE,
    "INPUT_PREPROCESSING.INTERNAL": _ON_THEIR_SIDE,
    "SAFETY": _MODERATED,
    "INPUT_PREPROCESSING.SAFETY": (
        "Moderation refused {part}. The same input will be refused again: change it first. " + _A_NEW_TASK
    ),
    "SAFETY.INPUT": (
        "Moderation refused {part}. It is not refunded, and the same input will be refused again; "
        "repeated refusals can get the account suspended. Change the input before anything is started anew."
    ),
    "SAFETY.OUTPUT": (
        "Moderation refused what was generated. The same request is likely to be refused again: "
        "change it first. " + _A_NEW_TASK
    ),
    "ASSET.INVALID": (
        "An input file does not meet the requirements (format, size, dimensions or length). "
        "The same file will fail again: mend or replace it first. " + _A_NEW_TASK
    ),
    "INTERNAL.BAD_OUTPUT": (
        "The result failed Runway's quality or system checks. A retry may succeed, more likely so once "
        "logos, watermarks and overlaid text are removed from the inputs. " + _A_NEW_TASK
    ),
    "THIRD_PARTY.UNAVAILABLE": (
        "A provider behind Runway is unavailable. A retry may succeed later, not at once. " + _A_NEW_TASK
    ),
}


def advice(failure_code: str | None) -> str:
    """Return what to do about a failure, by the API's dotted code, such as `SAFETY.INPUT.IMAGE`."""
    parts = (failure_code or "").split(".")
    for length in range(len(parts), 0, -1):
        found = _ADVICE.get(".".join(parts[:length]))
        if found is not None:
            refused = next((_PARTS[part] for part in reversed(parts) if part in _PARTS), "an input")
            return found.format(part=refused)
    return _UNKNOWN
