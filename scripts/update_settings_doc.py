"""Write docs/settings.md from the settings themselves: `uv run python scripts/update_settings_doc.py`."""

from pathlib import Path

from runway_mcp.config.settings import Settings, flag, variables

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """# Settings

Precedence: flag, environment variable, line of the file that `--env-file PATH` names. No `.env` file is read unless
named. `runway-mcp --help` shows the same table.

Without a key the server starts and lists its tools; each call then says which variable to set. The key has no flag,
because others on the machine can read a process's arguments. White space around the key is ignored. A key in quotation
marks, or a placeholder such as `${RUNWAYML_API_SECRET}` that the host did not expand, is refused at the start.

Choices such as `--log-level DEBUG` may be written in any case. Separate the values of a repeatable setting by commas
in its variable; separate the folders of `RUNWAY_MCP_FILES_ROOT` as in `PATH`.

The server takes a proxy from `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` exempts the host. A proxy is an
`http://` or `https://` URL; a variable that does not apply is no matter. Certificates come from the operating system's
trust store (or `SSL_CERT_FILE`, `SSL_CERT_DIR`).

| flag | variable | default | meaning |
|---|---|---|---|
"""


def page() -> str:
    """Return the whole page: a row for each setting, in order."""
    rows: list[str] = []
    for name, field in Settings.model_fields.items():
        default = {"None": "none", "False": "off", "()": "none"}.get(str(field.default), f"`{field.default}`")
        option = flag(name)
        named = ", else ".join(f"`{variable}`" for variable in variables(name))
        rows.append(f"| {f'`{option}`' if option else 'none'} | {named} | {default} | {field.description} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
