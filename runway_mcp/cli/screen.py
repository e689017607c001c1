"""What the task commands show: JSON lines in a pipe; tables, colours and progress bars on a terminal."""

import json
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol, TextIO, cast

import typer
from pydantic import JsonValue
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.style import Style
from rich.table import Table
from rich.text import Text

from runway_mcp.signals import interruptible

COMMAND_LINE = "  "
"""What a line begins with that is a command line."""
WIDE = 120
"""Characters of a terminal that has room for more columns."""


class Report(Protocol):
    """Shows how much is done, of how much, and a sentence."""

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None: ...


_STYLES = {"SUCCEEDED": "green", "FAILED": "red", "CANCELLED": "yellow", "RUNNING": "cyan", "PENDING": "cyan"}


class _Stderr(Console):
    def on_broken_pipe(self) -> None:
        _silence(sys.stderr)


class Screen:
    """Shows results on stdout; notes, errors and progress on stderr. Where nobody reads on, the command goes on.

    Args:
        as_json: Show JSON even on a terminal.

    Attributes:
        has_lost: Whether a result could not be written to stdout.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self._is_terminal = sys.stdout.isatty()
        self.is_human = self._is_terminal and not as_json
        self._stderr = _Stderr(stderr=True, highlight=False)
        self.has_lost = False
        self._bars: Progress | None = None
        self._kept: list[Callable[[], None]] = []

    def show(self, data: Mapping[str, JsonValue]) -> None:
        """Show one result: a line of JSON, or a table."""
        if self._bars is not None and self._is_terminal:
            self._kept.append(partial(self.show, data))
        elif self.is_human:
            Console().print(_drawn(data), "")
        else:
            line = json.dumps(data, separators=(",", ":"))
            try:
                print(line, flush=True)
            except OSError as error:
                _silence(sys.stdout)
                if not isinstance(error, BrokenPipeError):
                    self.has_lost = True
                    self.fail(f"stdout can't be written: {error.strerror}. The result, which is not there:\n{line}")

    def show_rows(self, rows: Sequence[Mapping[str, JsonValue]], columns: Sequence[str], wide: Sequence[str]) -> None:
        """Show results that are alike: a line of JSON each, or a table of these columns, `wide` ones where they fit."""
        if not self.is_human:
            for row in rows:
                self.show(row)
        elif rows:
            console = Console()
            table = Table(box=None, pad_edge=False)
            for name in (*columns, *(wide if console.width >= WIDE else ())):
                table.add_column(name, no_wrap=name != "prompt")  # which gives way where there is no room
            for row in rows:
                cells = [_drawn(row[str(column.header)]) for column in table.columns]
                for cell in cells:
                    cast("Text", cell).no_wrap, cast("Text", cell).overflow = True, "ellipsis"
                table.add_row(*cells)
            console.print(table)

    def note(self, text: str) -> None:
        """Show a sentence about a result."""
        self._say(text, "dim")

    def fail(self, text: str) -> None:
        """Show an error."""
        self._say(f"runway-mcp: {text}")

    def _say(self, text: str, style: str = "") -> None:
        if self._bars is not None and self._is_terminal:
            self._kept.append(partial(self._say, text, style))
            return
        for line in text.splitlines():  # a command line can be copied only where the terminal itself wraps it
            is_whole = line.startswith(COMMAND_LINE) or not self._stderr.is_terminal
            self._stderr.print(Text(_clean(line), style), soft_wrap=is_whole)

    def confirm(self, question: str) -> bool:
        """Ask a question on the terminal. No answer, or Ctrl-C, is a no."""
        try:
            with interruptible():
                return typer.confirm(_clean(question), err=True)
        except typer.Abort:
            return False

    @contextmanager
    def progress(self) -> Generator[Callable[[str], Report]]:
        """Yield what makes a progress bar of a name. Results on the same terminal are shown below the bars."""
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(20),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._stderr,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not sys.stderr.isatty(),
        )
        try:
            with self._bars:
                yield self._bar
        finally:
            self._bars = None
            for show in self._kept:
                show()
            self._kept.clear()

    def _bar(self, name: str) -> Report:
        bars = cast("Progress", self._bars)
        task = bars.add_task("", total=None, name=_clean(name))

        async def report(progress: float, total: float | None, message: str | None) -> None:
            bars.update(task, completed=progress, total=total, description=_clean(message or ""))

        return report


def _drawn(value: JsonValue | Mapping[str, JsonValue], name: str = "") -> RenderableType:
    match value:
        case Mapping() if name == "schema":
            return Text(_clean(json.dumps(value, indent=2, ensure_ascii=False)))
        case Mapping():
            grid = Table.grid(padding=(0, 2))
            grid.add_column(no_wrap=True)
            grid.add_column(overflow="fold")
            for key, part in value.items():
                grid.add_row(Text(_clean(key), style="bold"), _drawn(part, key))
            return grid
        case list():
            return Group(*(_drawn(part) for part in value))
        case str():
            text = _clean(value)
            link = text if text.startswith("https://") else None  # a long one is clickable though it is folded
            return Text(
                text, style=Style.parse(_STYLES.get(text.split(",")[0], "")) + Style(link=link), overflow="fold"
            )
        case _:
            return Text("" if value is None else json.dumps(value))


def _silence(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _clean(text: str) -> str:
    # a terminal obeys control characters, and Runway's texts may hold any
    return "".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in text)
