"""The calls of the tools that move files."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from anyio import to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ImageContent, ListRootsResult
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError, quote
from runway_mcp.api.models import InvalidTaskIdError, parse_task_id
from runway_mcp.files.download import Failed, InProgress, Output, Saved
from runway_mcp.files.downloads import CallerFiles, Report
from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.folders import Destination, Folders, open_saved
from runway_mcp.files.paths import InvalidPathError, parse_path
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.file_messages import explain
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.local_files import upload_anew
from runway_mcp.tasks.outputs import NoOutputError, save_outputs

MEGABYTE = 1_000_000
MAX_INLINE = 500_000
"""Bytes of images that a result carries, together; in Base64 they stay below what hosts accept."""
_SHOWN = {"image/jpeg", "image/png", "image/gif", "image/webp"}


async def upload_from(path: str, ctx: Context[CallerContext], roots: ListRootsResult) -> CallToolResult:
    """Upload the file at `path`, and return the URI that names it."""
    context = ctx.request_context.lifespan_context
    files = await context.files()
    try:
        folders = await _folders(files, roots)
        with await to_thread.run_sync(folders.open_input, path) as file:
            uploaded = await upload_anew(context, file, _reporter(ctx))
    except FilesError as error:
        return results.error_result(explain(error))
    except RunwayError as error:
        return results.error_result(f"{explain(error)} Nothing was uploaded, and nothing is charged.")
    notes = ["Valid for 24 hours, in an input of runway_startTask in place of a URL."]
    if not path.endswith(file.name):
        notes.append(f"Took the file {quote(file.name)} from {quote(path)}.")
    return results.json_result(
        {"uri": uploaded.uri, "size": uploaded.size, "contentType": uploaded.content_type}, *notes
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
        saved = [output for output in outputs if isinstance(output, Saved)]
        images = await to_thread.run_sync(_images, destination, saved) if inline and saved else {}
    except (InvalidTaskIdError, FilesError, NoOutputError) as error:
        return results.error_result(explain(error))
    except RunwayError as error:
        return results.read_error(error)
    unshown = [output for output in saved if inline and output.index not in images]
    data: dict[str, JsonValue] = {"id": task_id, "files": list(map(_file, outputs))}
    notes = list(_notes(outputs, unshown))
    if all(isinstance(output, Failed) for output in outputs):
        return results.error_result(" ".join(notes), data)
    result = results.json_result(data, *notes)
    if images:
        result.content += images.values()
        result.structured_content = None  # hosts that get some show a model nothing else
    return result


async def allowed_folders(context: CallerContext, roots: ListRootsResult) -> Folders:
    """Return the operator's folders, or the host's where the operator allows none; maybe none."""
    return await _folders(await context.files(), roots)


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


def _images(destination: Destination, saved: list[Saved]) -> dict[int, ImageContent]:
    images, room = dict[int, ImageContent](), MAX_INLINE
    with destination.open() as folder:
        for output in saved:
            if output.content_type in _SHOWN and output.size <= room:
                with suppress(OSError), open_saved(folder, output.path.name) as file:
                    data = file.file.read(room)
                    room -= len(data)
                    images[output.index] = ImageContent(data=b64encode(data).decode(), mime_type=output.content_type)
    return images


def _notes(outputs: list[Output], unshown: list[Saved]) -> Iterator[str]:
    if unfinished := [output for output in outputs if isinstance(output, InProgress)]:
        yield (
            f"Still downloading: output {_numbers(unfinished)}. This goes on in the background; repeat the call to "
            "wait for it and get the path."
        )
    failed: dict[str, list[Failed]] = {}
    for output in outputs:
        if isinstance(output, Failed):
            failed.setdefault(explain(output.error), []).append(output)
    for reason, those in failed.items():
        retry = those[0].error.retryable and "Repeat the call" not in reason
        yield f"Not saved: output {_numbers(those)}. {reason}{' Repeat the call to try again.' if retry else ''}"
    if unshown:
        yield (
            f"Not inline: output {_numbers(unshown)}. Only JPEG, PNG, GIF and WebP images are, of {MAX_INLINE:,} bytes "
            "together at most."
        )


def _numbers(outputs: Sequence[Output]) -> str:
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
