"""Every sentence that a model or a person reads about an error, made from the data that the error carries.

Rooms below raise errors with data and no prose. Each room's words are registered here or, where a room is
loaded late, in a module beside this one that is loaded with it.
"""

from functools import singledispatch


@singledispatch
def explain(error: Exception) -> str:
    """Return what a reader is told of an error: what happened, what it did, and which call settles it.

    Raises:
        TypeError: The error's type has no words.
    """
    raise TypeError(f"{type(error).__name__} has no words") from error
