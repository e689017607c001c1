"""A sandbox that several processes share: its state in a SQLite file, read before each request and kept after it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

_LOCK_SECONDS = 60
_TABLE = "CREATE TABLE IF NOT EXISTS state (number INTEGER PRIMARY KEY, json TEXT NOT NULL)"


class StateFile:
    """Lets an app handle one request at a time, of all processes that use the file.

    Raises:
        sqlite3.Error: The file can't be used.
        ValueError: It holds something else.
    """

    def __init__(self, file: Path, load: Callable[[str], None], dump: Callable[[], str]) -> None:
        self._file, self._load, self._dump = file, load, dump
        self._turn = anyio.Lock()
        self._begin().close()

    def guard(self, app: ASGIApp) -> ASGIApp:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            async with self._turn:
                connection = await to_thread.run_sync(self._begin)
                with closing(connection):
                    await app(scope, receive, send)
                    connection.execute("REPLACE INTO state VALUES (1, ?)", (self._dump(),))
                    connection.execute("COMMIT")

        return handle

    def _begin(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # what a power failure takes away was not real
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLE)
            if row := connection.execute("SELECT json FROM state").fetchone():
                self._load(row[0])
        except BaseException:
            connection.close()
            raise
        return connection
