"""What makes a video: from text, an image, a video or a performance, and larger."""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.inputs.common import (
    AUDIO,
    IMAGE,
    MODERATION,
    SEED,
    UUID,
    VIDEO,
    keyframes,
    references,
    typed,
)
from runway_mcp.sandbox.inputs.rules import (
    Field,
    Rule,
    anything,
    choice,
    either,
    flag,
    items,
    loose,
    maybe,
    strict,
    tagged,
    text,
    whole,
)

_WIDE_OR_TALL = ("1280:720", "720:1280")
_SIX_SHAPES = (*_WIDE_OR_TALL, "1104:832", "960:960", "832:1104", "1584:672")
_ASPECTS = ("21:9", "16:9", "4:3", "1:1", "3:4", "9:16")
_SEEDANCE_480 = ("992:432", "864:496", "752:560", "640:640", "560:752", "496:864")
_SEEDANCE_720 = ("1470:630", "1280:720", "1112:834", "960:960", "834:1112", "720:1280")
_SEEDANCE_1080 = ("2206:946", "1920:1080", "1664:1248", "1440:1440", "1248:1664", "1080:1920")
_SEEDANCE_4K = ("3840:1646", "3840:2160", "3840:2880", "3840:3840", "2880:3840", "2160:3840")
_SEEDANCE_5 = ("992:432", "854:480", "752:560", "640:640", "560:752", "480:854", *_SEEDANCE_720)
_HAPPYHORSE = (
    *(*_WIDE_OR_TALL, "960:960", "1108:832", "832:1108"),
    *("1920:1080", "1080:1920", "1440:1440", "1662:1248", "1248:1662"),
)

_PROMPT = text(1, 1000)
_SEEDANCE_PROMPT = text(1, 3500)


def _placed(*positions: str, most: int = 1) -> Rule:
    """An image, or a list of images that each say where in the video they stand."""
    return either(IMAGE, items(loose(uri=IMAGE, position=choice(*positions)), most, least=1))


_FIRST = _placed("first")
_FIRST_OR_LAST = _placed("first", "last", most=2)
_FRAMES_OR_REFERENCES = either(IMAGE, items(loose(uri=IMAGE, position=maybe(choice("first", "last")))))

_MASTER: Mapping[str, Field] = {
    "contentModeration": maybe(MODERATION),
    "outputFormat": maybe(choice("mp4", "prores", "png_sequence")),
    "proresProfile": maybe(choice("422", "4444", "422 Proxy", "422 LT", "422 HQ", "4444 XQ")),
}
_VEO: Mapping[str, Field] = {
    "ratio": choice(*_WIDE_OR_TALL, "1080:1920", "1920:1080"),
    "audio": maybe(flag),
    "negativePrompt": maybe(_PROMPT),
    "duration": maybe(choice(4, 6, 8)),
}
_HAILUO: Mapping[str, Field] = {
    "promptText": text(1, 6000),
    "resolution": maybe(choice("2K", "768P")),
    "duration": maybe(whole(5, 15)),
    "ratio": maybe(choice("adaptive", *_ASPECTS)),
    "referenceAudio": maybe(typed("audio", AUDIO, 3, closed=True)),
}


def _hailuo_references(videos: int) -> Mapping[str, Field]:
    return {
        "references": maybe(references(IMAGE, 9)),
        "referenceVideos": maybe(typed("video", VIDEO, videos, closed=True)),
    }


def _seedance(*ratios: str, longest: int = 15, sounds: int = 3) -> Mapping[str, Field]:
    return {
        "audio": maybe(flag),
        "duration": maybe(whole(4, longest)),
        "ratio": maybe(choice(*ratios)),
        "referenceAudio": maybe(typed("audio", AUDIO, sounds)),
    }


def _seedance_references(images: int = 9, videos: int = 3) -> Mapping[str, Field]:
    return {
        "references": maybe(references(IMAGE, images)),
        "referenceVideos": maybe(typed("video", VIDEO, videos)),
    }


