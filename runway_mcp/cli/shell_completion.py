"""Shell completion: its script for each shell, and the types, models, fields and task ids that it offers."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Literal

import anyio
from typer import Argument, Context
from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage] - what `--show-completion` prints

from runway_mcp.cli.main import COMPLETION
from runway_mcp.config.options import UsageError

EXAMPLES = {"completion": "runway-mcp completion fish > ~/.config/fish/completions/runway-mcp.fish"}
_NO_SPACE = "    [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n    return 0\n"

Candidates = Iterator[tuple[str, str]]


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish", "powershell"], Argument(show_default=False)],
) -> int:
    """Run `runway-mcp completion`."""
    script = get_completion_script(prog_name="runway-mcp", complete_var=COMPLETION, shell=shell)
    print(script.replace("    return 0\n", _NO_SPACE))  # bash ends a field's name with a space
    return 0


def complete_types() -> Candidates:
    """Yield the task types."""
    from runway_mcp.catalogue.lookup import task_types

    return ((name, kind.summary) for name, kind in task_types().items())


def complete_models(ctx: Context) -> Candidates:
    """Yield the models of the type that the command line names."""
    from runway_mcp.catalogue.lookup import find_type

    kind = find_type(ctx.params.get("type_name") or "")
    return ((name, model.purpose) for name, model in kind.models.items() if name) if kind else iter(())


def complete_fields(ctx: Context) -> Candidates:
    """Yield the fields, as `name=`, that the command line does not name yet."""
    from runway_mcp.cli.start_fields import schemas

    given = dict(word.partition("=")[::2] for word in ctx.params.get("fields") or ())
    offered = schemas(ctx.params.get("type_name") or "", given.get("model"))
    fields = {name: part for schema in offered for name, part in schema.get("properties", {}).items()}
    return ((f"{name}=", part.get("description", "")) for name, part in fields.items() if name not in given)


def complete_ids(ctx: Context) -> list[tuple[str, str]]:
    """Return the ids of the tasks that were started last; nothing is sent."""
    from runway_mcp.cli.task_session import Shell, latest_ids
    from runway_mcp.config.settings import SettingsError

    shell = Shell(bool(ctx.params.get("sandbox")), as_json=False, env_file=ctx.params.get("env_file"))
    with suppress(SettingsError, UsageError):
        return anyio.run(latest_ids, shell.settings({}))
    return []
