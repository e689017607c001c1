"""What makes a sound: from text, speech or a recording."""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.inputs.common import AUDIO, SEED, SPEAKERS, VIDEO
from runway_mcp.sandbox.inputs.rules import (
    ANYTHING_COUNTABLE,
    Field,
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

_SEED_AUDIO: Mapping[str, Field] = {
    "promptText": text(1, 2048),
    "speechRate": maybe(whole(-50, 100)),
    "loudnessRate": maybe(whole(-50, 100)),
    "pitchRate": maybe(whole(-12, 12)),
    "sampleRate": maybe(choice(8000, 16_000, 24_000, 32_000, 44_100, 48_000)),
    "outputFormat": maybe(choice("wav", "mp3", "ogg_opus")),
}
_VOICE = tagged("type", {"runway-preset": loose(presetId=SPEAKERS)})
_SHARE = number(0, 1)

SOUND_EFFECT: Mapping[str, Rule] = MappingProxyType(
    {
        "eleven_text_to_sound_v2": loose(promptText=text(1, 3000), duration=maybe(number(0.5, 30)), loop=maybe(flag)),
        "seed_audio": strict(**_SEED_AUDIO, referenceAudios=maybe(items(AUDIO, 3))),
    }
)

TEXT_TO_SPEECH: Mapping[str, Rule] = MappingProxyType(
    {
        "eleven_multilingual_v2": loose(promptText=text(1, 1000), voice=_VOICE),
        "eleven_v3": loose(
            promptText=text(1, 5000),
            voice=_VOICE,
            stability=maybe(_SHARE),
            similarityBoost=maybe(_SHARE),
            style=maybe(_SHARE),
            speed=maybe(number(0.7, 1.2)),
            useSpeakerBoost=maybe(flag),
            languageCode=maybe(text(2, 5)),
            applyTextNormalization=maybe(choice("auto", "on", "off")),
            seed=maybe(SEED),
        ),
        "seed_audio": strict(**_SEED_AUDIO, voice=maybe(tagged("type", {"reference-audio": loose(audioUri=AUDIO)}))),
    }
)

SPEECH_TO_SPEECH: Mapping[str, Rule] = MappingProxyType(
    {
        "eleven_multilingual_sts_v2": loose(
            media=tagged("type", {"audio": loose(uri=AUDIO), "video": loose(uri=VIDEO)}),
            voice=_VOICE,
            removeBackgroundNoise=maybe(flag),
        )
    }
)

_LANGUAGES = (
    *("en", "hi", "pt", "zh", "es", "fr", "de", "ja", "ar", "ru", "ko", "id", "it", "nl", "tr", "pl", "sv", "fil"),
    *("ms", "ro", "uk", "el", "cs", "da", "fi", "bg", "hr", "sk", "ta"),
)

VOICE_DUBBING: Mapping[str, Rule] = MappingProxyType(
    {
        "eleven_voice_dubbing": loose(
            audioUri=AUDIO,
            targetLang=choice(*_LANGUAGES),
            disableVoiceCloning=maybe(flag),
            dropBackgroundAudio=maybe(flag),
            numSpeakers=maybe(whole(1, ANYTHING_COUNTABLE)),
        )
    }
)

VOICE_ISOLATION: Mapping[str, Rule] = MappingProxyType({"eleven_voice_isolation": loose(audioUri=AUDIO)})
