"""Advice on failure codes."""

import pytest

from runway_mcp.tasks.failure_advice import advice


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SAFETY.INPUT.IMAGE", "by its code an image and not the text. It is not refunded"),
        ("SAFETY.INPUT.TEXT", "by its code the text and no image."),
        ("SAFETY.INPUT.VIDEO.FRAME", "by its code a video and not the text."),
        ("SAFETY.INPUT.AUDIO", "by its code a sound and not the text."),
        ("SAFETY.INPUT.NEW", "Moderation refused an input."),
        ("SAFETY.INPUT", "account suspended"),
        ("SAFETY.OUTPUT", "Moderation refused what was generated"),
        ("SAFETY.OUTPUT.VIDEO", "Moderation refused what was generated"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT", "by its code the text and no image"),
        ("INPUT_PREPROCESSING.SAFETY.TEXT.NEW.PART", "by its code the text and no image"),
        ("ASSET.INVALID.DIMENSIONS", "An input file does not meet the requirements"),
        ("INTERNAL.BAD_OUTPUT", "logos, watermarks"),
        ("INTERNAL.BAD_OUTPUT.CODE01", "logos, watermarks"),
        ("INTERNAL.BAD_OUTPUT_NEW", "on Runway's side"),
        ("INPUT_PREPROCESSING.INTERNAL", "after a delay"),
        ("INTERNAL", "after a delay"),
        ("INTERNAL.SOMETHING", "after a delay"),
        ("THIRD_PARTY.UNAVAILABLE.X", "later, not at once"),
        ("SAFETY", "Never start it again unchanged"),
        ("SAFETY.NEW", "Never start it again unchanged"),
        ("INPUT_PREPROCESSING.SAFETY.IMAGE", "an image and not the text. The same input will be refused"),
        ("INPUT_PREPROCESSING.NEW", "not known here; the failure text says more"),
        ("NEVER.HEARD.OF", "not known here; the failure text says more"),
        ("", "after a delay"),
        (None, "after a delay"),
    ],
)
def test_advice_goes_by_the_longest_known_prefix(code: str | None, words: str) -> None:
    """No advice leads to a second purchase unsaid: where a retry may help, its price is told."""
    assert words in advice(code)
    assert ("a new task with its own price" in advice(code)) == (not (code or "").startswith("SAFETY.INPUT"))
