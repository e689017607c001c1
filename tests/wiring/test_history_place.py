"""Where the settings have the history kept."""

from pathlib import Path

from runway_mcp.config.sources import load
from runway_mcp.wiring.core import HISTORY, build_core, history_place

URL = "postgresql://db/films"


def test_the_history_is_a_file_a_database_or_in_memory(tmp_path: Path) -> None:
    settings = load({"state_dir": tmp_path, "history": URL})
    assert history_place(settings) == settings.history
    assert history_place(load({"state_dir": tmp_path})) == tmp_path / HISTORY
    assert history_place(load({"sandbox": True, "history": URL})) is None


def test_only_replicas_over_a_database_and_http_exchange_counts(tmp_path: Path) -> None:
    for transport, history, exchanges in (
        ("streamable-http", URL, True),
        ("streamable-http", None, False),
        ("stdio", URL, False),
    ):
        given = {"transport": transport, "state_dir": tmp_path} | ({"history": history} if history else {})
        callers = build_core(load(given), lambda _: None).callers
        assert (callers.counts is not None, callers.database is not None) == (exchanges, history is not None)
