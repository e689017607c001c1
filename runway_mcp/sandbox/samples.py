"""The tasks the sandbox begins with: one in every state, with ids that can be read aloud.

They run through the same lifecycle as any other task. Their ages count back from the first
request, so that whoever looks first finds the running ones a quarter done.
"""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.failures import failed
from runway_mcp.sandbox.lifecycle import LONG_QUEUE_MODEL, LONG_RUN_MODEL, Outcome, Sample, Script

_VIDEO = Outcome("SUCCEEDED", output=("video",))
_IMAGES = Outcome("SUCCEEDED", output=("image", "image"))
_AUDIO = Outcome("SUCCEEDED", output=("audio",))


def _sample(number: int, what: str, script: Script, *, age: float) -> Sample:
    return Sample(f"00000000-0000-4000-8000-{number:012}", what, script, age)


SAMPLES: Mapping[str, Sample] = MappingProxyType(
    {
        "pending": _sample(1, "PENDING for an hour", Script(LONG_QUEUE_MODEL, 25, _VIDEO, pending=3600), age=0),
        "running": _sample(2, "RUNNING, succeeds after a minute", Script("gen4_turbo", 25, _VIDEO, 5, 80), age=25),
        "running_long": _sample(
            3, "RUNNING for an hour, to be cancelled", Script(LONG_RUN_MODEL, 320, _VIDEO, 5, 4800), age=1205
        ),
        "throttled": _sample(
            4,
            "THROTTLED until the hour-long one ends or is cancelled",
            Script(LONG_RUN_MODEL, 320, _VIDEO),
            age=600,
        ),
        "succeeded_video": _sample(5, "SUCCEEDED with an MP4", Script("gen4.5", 60, _VIDEO), age=900),
        "succeeded_images": _sample(6, "SUCCEEDED with two PNGs", Script("gen4_image", 10, _IMAGES), age=840),
        "succeeded_audio": _sample(7, "SUCCEEDED with a WAV", Script("eleven_text_to_sound_v2", 2, _AUDIO), age=780),
        "failed_moderation": _sample(
            8,
            "FAILED: an input image was moderated, not refunded",
            Script("gen4_turbo", 25, failed("SAFETY.INPUT.IMAGE")),
            age=720,
        ),
        "failed_internal": _sample(
            9,
            "FAILED: the output was not good enough, refunded",
            Script("act_two", 25, failed("INTERNAL.BAD_OUTPUT.CODE01")),
            age=660,
        ),
        "cancelled": _sample(
            10, "CANCELLED while it ran", Script("gen4.5", 60, Outcome("CANCELLED"), running=10), age=540
        ),
    }
)
