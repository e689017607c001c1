"""Where the settings have the history kept."""

from pathlib import Path

from runway_mcp.config.sources import load
from runway_mcp.wiring.core import HISTORY, history_place

URL = "postgresql://db/films"


def test_the_history_is_a_file_a_database_or_in_memory(tmp_path: Path) -> None:
    settings = load({"state_dir": tmp_path, "history": URL})
    assert history_place(settings) == settings.history
    assert history_place(load({"state_dir": tmp_path})) == tmp_path / HISTORY
    assert history_place(load({"sandbox": True, "history": URL})) is None