_SEEDANCE_2 = _seedance(*_SEEDANCE_480, *_SEEDANCE_720, *_SEEDANCE_1080, *_SEEDANCE_4K)
_SEEDANCE_2_SMALL = _seedance(*_SEEDANCE_480, *_SEEDANCE_720)
_SEEDANCE_2_5 = _seedance(*_SEEDANCE_5, longest=30, sounds=10)

TEXT_TO_VIDEO: Mapping[str, Rule] = MappingProxyType(
    {
        "gen4.5": loose(
            promptText=_PROMPT, ratio=choice(*_WIDE_OR_TALL), duration=whole(2, 10), seed=maybe(SEED), **_MASTER
        ),
        "veo3.1": loose(promptText=_PROMPT, **_VEO),
        "veo3.1_fast": loose(promptText=_PROMPT, **_VEO),
        "hailuo3": strict(**_HAILUO, **_hailuo_references(videos=3)),
        "happyhorse_1_0": strict(
            promptText=text(2, 2500), duration=maybe(whole(3, 15)), ratio=maybe(choice(*_HAPPYHORSE))
        ),
        "gemini_omni_flash": loose(
            promptText=text(1, 4000), ratio=maybe(choice(*_WIDE_OR_TALL)), duration=maybe(whole(3, 10))
        ),
        "seedance2": strict(promptText=_SEEDANCE_PROMPT, **_SEEDANCE_2, **_seedance_references()),
        "seedance2_fast": strict(promptText=_SEEDANCE_PROMPT, **_SEEDANCE_2_SMALL, **_seedance_references()),
        "seedance2_mini": strict(promptText=_SEEDANCE_PROMPT, **_SEEDANCE_2_SMALL, **_seedance_references()),
        "seedance2_5": strict(
            promptText=maybe(text(1, 15_000)), **_SEEDANCE_2_5, **_seedance_references(images=30, videos=10)
        ),
    }
)


def _seedance_from_image(longest_prompt: int, fields: Mapping[str, Field]) -> Rule:
    return strict(promptImage=_FRAMES_OR_REFERENCES, promptText=maybe(text(1, longest_prompt)), **fields)


IMAGE_TO_VIDEO: Mapping[str, Rule] = MappingProxyType(
    {
        "gen4_turbo": loose(
            promptImage=_FIRST,
            ratio=choice(*_SIX_SHAPES),
            promptText=maybe(_PROMPT),
            duration=maybe(whole(2, 10)),
            seed=maybe(SEED),
            contentModeration=maybe(MODERATION),
        ),
        "gen4.5": loose(
            promptImage=_FIRST,
            promptText=_PROMPT,
            ratio=choice(*_SIX_SHAPES),
            duration=whole(2, 10),
            seed=maybe(SEED),
            **_MASTER,
        ),
        "veo3.1": loose(promptImage=_FIRST_OR_LAST, promptText=maybe(_PROMPT), **_VEO),
        "veo3.1_fast": loose(promptImage=_FIRST_OR_LAST, promptText=maybe(_PROMPT), **_VEO),
        "hailuo3": strict(promptImage=either(IMAGE, items(anything, 9, least=1)), **_HAILUO),
        "happyhorse_1_0": strict(
            promptImage=_FIRST,
            promptText=maybe(text(2, 2500)),
            resolution=maybe(choice("720P", "1080P")),
            duration=maybe(whole(3, 15)),
        ),
        "gemini_omni_flash": loose(
            promptImage=_FIRST,
            promptText=maybe(text(1, 4000)),
            ratio=maybe(choice(*_WIDE_OR_TALL)),
            duration=maybe(whole(3, 10)),
        ),
        "seedance2": _seedance_from_image(3500, _SEEDANCE_2),
        "seedance2_fast": _seedance_from_image(3500, _SEEDANCE_2_SMALL),
        "seedance2_mini": _seedance_from_image(3500, _SEEDANCE_2_SMALL),
        "seedance2_5": _seedance_from_image(15_000, _SEEDANCE_2_5),
    }
)


def _seedance_from_video(fields: Mapping[str, Field]) -> Rule:
    return strict(promptVideo=VIDEO, promptText=maybe(_SEEDANCE_PROMPT), **fields, **_seedance_references())


