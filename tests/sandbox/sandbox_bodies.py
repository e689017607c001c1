"""A small valid create request for every model of every endpoint: the catalogue's examples."""

from collections.abc import Iterator
from typing import Any

from runway_mcp.catalogue.lookup import Model, TaskType, task_types

Body = dict[str, Any]

IMAGE, VIDEO, AUDIO = (f"https://example.com/a.{suffix}" for suffix in ("png", "mp4", "mp3"))

BY_PATH = {kind.endpoint: kind for kind in task_types().values()}


def bodies(*, documented_only: bool = False) -> Iterator[tuple[str, Body]]:
    for path, kind in BY_PATH.items():
        for model in kind.models.values():
            if model.documented or not documented_only:
                yield path, dict(model.example)


def body_for(path: str, **changed: object) -> Body:
    """A valid body for an endpoint's recommended model, or the one in `changed`, with these changes."""
    kind = BY_PATH[path]
    return {**_model(kind, changed.get("model")).example, **changed}


def _model(kind: TaskType, name: object) -> Model:
    return kind.models[str(name) if name else kind.recommended or next(iter(kind.models))]
