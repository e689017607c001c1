"""A small valid create request for every model of every endpoint, each endpoint's first being what tests start."""

from collections.abc import Iterator, Mapping
from typing import Any

Body = dict[str, Any]

IMAGE, VIDEO, AUDIO = (f"https://example.com/a.{suffix}" for suffix in ("png", "mp4", "mp3"))
_PRESET = {"type": "runway-preset", "presetId": "Maya"}
_RAIN: Body = {"promptText": "rain"}
_WIDE: Body = {"promptText": "rain", "ratio": "1280:720"}
_RECIPE: Body = {"version": "2026-06"}
_FROM_IMAGE: Body = {"promptImage": IMAGE}
_FROM_VIDEO: Body = {"promptVideo": VIDEO}
_SEEDANCE = ("seedance2", "seedance2_fast", "seedance2_mini", "seedance2_5")


def _alike(body: Body, *models: str) -> dict[str, Body]:
    return dict.fromkeys(models, body)


BY_MODEL: Mapping[str, Mapping[str, Body]] = {
    "/v1/text_to_video": {
        "gen4.5": {**_WIDE, "duration": 5},
        "veo3.1": _WIDE,
        "veo3.1_fast": _WIDE,
        **_alike(_RAIN, "hailuo3", "happyhorse_1_0", "gemini_omni_flash", *_SEEDANCE),
        "seedance2_5": {},
    },
    "/v1/image_to_video": {
        "gen4_turbo": {**_FROM_IMAGE, "ratio": "1280:720"},
        "gen4.5": {**_FROM_IMAGE, **_WIDE, "duration": 5},
        "veo3.1": {**_FROM_IMAGE, "ratio": "1280:720"},
        "veo3.1_fast": {**_FROM_IMAGE, "ratio": "1280:720"},
        "hailuo3": {**_FROM_IMAGE, **_RAIN},
        **_alike(_FROM_IMAGE, "happyhorse_1_0", "gemini_omni_flash", *_SEEDANCE),
    },
    "/v1/video_to_video": {
        "aleph2": {"videoUri": VIDEO},
        "hailuo3": {**_FROM_VIDEO, **_RAIN},
        "gemini_omni_flash": {"videoUri": VIDEO, **_RAIN},
        **_alike(_FROM_VIDEO, *_SEEDANCE),
    },
    "/v1/text_to_image": {
        "gen4_image": _WIDE,
        "gen4_image_turbo": {**_WIDE, "referenceImages": [{"uri": IMAGE}]},
        "gpt_image_2": {**_RAIN, "ratio": "auto"},
        **_alike(
            {**_RAIN, "ratio": "1024:1024"},
            *("gemini_image3_pro", "gemini_image3.1_flash", "gemini_2.5_flash", "seedream5_pro"),
        ),
        "seedream5_lite": {**_RAIN, "ratio": "2048:2048"},
    },
    "/v1/image_upscale": {"magnific_precision_upscaler_v2": {"imageUri": IMAGE}},
    "/v1/video_upscale": {"magnific_video_upscaler_creative": {"videoUri": VIDEO}},
    "/v1/character_performance": {
        "act_two": {"character": {"type": "image", "uri": IMAGE}, "reference": {"type": "video", "uri": VIDEO}}
    },
    "/v1/sound_effect": _alike(_RAIN, "eleven_text_to_sound_v2", "seed_audio"),
    "/v1/speech_to_speech": {
        "eleven_multilingual_sts_v2": {"media": {"type": "audio", "uri": AUDIO}, "voice": _PRESET}
    },
    "/v1/text_to_speech": {
        "eleven_multilingual_v2": {**_RAIN, "voice": _PRESET},
        "eleven_v3": {**_RAIN, "voice": _PRESET},
        "seed_audio": _RAIN,
    },
    "/v1/voice_dubbing": {"eleven_voice_dubbing": {"audioUri": AUDIO, "targetLang": "en"}},
    "/v1/voice_isolation": {"eleven_voice_isolation": {"audioUri": AUDIO}},
    "/v1/avatar_videos": {
        "gwm1_avatars": {
            "avatar": {"type": "runway-preset", "presetId": "tennis-coach"},
            "speech": {"type": "text", "text": "hello"},
        }
    },
}

UNDOCUMENTED: Mapping[str, Mapping[str, Body]] = {
    "/v1/lip_sync": _alike({"input": IMAGE, "audio": AUDIO}, "gen4", "gen4_turbo"),
    "/v1/frame_interpolation": {"frame_interpolation_v1": {"videoUri": VIDEO}},
}

WITHOUT_MODEL: Mapping[str, Body] = {
    "/v1/generate/video": {"configId": "router", "input": _RAIN},
    "/v1/generate/image": {"configId": "router", "input": _RAIN},
    "/v1/generate/audio": {"configId": "router", "input": {"type": "speech", **_RAIN}},
    "/v1/recipes/ad_localization": {**_RECIPE, "referenceImage": {"uri": IMAGE}, "targetLanguage": "en"},
    "/v1/recipes/marketing_stock_image": {**_RECIPE, "prompt": "rain"},
    "/v1/recipes/multi_shot_video": {**_RECIPE, "mode": "auto", "prompt": "rain"},
    "/v1/recipes/product_ad": {**_RECIPE, "productImages": [{"uri": IMAGE}]},
    "/v1/recipes/product_campaign_image": {**_RECIPE, "image": {"uri": IMAGE}, "prompt": "rain"},
    "/v1/recipes/product_swap": {
        **_RECIPE,
        "referenceVideo": {"uri": VIDEO},
        "originalProductImage": {"uri": IMAGE},
        "newProductImages": [{"uri": IMAGE}],
    },
    "/v1/recipes/product_ugc": {**_RECIPE, "characterImage": {"uri": IMAGE}, "productImage": {"uri": IMAGE}},
}


def bodies(*, documented_only: bool = False) -> Iterator[tuple[str, Body]]:
    """Every endpoint's path with a body for each of its models."""
    models = BY_MODEL if documented_only else {**BY_MODEL, **UNDOCUMENTED}
    for path, by_model in models.items():
        yield from ((path, {"model": model, **body}) for model, body in by_model.items())
    yield from WITHOUT_MODEL.items()


def body_for(path: str, **changed: object) -> Body:
    """A valid body for an endpoint, with some fields changed or added; another ``model`` brings its own body."""
    if path in WITHOUT_MODEL:
        return {**WITHOUT_MODEL[path], **changed}
    models = {**BY_MODEL, **UNDOCUMENTED}[path]
    model = str(changed.get("model", next(iter(models))))
    return {"model": model, **models[model], **changed}
