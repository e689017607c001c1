"""The calls of the tools that move files."""

import logging
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from anyio import create_task_group, to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ImageContent, ListRootsResult
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError, quote
from runway_mcp.api.models import InvalidTaskIdError, TaskId, parse_task_id
from runway_mcp.files.download import Failed, InProgress, Output, Saved
from runway_mcp.files.downloads import Report
from runway_mcp.files.file_errors import FilesError
from runway_mcp.files.folders import Folders
from runway_mcp.files.paths import InvalidPathError, parse_path
from runway_mcp.files.thumbnails import MAX_PIXELS
from runway_mcp.mcp_server import results
from runway_mcp.mcp_server.file_messages import explain
from runway_mcp.tasks.callers import CallerContext
from runway_mcp.tasks.local_files import upload_anew
from runway_mcp.tasks.outputs import NoOutputError, Wanted, save_outputs
from runway_mcp.tasks.waiting import Waited

logger = logging.getLogger(__name__)
MEGABYTE = 1_000_000
MAX_INLINE = 500_000
"""Bytes of small pictures that a result carries, together; in Base64 they stay below what hosts accept."""
SAVE_SECONDS = 10.0
"""How long a wait that has ended goes on for saving: with its 45 seconds, below a host's 60."""
DOWNLOADER = "runway_downloadOutput"


async def upload_from(path: str, ctx: Context[CallerContext], roots: ListRootsResult) -> CallToolResult:
    """Upload the file at `path`, and return the URI that names it."""
    context = ctx.request_context.lifespan_context
    try:
        folders = await allowed_folders(context, roots)
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
    text: str, wanted: Wanted, ctx: Context[CallerContext], roots: ListRootsResult, *, inline: bool
) -> CallToolResult:
    """Save the outputs of the task whose id is `text`, and return what became of each."""
    context = ctx.request_context.lifespan_context
    try:
        task_id = parse_task_id(text)
        folders = await allowed_folders(context, roots)
        outputs = await save_outputs(context, task_id, folders, wanted, report=_reporter(ctx))
        saved = [output for output in outputs if isinstance(output, Saved)]
        images = await _images(context, task_id, folders, saved) if inline and saved else {}
    except (FilesError, NoOutputError) as error:
        return results.error_result(explain(error))
    except (InvalidTaskIdError, RunwayError) as error:
        return results.read_error(error)
    unshown = [output for output in saved if inline and output.index not in images]
    data: dict[str, JsonValue] = {"id": task_id, "files": [_file(output) for output in outputs]}
    notes = list(_notes(outputs, unshown))
    if all(isinstance(output, Failed) for output in outputs):
        return results.error_result(" ".join(notes), data)
    result = results.json_result(data, *notes)
    if images:
        result.content += images.values()
        result.structured_content = None  # hosts that get some show a model nothing else
    return result


async def with_saved(
    result: CallToolResult, waited: Waited, ctx: Context[CallerContext], roots: ListRootsResult
) -> CallToolResult:
    """Return a wait's result with what became of the outputs; those of a task that has not finished are not saved.

    A failure to save is told in the note: the result itself stays.
    """
    succeeded = [task_id for task_id, state in waited.states.items() if state.task and state.task.status == "SUCCEEDED"]
    found = dict[TaskId, list[Output] | str]()

    async def save(task_id: TaskId) -> None:
        found[task_id] = await _saved(ctx.request_context.lifespan_context, task_id, roots)

    async with create_task_group() as saving:
        for task_id in succeeded:
            saving.start_soon(save, task_id)
    files, notes = list[JsonValue](), list[str]()
    for task_id in succeeded:
        outputs = found[task_id]
        which = f"{task_id}: " if len(waited.states) > 1 else ""
        if isinstance(outputs, str):
            notes.append(f"{which}{outputs}")
            continue
        paths = [str(output.path) for output in outputs if isinstance(output, Saved)]
        said = [f"Saved: {', '.join(paths)}." if paths else "", *_notes(outputs, [])]
        notes.append(which + " ".join(filter(None, said)))
        files += [{"id": task_id, **_file(output)} for output in outputs]
    if any(not state.is_final for state in waited.states.values()):
        notes.append("What has not finished is not saved yet: runway_waitForTask with save does so.")
    # a start must not be repeated, and the tool for the files alone is the cheaper one for a wait, too
    return results.with_files(result, files, [note.replace("Repeat the call", "Call " + DOWNLOADER) for note in notes])


