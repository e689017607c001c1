"""A fault as a line of text: what it says, and what is none."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.sandbox import Fault
from runway_mcp.sandbox.faults import Cut, Drip


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("GET 503 @2", Fault("GET", 503, "only", 2)),
        ("DELETE lost", Fault("DELETE", "lost")),
        ("POST truncated @3+", Fault("POST", "truncated", "from", 3)),
        ("ANY 2.5s @10n", Fault("ANY", timedelta(seconds=2.5), "every", 10)),
        ("  GET\t0.000001s\n", Fault("GET", timedelta(microseconds=1))),
        ("POST /storage 503 @1", Fault("POST", 503, "only", 1, "/storage")),
        ("GET /outputs 0B", Fault("GET", Cut(0), path="/outputs")),
        ("ANY /v1/tasks 64B/s", Fault("ANY", Drip(64), path="/v1/tasks")),
    ],
)
def test_the_text_form_says_what_the_fault_is(text: str, fault: Fault) -> None:
    assert Fault.parse(text) == fault


_REFUSED = [
    *("", "GET", "503", "get 503", "HEAD 503", "GET 399", "GET 600", "GET 5030", "GET 503 2", "GET 503@2"),
    *("GET 503 @0", "GET 503 @", "GET 503 @2x", "GET 503 @1000000", "GET 503 @2 drop", "GET ٤٠٤", "GET 503 @٢"),
    *("GET 2", "GET -2s", "GET .5s", "GET 10000s", "GET nans", "GET 1e3s", "GET dropped", "GET /outputs"),
    *("GET / 503", "GET /outputs/ 503", "GET outputs 503", "GET //x 503", "GET /a?b 503", "GET 503 /outputs"),
    *("GET 0B/s", "GET -1B", "GET 1000000000B", "GET 1kB", "GET 1.5B/s"),
]
_PIECES = [
    *("GET", "ANY", "/outputs", "/", "503", "2s", "5B", "/s", "drop", "@", "2", "n", "+", "-1", " ", "\n", "9" * 5000)
]


@pytest.mark.parametrize("text", _REFUSED)
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        Fault.parse(text)


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_a_fault_or_refused(text: str) -> None:
    try:
        Fault.parse(text)
    except ValueError as error:
        assert str(error).startswith("a fault reads METHOD [/PATH] WHAT [@N]")  # noqa: PT017 - most texts are refused, not all
