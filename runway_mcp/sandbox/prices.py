"""What a request asks for costs, in credits: published prices where they are known, plausible ones elsewhere.

A file that is handed in is never fetched, so what is paid for its length has a fixed price here.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

Settings = Mapping[str, object]
Price = Callable[[Settings], float]

_USUAL_SECONDS = 5
_MOST = 100  # of a number in a field that the rules do not know and let through
_MAX_FILES = 10
_MASTER_SURCHARGE = 5  # per second, for ProRes or a sequence of PNGs


def credits_for(model: str, settings: Settings) -> int:
    """The credits that a valid request for a model may be charged with."""
    return math.ceil(_PRICES[model](settings))


def files_of(model: str, settings: Settings) -> int:
    """How many files a valid request for a model makes."""
    usual = 4 if model == "marketing_stock_image" else 1
    return int(min(max(_number(settings, "outputCount", usual), 1), _MAX_FILES))


def _number(settings: Settings, name: str, usual: float) -> float:
    value = settings.get(name)
    return min(max(value, 0), _MOST) if isinstance(value, int | float) else usual


def _per_second(rate: int) -> Price:
    return lambda settings: rate * _number(settings, "duration", _USUAL_SECONDS)


def _or_master(rate: int) -> Price:
    def price(settings: Settings) -> float:
        plain = settings.get("outputFormat", "mp4") == "mp4"
        return _per_second(rate if plain else rate + _MASTER_SURCHARGE)(settings)

    return price


def _veo(silent: int, sounding: int) -> Price:
    def price(settings: Settings) -> float:
        return (silent if settings.get("audio") is False else sounding) * _number(settings, "duration", 8)

    return price


def _per_image(model: str, rate: int) -> Price:
    return lambda settings: rate * files_of(model, settings)


def _by_quality(model: str, low: int, medium: int, high: int) -> Price:
    rates = {"low": low, "medium": medium}
    return lambda settings: rates.get(str(settings.get("quality")), high) * files_of(model, settings)


def _per_task(price: int) -> Price:
    return lambda _settings: price


def _speech(settings: Settings) -> float:
    return len(str(settings["promptText"])) / 50


def _sound(settings: Settings) -> float:
    return _number(settings, "duration", 12) / 6


_PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "gen4.5": _or_master(12),
        "aleph2": _or_master(15),
        "veo3.1": _veo(20, 40),
        "veo3.1_fast": _veo(10, 15),
        **{
            model: _per_second(rate)
            for model, rate in {
                "gen4_turbo": 5,
                "gen4": 12,
                "hailuo3": 15,
                "happyhorse_1_0": 14,
                "gemini_omni_flash": 10,
                "seedance2": 30,
                "seedance2_fast": 15,
                "seedance2_mini": 8,
                "seedance2_5": 36,
                "multi_shot_video": 30,
                "product_ad": 24,
                "product_swap": 24,
                "product_ugc": 24,
            }.items()
        },
        **{
            model: _per_image(model, rate)
            for model, rate in {
                "gen4_image": 5,
                "gen4_image_turbo": 2,
                "gemini_image3_pro": 20,
                "gemini_image3.1_flash": 10,
                "gemini_2.5_flash": 5,
                "seedream5_pro": 8,
                "seedream5_lite": 4,
                "magnific_precision_upscaler_v2": 10,
                "ad_localization": 20,
                "product_campaign_image": 20,
            }.items()
        },
        "gpt_image_2": _by_quality("gpt_image_2", 1, 5, 20),
        "marketing_stock_image": _by_quality("marketing_stock_image", 1, 4, 10),
        "eleven_multilingual_v2": _speech,
        "eleven_v3": _speech,
        "eleven_text_to_sound_v2": _sound,
        **{
            model: _per_task(price)
            for model, price in {
                "act_two": 25,
                "magnific_video_upscaler_creative": 10,
                "gwm1_avatars": 10,
                "seed_audio": 5,
                "eleven_multilingual_sts_v2": 2,
                "eleven_voice_dubbing": 3,
                "eleven_voice_isolation": 1,
                "frame_interpolation_v1": 10,
            }.items()
        },
    }
)