async def _saved(context: CallerContext, task_id: TaskId, roots: ListRootsResult) -> list[Output] | str:
    try:
        folders = await allowed_folders(context, roots)
        return await save_outputs(context, task_id, folders, timeout=SAVE_SECONDS)
    except (FilesError, NoOutputError) as error:
        return explain(error)
    except RunwayError as error:
        return f"Nothing was saved: {explain(error)}"
    except Exception:
        logger.exception("The outputs of task %s could not be saved", task_id)
        return "Nothing was saved, through a fault of this server; its log says more."


async def allowed_folders(context: CallerContext, roots: ListRootsResult) -> Folders:
    """Return the operator's folders, or the host's where the operator allows none; maybe none."""
    if folders := await (await context.files()).folders():
        return folders
    given = list[Path]()
    for root in roots.roots:
        with suppress(InvalidPathError):
            given.append(Path(parse_path(str(root.uri))))
    return await to_thread.run_sync(lambda: Folders(given, from_host=True))


async def _images(
    context: CallerContext, task_id: TaskId, folders: Folders, saved: Sequence[Saved]
) -> dict[int, ImageContent]:
    from runway_mcp.tasks.previews import previews  # noqa: PLC0415 - only who wants to see them pays for it

    found = await previews(context, task_id, folders, saved, max_bytes=MAX_INLINE)
    return {index: ImageContent(data=b64encode(data).decode(), mime_type="image/jpeg") for index, data in found.items()}


def _reporter(ctx: Context[CallerContext]) -> Report:
    async def report(done: int, total: int | None) -> None:
        size, unit = (MEGABYTE, "MB") if (total or done) >= MEGABYTE else (1024, "kB")
        of = f" of {total / size:.1f}" if total else ""
        await ctx.report_progress(done, total, f"{done / size:.1f}{of} {unit}")

    return report


def _notes(outputs: list[Output], unshown: list[Saved]) -> Iterator[str]:
    if unfinished := [output for output in outputs if isinstance(output, InProgress)]:
        yield (
            f"Still downloading: output {_numbers(unfinished)}. This goes on in the background. Repeat the call to "
            "wait for it and get the path."
        )
    failed: dict[str, list[Failed]] = {}
    for output in outputs:
        if isinstance(output, Failed):
            failed.setdefault(explain(output.error), []).append(output)
    for reason, those in failed.items():
        retry = those[0].error.retryable and "Repeat the call" not in reason
        yield f"Not saved: output {_numbers(those)}. {reason}{' Repeat the call to try again.' if retry else ''}"
    if unrecorded := [output for output in outputs if isinstance(output, Saved) and not output.is_recorded]:
        yield (
            f"Saved, but not recorded in the history, which can't be read or written: output {_numbers(unrecorded)}. "
            "A later call may save it again."
        )
    if unshown:
        yield (
            f"Not inline: output {_numbers(unshown)}. Inline are JPEG, PNG, GIF and WebP images of up to "
            f"{MAX_PIXELS // 1_000_000} megapixels and videos of which Runway has a preview, together "
            f"{MAX_INLINE // 1000} kB. An SVG is not drawn."
        )


def _numbers(outputs: Sequence[Output]) -> str:
    return ", ".join(str(output.index) for output in outputs)


def _file(output: Output) -> dict[str, JsonValue]:
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
