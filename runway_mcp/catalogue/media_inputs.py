"""What is likely meant by a text that is given for a picture, video or sound, and is no URL that the API takes."""

import re

from runway_mcp.api.input_types import IN_WORDS, is_input_type

UPLOAD_FIRST = "a file on disk has to be uploaded first"
"""Part of the hint for a path in place of a URL."""

_FROM_CHAT = re.compile(
    r"/mnt/(user-)?data/|(?!ht|data:|file:|runway:)[a-z][a-z0-9+.-]+:"
    r"|[^/\\]+\.(jpe?g|png|gif|webp|heic|mp4|mov|webm|mkv|mp3|m4a|wav|flac|aac|ogg)$"
    r"|(attachment|file|image|img|photo|picture|upload|video|audio)s?([^a-z:/\\]|$)|<.*>$|\[.*\]$",
    re.IGNORECASE,
)
_ON_DISK = re.compile(r"[/~]|\.{1,2}[/\\]|file:|[a-z]:[/\\]", re.IGNORECASE)
_TASK = re.compile(r"\s*task:", re.IGNORECASE)
_DATA_TYPE = re.compile(r"data:([^;,]*)")


def has_input_type(uri: str) -> bool:
    """Return whether a URI is no data URI, or one of a media type that Runway takes."""
    found = _DATA_TYPE.match(uri)
    return found is None or is_input_type(found[1].strip())


def is_empty(uri: str) -> bool:
    """Return whether a URI is a data URI that holds nothing."""
    return uri.startswith("data:") and not uri.partition(",")[2]


def hint(text: str) -> str:
    """Return what has to be done with what a text names, or an empty text where it names nothing known."""
    if not has_input_type(text):
        return f"that is no {IN_WORDS}"
    if is_empty(text):
        return "pass the file's bytes in Base64 after the comma"
    if _TASK.match(text):
        return "an earlier output is task:<id>, or task:<id>#2 for the second, with the task's whole id"
    if _FROM_CHAT.match(text):
        return (
            "a picture attached to the chat is not on this machine: save it into a folder that this server may use; "
            f"{UPLOAD_FIRST}"
        )
    return UPLOAD_FIRST if _ON_DISK.match(text) else ""