VIDEO_TO_VIDEO: Mapping[str, Rule] = MappingProxyType(
    {
        "aleph2": strict(
            videoUri=VIDEO,
            promptText=maybe(_PROMPT),
            keyframes=maybe(keyframes(1)),
            seed=maybe(SEED),
            ratio=maybe(text()),
            targetAspectRatio=maybe(choice(*_ASPECTS, "3:2", "2:3")),
            **_MASTER,
        ),
        "hailuo3": strict(promptVideo=VIDEO, **_HAILUO, **_hailuo_references(videos=2)),
        "gemini_omni_flash": strict(videoUri=VIDEO, promptText=text(1, 4000), references=maybe(references(IMAGE, 5))),
        "seedance2": _seedance_from_video(_SEEDANCE_2),
        "seedance2_fast": _seedance_from_video(_SEEDANCE_2_SMALL),
        "seedance2_mini": _seedance_from_video(_SEEDANCE_2_SMALL),
        "seedance2_5": strict(
            promptVideo=VIDEO,
            promptText=maybe(text(1, 15_000)),
            mode=maybe(choice("reference", "extend")),
            **_SEEDANCE_2_5,
            **_seedance_references(images=30, videos=9),
        ),
    }
)

_PERCENT = whole(0, 100)

VIDEO_UPSCALE: Mapping[str, Rule] = MappingProxyType(
    {
        "magnific_video_upscaler_creative": strict(
            videoUri=VIDEO,
            resolution=maybe(choice("720p", "1k", "2k", "4k")),
            creativity=maybe(_PERCENT),
            sharpen=maybe(_PERCENT),
            smartGrain=maybe(_PERCENT),
            flavor=maybe(choice("vivid", "natural")),
            fpsBoost=maybe(flag),
        )
    }
)

CHARACTER_PERFORMANCE: Mapping[str, Rule] = MappingProxyType(
    {
        "act_two": loose(
            character=tagged("type", {"image": loose(uri=IMAGE), "video": loose(uri=VIDEO)}),
            reference=tagged("type", {"video": loose(uri=VIDEO)}),
            seed=maybe(SEED),
            bodyControl=maybe(flag),
            expressionIntensity=maybe(whole(1, 5)),
            ratio=maybe(choice(*_SIX_SHAPES)),
            contentModeration=maybe(MODERATION),
        )
    }
)

_AVATARS = choice(
    *("game-character", "music-superstar", "game-character-man", "cat-character", "influencer", "tennis-coach"),
    *("human-resource", "fashion-designer", "cooking-teacher"),
)
_AVATAR_VOICES = choice(
    *("victoria", "vincent", "clara", "drew", "skye", "max", "morgan", "felix", "mia", "marcus", "summer", "ruby"),
    *("aurora", "jasper", "leo", "adrian", "nina", "emma", "blake", "david", "maya", "nathan", "sam", "georgia"),
    *("petra", "adam", "zach", "violet", "roman", "luna"),
)

AVATAR_VIDEOS: Mapping[str, Rule] = MappingProxyType(
    {
        "gwm1_avatars": strict(
            avatar=tagged("type", {"runway-preset": loose(presetId=_AVATARS), "custom": loose(avatarId=UUID)}),
            speech=tagged(
                "type",
                {
                    "audio": loose(audio=AUDIO),
                    "text": loose(
                        text=text(1, 5000),
                        voice=maybe(
                            tagged("type", {"preset": loose(presetId=_AVATAR_VOICES), "custom": loose(id=UUID)})
                        ),
                    ),
                },
            ),
        )
    }
)

# Not in the API's description, which would answer them with a 404; the fields are another source's.
LIP_SYNC: Mapping[str, Rule] = MappingProxyType(
    {model: loose(input=either(IMAGE, VIDEO), audio=AUDIO) for model in ("gen4", "gen4_turbo")}
)
FRAME_INTERPOLATION: Mapping[str, Rule] = MappingProxyType({"frame_interpolation_v1": loose(videoUri=VIDEO)})
