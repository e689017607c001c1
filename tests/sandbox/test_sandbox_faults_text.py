"""A fault as a line of text: what it says, and what is none."""

from collections.abc import Callable
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.sandbox import Fault
from runway_mcp.sandbox.faults import Cut, Drip, Method, Mode, Word


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("GET 503 @2", Fault("GET", 503, "only", 2)),
        ("DELETE lost", Fault("DELETE", "lost")),
        ("POST truncated @3+", Fault("POST", "truncated", "from", 3)),
        ("ANY 2.5s @10n", Fault("ANY", timedelta(seconds=2.5), "every", 10)),
        ("  GET\t0.000001s\n", Fault("GET", timedelta(microseconds=1))),
        ("GET 0s @1+", Fault("GET", timedelta(0))),
        ("POST /storage 503 @1", Fault("POST", 503, "only", 1, "/storage")),
        ("GET /outputs 1000B", Fault("GET", Cut(1000), path="/outputs")),
        ("GET 0B @2n", Fault("GET", Cut(0), "every", 2)),
        ("ANY /v1/tasks 64B/s", Fault("ANY", Drip(64), path="/v1/tasks")),
    ],
)
def test_the_text_form_says_what_the_fault_is(text: str, fault: Fault) -> None:
    """Method, path, what, and which; blanks do not matter."""
    assert Fault.parse(text) == fault


_WORDS = st.sampled_from(get_args(Word))
_DELAYS = st.timedeltas(timedelta(0), timedelta(seconds=9999, microseconds=999_999))
_BYTES = st.builds(Cut, st.integers(0, 999_999_999)) | st.builds(Drip, st.integers(1, 999_999_999))


@given(
    st.builds(
        Fault,
        st.sampled_from([*get_args(Method), "ANY"]),
        st.integers(400, 599) | _DELAYS | _WORDS | _BYTES,
        st.sampled_from(get_args(Mode)),
        st.integers(1, 999_999),
        st.from_regex(r"(/[A-Za-z0-9._-]+)*", fullmatch=True),
    )
)
def test_every_fault_can_be_written_down(fault: Fault) -> None:
    """Its text form is read as the same fault."""
    assert Fault.parse(str(fault)) == fault


_PIECES = [
    *(
        "GET",
        "ANY",
        "/outputs",
        "/",
        "503",
        "2s",
        "5B",
        "/s",
        ".",
        "drop",
        "@",
        "2",
        "n",
        "+",
        "-1",
        " ",
        "\n",
        "٣",
        "nan",
    ),
    "9" * 5000,
]


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_a_fault_or_refused(text: str) -> None:
    """Nothing else is raised, and what was read reads the same again."""
    try:
        fault = Fault.parse(text)
    except ValueError as error:
        assert str(error).startswith("a fault reads METHOD [/PATH] WHAT [@N]")  # noqa: PT017 - most texts are refused, not all
    else:
        assert Fault.parse(str(fault)) == fault


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "GET",
            "503",
            "get 503",
            "HEAD 503",
            "GET 399",
            "GET 600",
            "GET 200",
            "GET 5030",
            "GET 503 2",
            "GET 503@2",
        ),
        *("GET 503 @0", "GET 503 @-1", "GET 503 @", "GET 503 @2x", "GET 503 @1000000", "GET 503 @2 drop", "GET ٤٠٤"),
        *("GET 2", "GET -2s", "GET .5s", "GET 10000s", "GET nans", "GET 1e3s", "GET dropped", "GET 503 @٢"),
        *("GET / 503", "GET /outputs/ 503", "GET outputs 503", "GET //x 503", "GET /a?b 503", "GET 503 /outputs"),
        *("GET 0B/s", "GET -1B", "GET 1000000000B", "GET 1kB", "GET 1.5B/s", "GET /outputs"),
    ],
)
def test_what_is_no_fault_is_refused(text: str) -> None:
    """The message shows what one looks like."""
    with pytest.raises(ValueError, match="such as"):
        Fault.parse(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault("GET", 200),
        lambda: Fault("GET", timedelta(seconds=-1)),
        lambda: Fault("GET", timedelta(days=1)),
        lambda: Fault("GET", "drop", "only", 0),
        lambda: Fault("GET", Drip(0)),
        lambda: Fault("GET", 503, path="outputs"),
    ],
)
def test_a_fault_out_of_range_can_not_be_made(make: Callable[[], Fault]) -> None:
    """What no text can say is no fault."""
    with pytest.raises(ValueError, match="such as"):
        make()
