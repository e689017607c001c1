"""The words of errors: each type has its own."""

import pytest

from runway_mcp.mcp_server.messages import explain


def test_an_error_without_words_is_a_fault_of_ours() -> None:
    """It is never told as something else."""
    with pytest.raises(TypeError, match="KeyError has no words"):
        explain(KeyError("x"))
