"""Commands that typer parses: one function each, whose module is imported when its command is called."""

import re
from collections.abc import Sequence
from importlib import import_module

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
    module, _, function = place.partition(":")
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(help=f"{about[0].upper()}{about[1:]}.")(getattr(import_module(module), function))
    program = f"runway-mcp {name}"
    try:
        return app(list(arguments), prog_name=program, standalone_mode=False) or 0
    except TyperException as error:
        raise UsageError(f"{_without_values(error.format_message(), arguments)}; see {program} --help") from None
    except typer.Abort:
        raise UsageError("the question got no answer") from None


def _without_values(message: str, arguments: Sequence[str]) -> str:
    # A value may be a key.
    message = re.sub(r"(extra argument)\(?s?\)?.*", r"\1", message, flags=re.DOTALL)
    for word in arguments:
        if value := word.partition("=")[2] if word.startswith("-") else word:
            message = message.replace(repr(value), "it")
    return message[:1].lower() + message[1:].removesuffix(".")
