"""The error tree and the one door through which upstream text enters it."""

import inspect

from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.api import errors
from runway_mcp.api.errors import QUOTE_LIMIT, RunwayError, quote


def test_the_tree_drawn_in_the_docstring_is_the_tree_there_is() -> None:
    """Every error class is drawn in the module's docstring, and nothing else is."""
    classes = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, RunwayError)
    }
    drawing = (line.lstrip(" │├└─") for line in (errors.__doc__ or "").splitlines())
    assert {words[0] for line in drawing if (words := line.split()) and words[0].endswith("Error")} == classes


@given(st.text(alphabet=st.characters(), max_size=2000))
def test_a_quotation_is_one_bounded_printable_line(text: str) -> None:
    """Whatever upstream says, its quotation is short, printable and can be encoded."""
    quoted = quote(text)
    assert len(quoted) <= QUOTE_LIMIT + 3
    assert quoted.isprintable()
    assert quoted.encode()
    assert quoted.count('"') == 2


def test_an_error_says_how_often_it_was_tried() -> None:
    """More than one attempt is part of the message; a single one is not."""
    error = RunwayError("No.")
    assert str(error) == "No."
    error.attempts = 3
    assert str(error) == "No. (3 attempts)"
