"""The words for errors about files."""

import errno
from http import HTTPStatus

from runway_mcp.api.errors import quote
from runway_mcp.files import file_errors as errors
from runway_mcp.files.paths import MAX_DEPTH, MAX_LENGTH
from runway_mcp.mcp_server.messages import describe_task, explain, word
from runway_mcp.tasks.outputs import NoOutputError

__all__ = ["explain"]

MAX_NAMED = 5
"""Allowed folders that an error names."""
MEGABYTE = 1024**2

_PATH_PROBLEMS = {
    "length": f"A path has 1 to {MAX_LENGTH} characters.",
    "characters": "It holds characters that no path can have.",
    "url": "It is a URL: pass a URL to the input as it is.",
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
    "unusable_name": "It leads to a name that can't be shown or used.",
}


word(
    {
        errors.NoFolderAllowedError: (
            "No folder is allowed, so no file was read or written. Start this server with --files-root FOLDER to "
            "allow one."
        ),
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
def _(error: errors.PathNotAllowedError) -> str:
    named = ", ".join(str(path) for path in error.allowed[:MAX_NAMED])
    more = f" and {len(error.allowed) - MAX_NAMED} more" if len(error.allowed) > MAX_NAMED else ""
    flag = "replaces these" if error.from_host else "allows another one"
    return (
        f"{quote(error.path)} can't be used. {_PATH_PROBLEMS[error.problem]} Allowed: {named}{more}; "
        f"--files-root FOLDER {flag}. Nothing was read or written."
    )


@explain.register
def _(error: errors.UnusablePathError) -> str:
    undone = f"Nothing was {error.action}."
    path = quote(error.path)
    if isinstance(error.error, FileNotFoundError):
        if error.folder is None:
            return f"{path} does not exist. {undone}"
        if not error.folder_exists:
            return f"The allowed folder {error.folder} does not exist. {undone}"
        return f"{path} does not exist in {error.folder}. {undone}"
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
def _(error: errors.FileSizeError) -> str:
    return (
        f"{quote(error.name)} has {error.size:,} bytes. Runway takes files of {error.minimum} bytes to "
        f"{error.maximum // MEGABYTE} MB. Nothing was sent or charged."
    )


@explain.register
def _(error: errors.UnsupportedFileError) -> str:
    return (
        f"By its content, {quote(error.name)} is no image (JPEG, PNG, WebP), video (MP4, MOV, WebM, MKV, OGV) or "
        "sound (MP3, WAV, M4A, AAC, FLAC, OGG) that Runway takes. Nothing was sent or charged."
    )


@explain.register
def _(error: errors.UnreadableFileError) -> str:
    if error.reason is None:
        return f"{quote(error.name)} became shorter while it was read. Nothing was charged."
    return f"{quote(error.name)} can't be read: {error.reason}. Nothing was charged."


@explain.register
def _(error: errors.UploadFailedError) -> str:
    if isinstance(error.cause, int):
        code = f" ({error.code})" if error.code else ""
        why = f"The storage answered {error.cause}{code}."
    else:
        why = explain(error.cause)
    return (
        f"{quote(error.name)} could not be uploaded in {error.attempts} attempts. {why} Nothing was charged; "
        "repeat the call to start over."
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
def _(error: errors.UrlNotAllowedError) -> str:
    host = quote(error.host, 80)
    match error.problem:
        case "invalid":
            return "The link to the file is no URL. Nothing was sent."
        case "not_https":
            return "The link to the file is not an https URL with a host. Nothing was sent."
        case "private_address":
            return (
                f"{host} has an address in a private or reserved network. Without a proxy, files go only to and "
                "from public addresses. Nothing was sent."
            )
        case "untrusted_certificate":
            return (
                f"This machine does not trust the certificate of {host}: {quote(error.detail)}. Nothing was sent. "
                "Name its authority with --ca-file (PEM)."
            )
        case _:
            return (
                "The proxy or certificate settings of this machine can't be used. Nothing was sent. Correct "
                "HTTPS_PROXY or ALL_PROXY (http:// or https://), SSL_CERT_FILE, SSL_CERT_DIR or --ca-file (PEM)."
            )


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
def _(error: errors.UnexpectedContentError) -> str:
    host = quote(error.host, 80)
    match error.problem:
        case "encoded":
            return f"{host} sends the file in an encoding that was not requested."
        case "no_length":
            return f"{host} does not say how long the file is, so a part could be taken for the whole."
        case "wrong_range":
            return f"{host} sends another part of the file than was requested."
        case "too_large":
            size = f"It has {error.size:,} bytes, more than" if error.size else "More bytes came than"
            return f"{size} the limit of {error.limit:,}. Nothing of it is left."
        case "empty":
            return "The host sends an empty file. Repeat the call to use a fresh link."
        case _:
            return "The host sends no image, video, sound or ZIP archive. Repeat the call to use a fresh link."


@explain.register
def _(error: errors.TransferInterruptedError) -> str:
    host = quote(error.host, 80)
    proxy = "Behind a company's proxy, set HTTPS_PROXY."
    match error.problem:
        case "connect_timeout":
            return f"{host} could not be reached in time. {proxy}"
        case "unreachable":
            return f"{host} could not be reached: {quote(error.detail)}. {proxy}"
        case "proxy":
            return f"The proxy does not connect to {host}: {quote(error.detail)}. Check HTTPS_PROXY or ALL_PROXY."
        case _:
            return f"The connection to {host} broke before everything had come."


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


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
