"""What the sandbox can create, and within which limits: facts of the API's description as one table.

Which bodies an endpoint takes and how it answers are the API's; the limits are those of an invented
small tier.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from runway_mcp.sandbox.inputs import audio, image, recipes, routed, video
from runway_mcp.sandbox.inputs.rules import Rule, tagged
from runway_mcp.sandbox.media import Kind


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One POST endpoint that starts a task.

    ``rule`` is what a request's body must keep, ``models`` are the models it takes, the first being
    the one used where a request names none. ``reply`` is the form of its answer: ``priced`` is the id
    with the estimated cost, ``bare`` the id alone, ``routed`` the id with the model router's decision.
    An endpoint that is not ``documented`` is none of the API's.
    """

    kind: Kind
    rule: Rule
    models: tuple[str, ...]
    reply: Literal["priced", "bare", "routed"] = "priced"
    documented: bool = True


def _of_models(
    kind: Kind, models: Mapping[str, Rule], *, reply: Literal["priced", "bare"] = "priced", documented: bool = True
) -> Endpoint:
    return Endpoint(kind, tagged("model", models), tuple(models), reply, documented)


_RECIPE_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "ad_localization": "image",
        "marketing_stock_image": "image",
        "multi_shot_video": "video",
        "product_ad": "video",
        "product_campaign_image": "image",
        "product_swap": "video",
        "product_ugc": "video",
    }
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/text_to_video": _of_models("video", video.TEXT_TO_VIDEO),
        "/v1/image_to_video": _of_models("video", video.IMAGE_TO_VIDEO),
        "/v1/video_to_video": _of_models("video", video.VIDEO_TO_VIDEO),
        "/v1/text_to_image": _of_models("image", image.TEXT_TO_IMAGE),
        "/v1/image_upscale": _of_models("image", image.IMAGE_UPSCALE),
        "/v1/video_upscale": _of_models("video", video.VIDEO_UPSCALE),
        "/v1/character_performance": _of_models("video", video.CHARACTER_PERFORMANCE),
        "/v1/sound_effect": _of_models("audio", audio.SOUND_EFFECT),
        "/v1/speech_to_speech": _of_models("audio", audio.SPEECH_TO_SPEECH),
        "/v1/text_to_speech": _of_models("audio", audio.TEXT_TO_SPEECH),
        "/v1/voice_dubbing": _of_models("audio", audio.VOICE_DUBBING),
        "/v1/voice_isolation": _of_models("audio", audio.VOICE_ISOLATION),
        "/v1/avatar_videos": _of_models("video", video.AVATAR_VIDEOS, reply="bare"),
        "/v1/generate/video": Endpoint("video", routed.GENERATE["video"], ("gen4.5",), "routed"),
        "/v1/generate/image": Endpoint("image", routed.GENERATE["image"], ("gen4_image",), "routed"),
        "/v1/generate/audio": Endpoint("audio", routed.GENERATE["audio"], ("eleven_v3",), "routed"),
        **{
            f"/v1/recipes/{name}": Endpoint(kind, recipes.RECIPES[name], (name,))
            for name, kind in _RECIPE_KINDS.items()
        },
        "/v1/lip_sync": _of_models("video", video.LIP_SYNC, documented=False),
        "/v1/frame_interpolation": _of_models("video", video.FRAME_INTERPOLATION, documented=False),
    }
)

# no endpoint takes these any more, so the samples that hold a slot for an hour use them
LONG_QUEUE_MODEL, LONG_RUN_MODEL = "gen3a_turbo", "veo3"

MODELS = tuple(
    sorted(
        {
            LONG_QUEUE_MODEL,
            LONG_RUN_MODEL,
            *(model for one in ENDPOINTS.values() if one.documented for model in one.models),
        }
    )
)
"""The models that the organization has limits and usage of."""

OPENING_BALANCE = 100_000
MONTHLY_SPEND = 100_000
DAILY_GENERATIONS = 5_000


def concurrency(model: str) -> int:
    """How many generations of a model may be PENDING or RUNNING at once."""
    return 1 if model == LONG_RUN_MODEL else 2
