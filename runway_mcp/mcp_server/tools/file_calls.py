"""The calls of the tools that move files."""

from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ContentBlock, ImageContent, ListRootsResult, ResourceLink
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.api.models import InvalidTaskIdError, parse_task_id
from runway_mcp.files.download import Failed, InProgress, Output, Saved
from runway_mcp.files.downloads import CallerFiles, Report
from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.folders import Destination, Folders
from runway_mcp.files.paths import InvalidPathError, parse_path
from runway_mcp.files.uploads import upload
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.file_messages import explain
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
        folders = await _folders(files, roots)
        with await to_thread.run_sync(folders.open_input, path) as file:
            uploaded = await upload(context.api, files.client, file, report=_reporter(ctx))
    except FilesError as error:
        return results.error_result(explain(error))
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
        folders = await _folders(files, roots)
        destination = await to_thread.run_sync(folders.destination, directory)
        outputs = await save_outputs(context, task_id, destination, report=_reporter(ctx))
        shown, unshown = await to_thread.run_sync(_images, destination, outputs) if inline else ([], [])
    except (InvalidTaskIdError, FilesError, NoOutputError) as error:
        return results.error_result(explain(error))
    except RunwayError as error:
        return results.read_error(error)
    return _downloaded(task_id, outputs, shown, unshown)


async def _folders(files: CallerFiles, roots: ListRootsResult) -> Folders:
    if folders := await files.folders():
        return folders
    given = list[Path]()
    for root in roots.roots:
        with suppress(InvalidPathError):
            given.append(Path(parse_path(str(root.uri))))
    return await to_thread.run_sync(lambda: Folders(given, from_host=True))


def _reporter(ctx: Context[CallerContext]) -> Report:
    async def report(done: int, total: int | None) -> None:
        size, unit = (MEGABYTE, "MB") if (total or done) >= MEGABYTE else (1024, "kB")
        of = f" of {total / size:.1f}" if total else ""
        await ctx.report_progress(done, total, f"{done / size:.1f}{of} {unit}")

    return report


def _images(destination: Destination, outputs: list[Output]) -> tuple[list[ContentBlock], list[int]]:
    shown, unshown, room = list[ContentBlock](), list[int](), MAX_INLINE
    saved = [output for output in outputs if isinstance(output, Saved)]
    if not saved:
        return shown, unshown
    with destination.open() as folder:
        for output in saved:
            data = b""
            if output.content_type.startswith("image/") and output.size <= room:
                with suppress(OSError), folder.open_file(output.path.name) as file:
                    data = file.file.read(room)
            if data:
                room -= len(data)
                shown.append(ImageContent(data=b64encode(data).decode(), mime_type=output.content_type))
            else:
                unshown.append(output.index)
    return shown, unshown


def _downloaded(task_id: str, outputs: list[Output], shown: list[ContentBlock], unshown: list[int]) -> CallToolResult:
    saved = [output for output in outputs if isinstance(output, Saved)]
    failed = [output for output in outputs if isinstance(output, Failed)]
    unfinished = [output for output in outputs if isinstance(output, InProgress)]
    notes = list[str]()
    if unfinished:
        notes.append(
            f"Still downloading: output {_numbers(unfinished)}. This goes on in the background; repeat the call to "
            "wait for it and get the path."
        )
    if failed:
        retry = " Repeat the call to try again." if any(output.error.retryable for output in failed) else ""
        notes.append(f"Not saved: output {_numbers(failed)}.{retry}")
    if unshown:
        numbers = ", ".join(map(str, unshown))
        notes.append(f"Not inline: output {numbers}. Only images are, of {MAX_INLINE:,} bytes together at most.")
    result = results.json_result({"id": task_id, "files": [_file(output) for output in outputs]}, *notes)
    result.content += shown
    result.content += [
        ResourceLink(uri=file.path.as_uri(), name=file.path.name, mime_type=file.content_type, size=file.size)
        for file in saved
    ]
    result.is_error = not saved and not unfinished
    return result


def _numbers(outputs: list[Failed] | list[InProgress]) -> str:
    return ", ".join(str(output.index) for output in outputs)


def _file(output: Output) -> JsonValue:
    match output:
        case Failed():
            return {"index": output.index, "error": explain(output.error)}
        case InProgress():
            return {"index": output.index, "downloaded": output.size, "total": output.total}
        case _:
            return {
                "index": output.index,
                "path": str(output.path),
                "size": output.size,
                "contentType": output.content_type,
                "sha256": output.sha256,
                "wasThere": output.was_there,
            }
