"""The tools that move files: inputs from this machine's disk to Runway, outputs from Runway to the disk.

`file_calls` is loaded with the first file, to keep the server's start short.
"""

from collections.abc import Sequence
from typing import Annotated

from mcp.server.mcpserver import Context, ListRoots, Resolve
from mcp_types import CallToolResult, ListRootsResult, ToolAnnotations
from pydantic import BeforeValidator, Field

from runway_mcp.mcp_server.client_capabilities import can_list_roots, list_roots
from runway_mcp.mcp_server.tools.tasks import TaskIdArgument
from runway_mcp.mcp_server.tools.toolset import Output, Tool, Toolset
from runway_mcp.tasks.callers import CallerContext


class UploadOutput(Output):
    """An upload."""

    uri: str = Field(description="runway://…, which an input may name for 24 hours.")
    size: int = Field(description="Bytes.")
    content_type: str = Field(description="By its content.")


async def host_roots(ctx: Context[CallerContext]) -> ListRoots | ListRootsResult:
    """Ask the host for its folders, if they count and it can name them."""
    files = await ctx.request_context.lifespan_context.files()
    if not files.takes_roots or await files.folders() or not can_list_roots(ctx):
        return NO_ROOTS
    return await list_roots(ctx)


async def roots_to_save(save: bool, ctx: Context[CallerContext]) -> ListRoots | ListRootsResult:
    """Ask the same where outputs are to be saved."""
    return await host_roots(ctx) if save else NO_ROOTS


RootsArgument = Annotated[ListRootsResult, Resolve(host_roots)]
SaveArgument = Annotated[
    bool, Field(title="Save", description="Wait, then save the outputs as runway_downloadOutput does.")
]
SaveRoots = Annotated[ListRootsResult, Resolve(roots_to_save)]
NO_ROOTS = ListRootsResult(roots=[])


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    return value


OutputNumber = Annotated[int, BeforeValidator(_no_truth)]


async def upload_file(
    path: Annotated[
        str, Field(title="Path", description="Absolute, or relative to the first allowed folder; a file:// URI too.")
    ],
    ctx: Context[CallerContext],
    roots: RootsArgument,
) -> Annotated[CallToolResult, UploadOutput]:
    """Run `runway_uploadFile`."""
    from runway_mcp.mcp_server.tools.file_calls import upload_from  # noqa: PLC0415 - see the module's docstring

    return await upload_from(path, ctx, roots)


async def download_output(  # noqa: PLR0917 - a tool is called by name
    taskId: TaskIdArgument,
    ctx: Context[CallerContext],
    roots: RootsArgument,
    directory: Annotated[
        str, Field(title="Directory", description="Where to, within an allowed folder; the first one where left out.")
    ] = "",
    name: Annotated[
        str, Field(title="Name", description="Of the file, without a folder. Left out: the date and the prompt.")
    ] = "",
    outputs: Annotated[
        Sequence[OutputNumber],
        Field(title="Outputs", description="Numbers of the outputs to save, from 1. Left out: all."),
    ] = (),
    inline: Annotated[
        bool, Field(title="Inline", description="Also return a small picture of each image or video.")
    ] = False,
) -> CallToolResult:
    """Run `runway_downloadOutput`."""
    from runway_mcp.mcp_server.tools.file_calls import download_to  # noqa: PLC0415 - see the module's docstring
    from runway_mcp.tasks.outputs import Wanted  # noqa: PLC0415 - as above

    return await download_to(taskId, Wanted(directory, name, outputs), ctx, roots, inline=inline)


UPLOAD_FILE = Tool(
    name="runway_uploadFile",
    title="Upload a file to Runway",
    description=(
        "Send an image, video or sound from this server's disk to Runway, and get a runway:// URI that an input of "
        "runway_startTask takes in place of a URL, for 24 hours. A start takes the path itself, too. Reads allowed "
        "folders only. Costs nothing."
    ),
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
    ),
    run=upload_file,
)
DOWNLOAD_OUTPUT = Tool(
    name="runway_downloadOutput",
    title="Save a Runway task's output",
    description=(
        "Save the outputs of a task that SUCCEEDED to this server's disk, before their URLs expire. Writes to allowed "
        "folders only, never over a file. A download that takes over 45 s goes on in the background: repeat the call "
        "to get its path. Returns path, size, type and SHA-256 of each. Costs nothing."
    ),
    annotations=ToolAnnotations(
        read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True
    ),
    run=download_output,
    is_viewed=True,
)

FILES = Toolset(
    name="files",
    guide="",
    guide_to_changes=(
        "runway_uploadFile takes inputs from disk; runway_downloadOutput saves outputs, whose URLs expire and may be "
        "masked by hosts."
    ),
    tools=(UPLOAD_FILE, DOWNLOAD_OUTPUT),
)
