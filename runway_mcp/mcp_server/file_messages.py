"""The words for errors about files."""

import errno
import json
from http import HTTPStatus
from pathlib import Path

from runway_mcp.api.errors import quote
from runway_mcp.api.input_types import IN_WORDS
from runway_mcp.api.retry import RETRIES
from runway_mcp.files import file_errors as errors
from runway_mcp.files.paths import MAX_DEPTH, MAX_LENGTH
from runway_mcp.files.uploads import MAX_BYTES, MIN_BYTES
from runway_mcp.mcp_server.messages import explain, word
from runway_mcp.mcp_server.task_messages import describe_task
from runway_mcp.tasks.outputs import NoOutputError

__all__ = ["explain"]

MAX_NAMED = 5
"""Allowed folders that an error names."""
MEGABYTE = 1024**2

_PATH_PROBLEMS = {
    "length": f"A path has at most {MAX_LENGTH} characters.",
    "blank": "It is blank: give a path.",
    "characters": "It holds a line break, another control character or half a character, which no path can have.",
    "url": "It is a URL: pass a URL to the input as it is.",
    "elsewhere": "It names nothing on this machine.",
    "home": "~ is not expanded: give the whole path.",
    "parent": 'It holds "..".',
    "depth": f"It is more than {MAX_DEPTH} folders deep.",
    "uri_host": "A file URI names a whole path on this machine: file:///folder/name.",
    "uri_query": "In a file URI, write ? and # as %3F and %23.",
    "windows": "It is a Windows path, and this machine does not run Windows.",
    "device": "It names another machine or a device.",
    "drive": r"Give a whole path (C:\folder\name), or one without a drive or a slash at its start.",
    "reserved_name": "It holds a name that Windows reserves.",
    "outside": "It does not lie in a folder that this server may use.",
    "file_name": (
        "It is the name of a file, and this names a folder: leave that part out. A saved file is named by the server."
    ),
    "unusable_name": "It leads to a name that can't be shown or used.",
}

_MAYBE_FROM_CHAT = {"outside", "elsewhere", "reserved_name"}

_FILE_PROBLEMS = {
    "size": (
        f"has {{error.size:,}} bytes. Runway takes files of {MIN_BYTES} bytes to {MAX_BYTES // MEGABYTE} MB. Nothing "
        "was sent or charged."
    ),
    "type": f"is no {IN_WORDS} that Runway takes, by its content. Nothing was sent or charged.",
    "shortened": "became shorter while it was read. Nothing was charged.",
    "changed": "was changed meanwhile. Repeat the call to use what it holds now. Nothing was charged.",
    "unreadable": "can't be read: {error.reason}. Nothing was charged.",
}
_BEHIND_PROXY = "Behind a company's proxy, set HTTPS_PROXY."
_TRANSFER_PROBLEMS = {
    "invalid": "The link to the file is no URL. Nothing was sent.",
    "not_https": "The link to the file is not an https URL with a host. Nothing was sent.",
    "private_address": (
        "{host} has an address in a private or reserved network. Without a proxy, files go only to and from public "
        "addresses. Nothing was sent."
    ),
    "untrusted_certificate": (
        "This machine does not trust the certificate of {host}: {detail}. Nothing was sent. Name its authority with "
        "--ca-file (PEM)."
    ),
    "encoded": "{host} sends the file in an encoding that was not requested.",
    "no_length": "{host} does not say how long the file is, so a part could be taken for the whole.",
    "wrong_range": "{host} sends another part of the file than was requested.",
    "empty": "The host sends an empty file. Repeat the call to use a fresh link.",
    "not_media": "The host sends no image, video, sound or ZIP archive. Repeat the call to use a fresh link.",
    "connect_timeout": f"{{host}} could not be reached in time. {_BEHIND_PROXY}",
    "unreachable": f"{{host}} could not be reached: {{detail}}. {_BEHIND_PROXY}",
    "proxy": "The proxy does not connect to {host}: {detail}. Check HTTPS_PROXY or ALL_PROXY.",
    "broken": "The connection to {host} broke before everything had come.",
}


word(
    {
        errors.UnknownOutputError: (
            "Nothing was saved: there is no output {error.number}. The task's outputs have the numbers 1 to "
            "{error.count}."
        ),
        errors.OutputGoneError: "Runway no longer has the task, so this output is lost.",
        errors.MissingLinkError: "The task names no link for this output, so nothing was requested.",
        errors.TooManyOutputsError: (
            "Outputs {error.first} to {error.last} were left out: a call saves at most {error.limit}. The task has "
            "their links."
        ),
        errors.TooManyDownloadsError: (
            "{error.limit} downloads are in progress, the maximum. Repeat the call when some have finished."
        ),
    }
)


@explain.register
def _(error: errors.NoFolderAllowedError) -> str:
    return (
        f"No folder is allowed, so nothing was {error.action}. Start this server with --files-root FOLDER to allow "
        f"one.{_from_chat(error.action, 'that folder')}"
    )


