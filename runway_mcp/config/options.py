"""Command-line options, and usage errors that are one line and never repeat a value."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args, get_origin

from runway_mcp import __version__

if TYPE_CHECKING:
    from pydantic import SecretStr

    from runway_mcp.config.settings import Settings

T = TypeVar("T")

_METAVARS = {
    **dict.fromkeys(("max_credits_per_task", "max_credits_per_day", "confirm_over"), "CREDITS"),
    **dict.fromkeys(("files_root", "state_dir"), "FOLDER"),
    **dict.fromkeys(("oauth_issuer", "oauth_audience"), "URL"),
    **dict.fromkeys(("max_concurrent_requests", "max_concurrent_waits"), "N"),
}
"""Placeholders in the help. Other settings take the last word of their name."""


class UsageError(Exception):
    """The command line or a setting can't be used. The message is one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and repeat no value, which might be a key."""

    def __init__(self, *, prog: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            flags = [word.partition("=")[0] for word in unknown if word.startswith("-")]
            raise UsageError(f"unknown {'option ' + flags[0] if flags else 'command'}; see {self.prog} --help")
        return options

    def error(self, message: str) -> NoReturn:
        # argparse repeats values in its messages, and a value may be a key.
        message = re.sub(r"ignored explicit argument.*", "takes no value", message)
        message = re.sub(r"invalid choice: .* \(choose from (.*)\)", lambda found: f"is none of {found[1]}", message)
        message = message.replace("'", "") if "is none of" in message else message
        raise UsageError(re.sub(r"(: )?('.*'|\".*\")", "", message) + f"; see {self.prog} --help")


def option(convert: Callable[[str], T], otherwise: str, holds: Callable[[T], bool] = bool) -> Callable[[str], T]:
    """Return an argparse type that converts text, and rejects what does not convert or hold with `otherwise`."""

    def read(text: str) -> T:
        with suppress(ValueError):
            if holds(value := convert(text)):
                return value
        raise argparse.ArgumentTypeError(otherwise)

    return read


def parse_settings(
    arguments: Sequence[str], commands: Mapping[str, str]
) -> "tuple[Settings, Callable[[str], SecretStr | None]]":
    """Return the settings from the command line and the environment, and a function that finds other keys there.

    Raises:
        UsageError: An option or a setting can't be used.
    """
    from runway_mcp.config.settings import Settings, flag, variables

    description = [
        "MCP server for Runway generation tasks. Without a command it serves, over stdio by default.",
        "",
        "commands:",
        *(f"  {name:<11}{what}" for name, what in commands.items()),
    ]
    epilog = [
        "environment only, because other processes can read a process's arguments:",
        *(
            f"  {', else '.join(variables(name))}\n  {field.description}"
            for name, field in Settings.model_fields.items()
            if flag(name) is None
        ),
    ]
    parser = Parser(prog="runway-mcp", description="\n".join(description), epilog="\n".join(epilog))
    parser.add_argument("--version", action="version", version=f"runway-mcp {__version__}")
    add_settings(parser)
    return read_settings(parser.parse(arguments))


def add_settings(parser: Parser) -> None:
    """Let a parser take the settings' flags."""
    from runway_mcp.config.settings import Settings, flag, variables

    parser.add_argument(
        "--env-file", type=Path, metavar="PATH", help="File of NAME=value lines. No other .env file is read."
    )
    for name, field in Settings.model_fields.items():
        if (given_as := flag(name)) is None:
            continue
        if field.annotation is bool:
            text = f"{field.description} [{variables(name)[0]}; default: off]"
            parser.add_argument(given_as, dest=name, action="store_true", default=None, help=text)
        else:
            text = f"{field.description} [{variables(name)[0]}; default: {field.default or 'none'}]"
            action = "append" if field.default == () else "store"
            choices = "|".join(get_args(field.annotation)) if get_origin(field.annotation) is Literal else ""
            metavar = choices or _METAVARS.get(name) or name.rpartition("_")[2].upper()
            parser.add_argument(given_as, dest=name, action=action, metavar=metavar, help=text)


def read_settings(options: argparse.Namespace) -> "tuple[Settings, Callable[[str], SecretStr | None]]":
    """Return what `parse_settings` does, from the options of a parser that takes the settings' flags.

    Raises:
        UsageError: A setting can't be used.
    """
    from runway_mcp.config.settings import Settings, SettingsError
    from runway_mcp.config.sources import find_key_in, load

    given = {name: value for name, value in vars(options).items() if name in Settings.model_fields}
    env_file: Path | None = options.env_file
    try:
        settings = load({name: value for name, value in given.items() if value is not None}, env_file)
        return settings, find_key_in(env_file)
    except SettingsError as error:
        raise UsageError(str(error)) from None
