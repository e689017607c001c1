"""The media that a start names: looked at for its price, and made ready when nothing else is in its way."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from pydantic import JsonValue

from runway_mcp.api.errors import RunwayError
from runway_mcp.catalogue.lookup import find_type
from runway_mcp.catalogue.named_media import UPLOADED, NamedMedium, filled, stand_in_of_file, texts
from runway_mcp.catalogue.validation import Prepared
from runway_mcp.files.saved_files import existing
from runway_mcp.history.task_records import SavedOutput
from runway_mcp.media_length import media_seconds
from runway_mcp.spending.start_errors import NamedInputError
from runway_mcp.tasks.callers import CallerContext

if TYPE_CHECKING:
    from runway_mcp.files.folders import Folders
    from runway_mcp.tasks.local_files import LocalFile

READY_SECONDS = 45.0
"""How long the uploads of one start may take together."""

_KINDS = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp", ".gif"), "image"),
    **dict.fromkeys((".mp4", ".mov", ".webm", ".mkv"), "video"),
    ".svg": "image/svg+xml",
    ".zip": "application/zip",
    **dict.fromkeys((".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg"), "audio"),
}
"""What an output is by the end of its link."""
_NO_INPUTS = {"image/svg+xml": "SVG", "application/zip": "archive"}
"""Outputs that Runway takes in no field."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A named medium that was made ready.

    Attributes:
        uri: What is sent for it.
        file: What was uploaded; None for an output of a task.
        is_new: Whether it was uploaded now.
    """

    medium: NamedMedium
    uri: str
    file: "LocalFile | None" = None
    is_new: bool = False


@dataclass(slots=True)
class NamedInputs:
    """The media that one start names.

    Attributes:
        prepared: The start, in which a URI stands in for each. It is the same for the same files and outputs.
        media: What the URIs stand for.
        ready: What was made ready, also where the start failed afterwards.
    """

    context: CallerContext
    prepared: Prepared
    media: Sequence[NamedMedium] = ()
    folders: "Folders | None" = None
    files: "dict[str, LocalFile]" = field(default_factory=dict[str, "LocalFile"])
    ready: list[Ready] = field(default_factory=list[Ready])

    async def look(self) -> None:
        """Look at the files, and measure what can be measured of all media; nothing is sent.

        Raises:
            NamedInputError: A file can't be used, or a medium is not of the field's kind.
            InvalidRequestError: A medium is too long or too short.
            HistoryError: The history can't be read.
        """
        digests: dict[str, str] = {}
        for medium in self.media:
            if medium.task_id is None:
                file = await self._look_at(medium)
                digests[medium.stand_in] = stand_in_of_file(file.sha256)
                self.files[digests[medium.stand_in]] = file
        body = self._filled(digests)
        self.media = [replace(one, stand_in=digests.get(one.stand_in, one.stand_in)) for one in self.media]
        lengths = {uri: file.seconds for uri, file in self.files.items()}
        for medium in self.media:
            if medium.task_id is not None:
                lengths[medium.stand_in] = await self._length_of_output(medium)
        for uri in {text for _, text in texts(body) if text.startswith(UPLOADED)} - lengths.keys():
            lengths[uri] = await self._length_of_upload(uri)
        known = {uri: seconds for uri, seconds in lengths.items() if seconds is not None}
        self.prepared = replace(self.prepared, body=body).with_lengths(known)

    @property
    def has_paths(self) -> bool:
        return any(medium.task_id is None for medium in self.media)

    async def check_tasks(self) -> None:
        """Raise a NamedInputError where an earlier task has not the output that is named."""
        await self._links()

    async def make_ready(self) -> dict[str, JsonValue]:
        """Upload the files that Runway has not yet, read fresh links, and return what is to be sent.

        Raises:
            NamedInputError: A file could not be uploaded, or an earlier task has not the output that is named.
            HistoryError: The history can't be read.
        """
        uris = await self._links()
        if self.files:
            uris = {**await self._upload(), **await self._links()}
        self.ready += [Ready(one, uris[one.stand_in]) for one in self.media if one.task_id is not None]
        return self._filled(uris)

    async def forget_earlier_uploads(self) -> None:
        """Have files uploaded anew the next time: Runway refuses the start, and may not have them any more."""
        for one in self.ready:
            if one.file is not None and not one.is_new:
                from runway_mcp.tasks.local_files import forget_upload  # noqa: PLC0415 - as above

                await forget_upload(self.context, one.uri)

    def as_written(self) -> dict[str, JsonValue]:
        """Return the input with its media as they are named."""
        return self._filled({medium.stand_in: medium.text for medium in self.media})

    def _filled(self, uris: Mapping[str, str]) -> dict[str, JsonValue]:
        return cast("dict[str, JsonValue]", filled(self.prepared.body, uris))

    async def _look_at(self, medium: NamedMedium) -> "LocalFile":
        from runway_mcp.files.file_errors import FilesError  # noqa: PLC0415 - only who names a file pays for it
        from runway_mcp.tasks.local_files import look_at  # noqa: PLC0415 - as above

        assert self.folders is not None  # noqa: S101 - who takes paths knows the folders
        try:
            file = await look_at(self.folders, medium.text)
        except FilesError as error:
            raise NamedInputError(medium, cause=error) from error
        _check_kind(medium, file.content_type)
        return file

    async def _upload(self) -> Mapping[str, str]:
        from runway_mcp.files.file_errors import FilesError  # noqa: PLC0415 - only who names a file pays for it
        from runway_mcp.tasks.local_files import upload_once  # noqa: PLC0415 - as above

        assert self.folders is not None  # noqa: S101 - who takes paths knows the folders
        uris: dict[str, str] = {}
        until = anyio.current_time() + READY_SECONDS
        for medium in self.media:
            file = self.files.get(medium.stand_in)
            if file is None:
                continue
            try:
                left = math.ceil(max(until - anyio.current_time(), 1))
                uri, is_new = await upload_once(self.context, self.folders, medium.text, file, timeout=left)
            except (FilesError, RunwayError) as error:
                raise NamedInputError(medium, cause=error) from error
            uris[medium.stand_in] = uri
            self.ready.append(Ready(medium, uri, file, is_new))
        return uris

    async def _links(self) -> dict[str, str]:
        return {one.stand_in: await self._link(one) for one in self.media if one.task_id is not None}

    async def _link(self, medium: NamedMedium) -> str:
        assert medium.task_id is not None  # noqa: S101 - only an output has a link
        try:
            task = await self.context.tasks.get(medium.task_id)
        except RunwayError as error:
            raise NamedInputError(medium, cause=error) from error
        if task.status != "SUCCEEDED":
            raise NamedInputError(medium, task=task)
        output = task.data.get("output")
        urls = output if isinstance(output, list) else []
        url = urls[medium.output - 1] if medium.output <= len(urls) else None
        if not isinstance(url, str):
            raise NamedInputError(medium, task=task, outputs=len(urls))
        _check_kind(medium, _KINDS.get(PurePosixPath(urlsplit(url).path).suffix.lower()))
        return url

    async def _length_of_output(self, medium: NamedMedium) -> Decimal | None:
        ledger = self.context.ledger
        tasks = (await ledger.history()).tasks
        record = await tasks.find(ledger.account, ledger.caller, str(medium.task_id))
        if record is None:
            return None
        saved = next((one for one in record.outputs if one.position == medium.output), None)
        kind = find_type(record.type)
        _check_kind(medium, saved.content_type if saved else kind and kind.output)
        measured = await to_thread.run_sync(_saved_seconds, saved) if saved else None
        has_length = kind is not None and kind.output != "image"
        return measured or (Decimal(str(record.seconds)) if has_length and record.seconds else None)

    async def _length_of_upload(self, uri: str) -> Decimal | None:
        ledger = self.context.ledger
        found = await (await ledger.history()).tasks.find_upload(ledger.account, ledger.caller, uri=uri)
        return None if found is None else found.seconds


def _saved_seconds(saved: SavedOutput) -> Decimal | None:
    is_there = existing([saved.path]).get(saved.path) == saved.size
    return media_seconds(Path(saved.path)) if is_there else None


def _check_kind(medium: NamedMedium, content_type: str | None) -> None:
    """Raise a NamedInputError for a medium that can't stand where it is named; a video can be nothing but sound."""
    kind = _NO_INPUTS.get(content_type or "", (content_type or "").partition("/")[0])
    fitting = {*medium.kinds, *({"video"} if "audio" in medium.kinds else ())}
    if medium.kinds and kind in {"image", "video", "audio", *_NO_INPUTS.values()} - fitting:
        raise NamedInputError(medium, kind=kind)
