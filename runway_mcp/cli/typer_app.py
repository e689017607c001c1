"""Commands that typer parses: one function each, whose module is imported when its command is called."""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from runway_mcp.config.options import UsageError


def run_command(name: str, place: str, about: str, arguments: Sequence[str]) -> int:
    """Parse `arguments`, call the command's function and return its exit code.

    Args:
        name: The command's first word.
        place: Its function, as `module:function`. Its parameters are typer's; it returns the exit code.
        about: Its line in `runway-mcp --help`.
        arguments: The words after the command's name.

    Raises:
        UsageError: The command line can't be used. The message repeats no value.
    """
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise UsageError("an argument is not text in this system's encoding") from None
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    _add(app, name, place, about)
    program = f"runway-mcp {name}"
    try:
        return app(list(arguments), prog_name=program, standalone_mode=False) or 0
    except TyperException as error:
        raise UsageError(f"{_without_values(error.format_message(), arguments)}; see {program} --help") from None
    except typer.Abort as abort:
        if isinstance(abort.__context__, KeyboardInterrupt):
            print("\nrunway-mcp: interrupted; nothing was changed", file=sys.stderr)
            return 130
        raise UsageError("the question got no answer") from None


def complete(program: str, commands: Mapping[str, str], places: Mapping[str, str]) -> NoReturn:
    """Answer a shell that asks, by its variables, how a command line can go on."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    for name, about in commands.items():
        if place := places.get(name):
            _add(app, name, place, about)
        else:
            app.command(name, help=about)(lambda: None)
    sys.exit(app([], prog_name=program))


def _add(app: typer.Typer, name: str, place: str, about: str) -> None:
    module_name, _, function = place.partition(":")
    module = import_module(module_name)
    example = getattr(module, "EXAMPLES", {}).get(name)
    epilog = f"\b\nExample:\n  {example}" if example else None
    app.command(name, help=f"{about[0].upper()}{about[1:]}.", epilog=epilog)(getattr(module, function))


def _without_values(message: str, arguments: Sequence[str]) -> str:
    # A value may be a key.
    message = re.sub(r"(extra argument)\(?s?\)?.*", r"\1", message, flags=re.DOTALL)
    for word in arguments:
        if value := word.partition("=")[2] if word.startswith("-") else word:
            message = message.replace(repr(value), "it")
    return message[:1].lower() + message[1:].removesuffix(".")
