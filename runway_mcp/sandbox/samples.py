"""The tasks the sandbox begins with: one in every state, with ids that can be read aloud.

Their ages count back from the first request, so whoever looks first finds the running ones a quarter done.
"""

from collections.abc import Mapping

from runway_mcp.sandbox.failures import failed
from runway_mcp.sandbox.lifecycle import LONG_QUEUE_MODEL, LONG_RUN_MODEL, Outcome, Sample, Script

_VIDEO = Outcome("SUCCEEDED", output=("mp4",))
_IMAGES = Outcome("SUCCEEDED", output=("png", "png"))
_AUDIO = Outcome("SUCCEEDED", output=("wav",))


_TASKS = {
    "pending": ("PENDING for an hour", 0, Script(LONG_QUEUE_MODEL, 25, _VIDEO, pending=3600)),
    "running": ("RUNNING, succeeds after a minute", 25, Script("gen4_turbo", 25, _VIDEO, 5, 80)),
    "running_long": ("RUNNING for an hour, to be cancelled", 1205, Script(LONG_RUN_MODEL, 320, _VIDEO, 5, 4800)),
    "throttled": ("THROTTLED until the hour-long one ends or is cancelled", 600, Script(LONG_RUN_MODEL, 320, _VIDEO)),
    "succeeded_video": ("SUCCEEDED with an MP4", 900, Script("gen4.5", 60, _VIDEO)),
    "succeeded_images": ("SUCCEEDED with two PNGs", 840, Script("gen4_image", 10, _IMAGES)),
    "succeeded_audio": ("SUCCEEDED with a WAV", 780, Script("eleven_text_to_sound_v2", 2, _AUDIO)),
    "failed_moderation": (
        "FAILED: an input image was moderated, not refunded",
        720,
        Script("gen4_turbo", 25, failed("SAFETY.INPUT.IMAGE")),
    ),
    "failed_internal": (
        "FAILED: the output was not good enough, refunded",
        660,
        Script("act_two", 25, failed("INTERNAL.BAD_OUTPUT.CODE01")),
    ),
    "cancelled": ("CANCELLED while it ran", 540, Script("gen4.5", 60, Outcome("CANCELLED"), running=10)),
}

SAMPLES: Mapping[str, Sample] = {
    name: Sample(f"00000000-0000-4000-8000-{number:012}", what, script, age)
    for number, (name, (what, age, script)) in enumerate(_TASKS.items(), 1)
}
