"""What the model routers take: an input that says what is wanted, and no model."""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.inputs.common import AUDIO, IMAGE, MODERATION, SEED, SPEAKERS, VIDEO, keyframes, references
from runway_mcp.sandbox.inputs.rules import (
    Rule,
    choice,
    flag,
    items,
    loose,
    maybe,
    number,
    strict,
    tagged,
    text,
    whole,
)

_ASPECTS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")


def _routed(given: Rule) -> Rule:
    return strict(configId=text(pattern=r"^[a-z][a-z0-9_-]{0,63}\Z"), input=given)


GENERATE: Mapping[str, Rule] = MappingProxyType(
    {
        "video": _routed(
            strict(
                promptText=maybe(text(1, 6000)),
                negativePrompt=maybe(text(0, 1000)),
                referenceImages=maybe(items(loose(uri=IMAGE, role=choice("first", "last", "reference")), 4)),
                referenceVideos=maybe(items(loose(uri=VIDEO, role=choice("source", "reference")), 2)),
                referenceAudio=maybe(items(loose(uri=AUDIO), 1)),
                keyframes=maybe(keyframes(0)),
                duration=maybe(whole(2, 30)),
                aspectRatio=maybe(choice(*_ASPECTS)),
                resolution=maybe(choice("480p", "720p", "1080p", "4k")),
                audio=maybe(flag),
                seed=maybe(SEED),
                contentModeration=maybe(MODERATION),
            )
        ),
        "image": _routed(
            strict(
                promptText=text(1, 32_000),
                referenceImages=maybe(references(IMAGE, 16)),
                aspectRatio=maybe(choice(*_ASPECTS, "2:3", "3:2", "4:5", "5:4")),
                resolution=maybe(choice("1k", "2k", "4k")),
                outputCount=maybe(whole(1, 10)),
                seed=maybe(SEED),
                contentModeration=maybe(MODERATION),
            )
        ),
        "audio": _routed(
            strict(
                type=choice("speech", "audio"),
                promptText=text(1, 5000),
                voice=maybe(
                    tagged("type", {"preset": strict(presetId=SPEAKERS), "reference-audio": strict(audioUri=AUDIO)})
                ),
                referenceAudios=maybe(references(AUDIO, 3)),
                duration=maybe(number(0.5, 30)),
                loop=maybe(flag),
            )
        ),
    }
)