@explain.register
def _(error: errors.PathNotAllowedError) -> str:
    named = ", ".join(str(path) for path in error.allowed[:MAX_NAMED])
    more = f" and {len(error.allowed) - MAX_NAMED} more" if len(error.allowed) > MAX_NAMED else ""
    flag = "replaces these" if error.from_host else "allows another one"
    from_chat = _from_chat(error.action, error.allowed[0]) if error.problem in _MAYBE_FROM_CHAT else ""
    return (
        f"{quote(error.path)} can't be used. {_PATH_PROBLEMS[error.problem]}{from_chat} Allowed: {named}{more}; "
        f"--files-root FOLDER {flag}. Nothing was {error.action}."
    )


@explain.register
def _(error: errors.UnusableNameError) -> str:
    why = {
        "folder": "It names a folder: give the file's name alone, and the folder as directory.",
        "empty": "Nothing of it can stand in the name of a file.",
    }
    return f"{quote(error.name)} can't be a file's name. {why[error.problem]} Nothing was saved."


@explain.register
def _(error: errors.AmbiguousNameError) -> str:
    names = ", ".join(map(json.dumps, error.names[:MAX_NAMED]))
    return (
        f"{quote(error.path)} does not exist, but {len(error.names)} names look the same: {names}. Repeat the call "
        f"with one of them, exactly as in this JSON. Nothing was {error.action}."
    )


@explain.register
def _(error: errors.UnusablePathError) -> str:
    undone = f"Nothing was {error.action}."
    path = quote(error.path)
    if isinstance(error.error, FileNotFoundError):
        if not error.folder_exists:
            return f"The allowed folder {error.folder} does not exist. {undone}"
        where = f" in {error.folder}" if error.is_relative else ""
        return f"{path} does not exist{where}.{_from_chat(error.action, error.folder)} {undone}"
    if isinstance(error.error, NotADirectoryError):
        return f"{path} leads through something that is no folder. {undone}"
    return f"{path} can't be used: {_reason(error.error)}. {undone}"


@explain.register
def _(error: errors.SaveFailedError) -> str:
    match error.error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            reason = "the disk is full"
        case errno.EFBIG:
            reason = "the file system takes no file of this size"
        case _:
            reason = f'the system says "{_reason(error.error)}"'
    return f"It could not be saved: {reason}. Nothing of it is left."


@explain.register
def _(error: errors.UnsuitableFileError) -> str:
    return f"{quote(error.name)} {_FILE_PROBLEMS[error.problem].format(error=error)}"


@explain.register
def _(error: errors.UploadFailedError) -> str:
    code = f" ({error.code})" if error.code else ""
    why = f"The storage answered {error.cause}{code}." if isinstance(error.cause, int) else explain(error.cause)
    return (
        f"{quote(error.name)} could not be uploaded in {RETRIES + 1} attempts. {why} Nothing was charged; repeat the "
        "call to start over."
    )


@explain.register
def _(error: errors.UploadTimeoutError) -> str:
    match error.sent:
        case 0:
            why = "Runway or its storage did not answer. Repeat the call to start over."
        case error.size:
            why = "The whole file was sent, but the storage did not answer. Repeat the call to start over."
        case _:
            why = (
                f"{error.sent:,} of its {error.size:,} bytes were sent. Use a smaller file, or one on the web: an "
                "input takes an https URL too."
            )
    return f"{quote(error.name)} was not uploaded within {error.timeout:g} s. {why} Nothing was charged."


@explain.register
def _(error: errors.UrlNotAllowedError | errors.UnexpectedContentError | errors.TransferInterruptedError) -> str:
    return _TRANSFER_PROBLEMS[error.problem].format(host=quote(error.host, 80), detail=quote(error.detail))


@explain.register
def _(error: errors.UnusableNetworkError) -> str:
    return explain(error.cause)


@explain.register
def _(error: errors.TooLargeError) -> str:
    size = f"It has {error.size:,} bytes, more than" if error.size else "More bytes came than"
    return f"{size} the limit of {error.limit:,}. Nothing of it is left."


@explain.register
def _(error: errors.UnexpectedStatusError) -> str:
    host = quote(error.host, 80)
    match error.status:
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return (
                f"{host} does not accept the link ({error.status}): it has expired, as links do after 24 to 48 hours, "
                "or is incomplete. Repeat the call: it reads the task again and gets a fresh link."
            )
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return f"{host} no longer has the file ({error.status})."
        case status if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
            return f"{host} redirects to another place ({status}); redirects are not followed."
        case status:
            return f"{host} answers {status} instead of the file."


@explain.register
def _(error: errors.TransferTimeoutError) -> str:
    return f"It did not arrive within {error.seconds / 60:.0f} minutes. Repeat the call to start over."


@explain.register
def _(error: NoOutputError) -> str:
    task = error.task
    if task.status == "SUCCEEDED":
        return "Nothing was saved: the task has SUCCEEDED, but Runway names no output of it."
    advice = "runway_waitForTask waits for it." if task.is_active else "runway_getTask says why."
    return (
        f"Nothing was saved: the task is {describe_task(task)}, and only one that has SUCCEEDED has outputs. {advice}"
    )


def _from_chat(action: errors.Action, folder: Path | str) -> str:
    if action != "read":
        return ""
    return f" A picture attached to the chat is not on this machine: save it into {folder} first, then name it."


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
