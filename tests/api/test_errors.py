"""The error tree and the one door through which upstream text enters it."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.api import errors
from runway_mcp.api.errors import QUOTE_LIMIT, RateLimitedError, RunwayError, quote


def test_the_tree_drawn_in_the_docstring_is_the_tree_there_is() -> None:
    classes = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, RunwayError)
    }
    drawing = (line.lstrip(" │├└─") for line in (errors.__doc__ or "").splitlines())
    assert {words[0] for line in drawing if (words := line.split()) and words[0].endswith("Error")} == classes


@given(st.text(alphabet=st.characters(), max_size=2000))
def test_a_quotation_is_one_bounded_printable_line(text: str) -> None:
    quoted = quote(text)
    assert len(quoted) <= QUOTE_LIMIT + 3
    assert quoted.isprintable()
    assert quoted.encode()
    assert quoted.count('"') == 2


@pytest.mark.parametrize(
    "query",
    [
        "_jwt={}",
        "a=1&_jwt%3D{}",
        "_jwt%253d{}&b=2",
        "X-Amz-Credential={}&x-amz-signature={}&X-Amz-Security-Token={}",
        "Policy={}&Signature={}&Key-Pair-Id={}",
        "AWSAccessKeyId={}&sig={}",
        "GoogleAccessId=me&X-Goog-Signature={}",
        "access_token={}",
    ],
)
def test_what_opens_a_url_is_hidden(query: str) -> None:
    shown = quote(f"No picture at https://cdn.example.com/a.jpg?{query.replace('{}', 'marked')} <b>for you</b>")
    assert "marked" not in shown
    assert shown.startswith('"No picture at https://cdn.example.com/a.jpg?')
    assert shown.count("[hidden]") == query.count("{}")
    assert shown.endswith(' <b>for you</b>"')


def test_the_text_of_an_error_is_its_data() -> None:
    error = RateLimitedError(status=429, quoted='"slow down"')
    error.attempts = 3
    assert str(error) == 'status 429, "slow down", 3 attempts'
    assert str(RunwayError()) == "RunwayError"
