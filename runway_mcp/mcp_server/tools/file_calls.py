"""What the tools that move files do."""

from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ContentBlock, ImageContent, ListRootsResult, ResourceLink
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, Task, parse_task_id
from runway_mcp.files.allowed import AllowedFiles
from runway_mcp.files.downloads import Failed, Report, Saved
from runway_mcp.files.folders import FilesError, Folder, Folders
from runway_mcp.files.paths import parse_path
from runway_mcp.files.uploads import UploadError, upload
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.messages import describe_task, explain
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.outputs import NoOutputError, save_outputs

MEGABYTE = 1_000_000
MAX_INLINE = 500_000
"""Bytes of images that a result carries, together; in Base64 they stay below what hosts accept."""


async def upload_from(path: str, ctx: Context[CallerContext], roots: ListRootsResult) -> CallToolResult:
    """Upload the file at `path`, and return the URI that names it."""
    context = ctx.request_context.lifespan_context
    files = await context.files()
    try:
        with await to_thread.run_sync(_folders(files, roots).open_input, path) as file:
            uploaded = await upload(context.api, files.transfers, file, report=_reporter(ctx))
    except (FilesError, UploadError) as error:
        return results.error_result(str(error))
    except RunwayError as error:
        return results.error_result(f"{explain(error)} Nothing was uploaded, and nothing is charged.")
    return results.json_result(
        {"uri": uploaded.uri, "size": uploaded.size, "contentType": uploaded.content_type},
        "Valid for 24 hours, in an input of runway_startTask in place of a URL.",
    )


async def download_to(
    text: str, directory: str | None, ctx: Context[CallerContext], roots: ListRootsResult, *, inline: bool
) -> CallToolResult:
    """Save the outputs of the task whose id is `text`, and return what became of each."""
    context = ctx.request_context.lifespan_context
    files = await context.files()
    try:
        task_id = parse_task_id(text)
        with await to_thread.run_sync(_folders(files, roots).folder, directory) as folder:
            outputs = await save_outputs(context, task_id, folder, report=_reporter(ctx))
            shown, unshown = await to_thread.run_sync(_images, folder, outputs) if inline else ([], [])
    except FilesError as error:
        return results.error_result(str(error))
    except InvalidTaskIdError as error:
        return results.error_result(explain(error))
    except NoOutputError as error:
        return results.error_result(_no_output(error.task))
    except RunwayError as error:
        return results.read_error(error)
    return _downloaded(task_id, outputs, shown, unshown)


def _no_output(task: Task) -> str:
    if task.status == "SUCCEEDED":
        return "Nothing was saved: the task has SUCCEEDED, but Runway names no output of it."
    advice = "runway_waitForTask waits for it." if task.is_active else "runway_getTask says why."
    status = describe_task(task)
    return f"Nothing was saved: the task is {status}, and only one that has SUCCEEDED has outputs. {advice}"


def _folders(files: AllowedFiles, roots: ListRootsResult) -> Folders:
    """The folders that a call may use: the operator's, else the host's."""
    given = list[Path]()
    for root in roots.roots:
        with suppress(ValueError):
            given.append(Path(parse_path(str(root.uri))))
    return files.folders or Folders(given, of_host=True)


def _reporter(ctx: Context[CallerContext]) -> Report:
    async def report(done: int, total: int | None) -> None:
        of = f" of {total / MEGABYTE:.1f}" if total else ""
        await ctx.report_progress(done, total, f"{done / MEGABYTE:.1f}{of} MB")

    return report


def _images(folder: Folder, outputs: list[Saved | Failed]) -> tuple[list[ContentBlock], list[int]]:
    """The saved images that a result has room for, and the numbers of the outputs that it does not carry."""
    shown, unshown, room = list[ContentBlock](), list[int](), MAX_INLINE
    for output in outputs:
        if isinstance(output, Failed):
            continue
        if not output.content_type.startswith("image/") or output.size > room:
            unshown.append(output.index)
            continue
        try:
            with folder.open_file(output.path.name) as file:
                data = file.file.read(room)
        except OSError:
            unshown.append(output.index)
            continue
        room -= len(data)
        shown.append(ImageContent(data=b64encode(data).decode(), mime_type=output.content_type))
    return shown, unshown


def _downloaded(
    task_id: str, outputs: list[Saved | Failed], shown: list[ContentBlock], unshown: list[int]
) -> CallToolResult:
    saved = [output for output in outputs if isinstance(output, Saved)]
    notes = list[str]()
    failed = [output for output in outputs if isinstance(output, Failed)]
    if failed:
        notes.append(f"Not saved: output {', '.join(str(output.index) for output in failed)}.")
    if any(output.retryable for output in failed):
        notes.append("The same call may bring what is missing.")
    if unshown:
        numbers = ", ".join(map(str, unshown))
        notes.append(f"Not inline: output {numbers}. Only images are, of {MAX_INLINE:,} bytes together at most.")
    result = results.json_result({"id": task_id, "files": [_file(output) for output in outputs]}, *notes)
    result.content += shown
    result.content += [
        ResourceLink(uri=file.path.as_uri(), name=file.path.name, mime_type=file.content_type, size=file.size)
        for file in saved
    ]
    result.is_error = not saved
    return result


def _file(output: Saved | Failed) -> JsonValue:
    if isinstance(output, Failed):
        return {"index": output.index, "error": output.error}
    return {
        "index": output.index,
        "path": str(output.path),
        "size": output.size,
        "contentType": output.content_type,
        "sha256": output.sha256,
        "wasThere": output.was_there,
    }
