"""What the sandbox can create, and within which limits: facts of the API's description as one table.

Which models an endpoint takes and how it answers are the API's; the credits are plausible fixed
figures, one per endpoint, and the limits those of an invented small tier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from runway_mcp.sandbox.media import Kind


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST endpoint that starts a task.

    ``models`` are the models it takes, the first being the one assumed when a request names none.
    ``reply`` is the form of its answer: ``priced`` is the id with the estimated cost, ``bare`` the
    id alone, ``routed`` the id with the model router's decision.
    """

    kind: Kind
    credits: int
    models: tuple[str, ...]
    reply: Literal["priced", "bare", "routed"] = "priced"


_SEEDANCE = ("seedance2", "seedance2_fast", "seedance2_mini", "seedance2_5")
_TEXT_TO_VIDEO = (
    "gen4.5",
    "veo3.1",
    "veo3.1_fast",
    "hailuo3",
    "happyhorse_1_0",
    "gemini_omni_flash",
    *_SEEDANCE,
)
_TEXT_TO_IMAGE = (
    "gen4_image",
    "gen4_image_turbo",
    "gpt_image_2",
    "gemini_image3_pro",
    "gemini_image3.1_flash",
    "gemini_2.5_flash",
    "seedream5_pro",
    "seedream5_lite",
)
_TEXT_TO_SPEECH = ("eleven_multilingual_v2", "eleven_v3", "seed_audio")

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/text_to_video": Endpoint("video", 60, _TEXT_TO_VIDEO),
        "/v1/image_to_video": Endpoint("video", 25, ("gen4_turbo", *_TEXT_TO_VIDEO)),
        "/v1/video_to_video": Endpoint("video", 75, ("aleph2", "hailuo3", "gemini_omni_flash", *_SEEDANCE)),
        "/v1/text_to_image": Endpoint("image", 5, _TEXT_TO_IMAGE),
        "/v1/image_upscale": Endpoint("image", 10, ("magnific_precision_upscaler_v2",)),
        "/v1/video_upscale": Endpoint("video", 10, ("magnific_video_upscaler_creative",)),
        "/v1/character_performance": Endpoint("video", 25, ("act_two",)),
        "/v1/sound_effect": Endpoint("audio", 2, ("eleven_text_to_sound_v2", "seed_audio")),
        "/v1/speech_to_speech": Endpoint("audio", 2, ("eleven_multilingual_sts_v2",)),
        "/v1/text_to_speech": Endpoint("audio", 1, _TEXT_TO_SPEECH),
        "/v1/voice_dubbing": Endpoint("audio", 4, ("eleven_voice_dubbing",)),
        "/v1/voice_isolation": Endpoint("audio", 1, ("eleven_voice_isolation",)),
        "/v1/avatar_videos": Endpoint("video", 10, ("gwm1_avatars",), "bare"),
        "/v1/generate/video": Endpoint("video", 60, ("gen4.5",), "routed"),
        "/v1/generate/image": Endpoint("image", 5, ("gen4_image",), "routed"),
        "/v1/generate/audio": Endpoint("audio", 1, ("eleven_v3",), "routed"),
        "/v1/recipes/ad_localization": Endpoint("image", 20, ("ad_localization",)),
        "/v1/recipes/marketing_stock_image": Endpoint("image", 10, ("marketing_stock_image",)),
        "/v1/recipes/multi_shot_video": Endpoint("video", 150, ("multi_shot_video",)),
        "/v1/recipes/product_ad": Endpoint("video", 120, ("product_ad",)),
        "/v1/recipes/product_campaign_image": Endpoint("image", 20, ("product_campaign_image",)),
        "/v1/recipes/product_swap": Endpoint("video", 120, ("product_swap",)),
        "/v1/recipes/product_ugc": Endpoint("video", 120, ("product_ugc",)),
    }
)

# no endpoint takes these any more, so the samples that hold a slot for an hour use them
LONG_QUEUE_MODEL, LONG_RUN_MODEL = "gen3a_turbo", "veo3"

MODELS = tuple(sorted({LONG_QUEUE_MODEL, LONG_RUN_MODEL, *(m for one in ENDPOINTS.values() for m in one.models)}))

OPENING_BALANCE = 100_000
MONTHLY_SPEND = 100_000
DAILY_GENERATIONS = 1_000


def concurrency(model: str) -> int:
    """How many generations of a model may be PENDING or RUNNING at once."""
    return 1 if model == LONG_RUN_MODEL else 2
