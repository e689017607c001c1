"""What the recipes take: ready-made productions that choose their models themselves."""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.inputs.common import IMAGE, VIDEO, references
from runway_mcp.sandbox.inputs.rules import Field, Rule, choice, flag, items, maybe, strict, tagged, text, whole

_VERSION = choice("2026-06", "unsafe-latest")
_AN_IMAGE = strict(uri=IMAGE)
_DURATION = whole(4, 15)
_ABOUT: Mapping[str, Field] = {"productInfo": maybe(text(0, 2500)), "userConcept": maybe(text(0, 3500))}

_SHOTS: Mapping[str, Field] = {
    "version": _VERSION,
    "firstFrame": maybe(_AN_IMAGE),
    "ratio": maybe(choice("1280:720", "720:1280", "960:960", "1920:1080", "1080:1920", "1440:1440")),
    "duration": maybe(choice(5, 10, 15)),
    "audio": maybe(flag),
}

RECIPES: Mapping[str, Rule] = MappingProxyType(
    {
        "ad_localization": strict(
            version=_VERSION,
            referenceImage=_AN_IMAGE,
            targetLanguage=choice(
                *("ar", "zh", "zh-Hant", "nl", "en", "fr", "de", "hi", "id", "it", "ja", "ko", "pl", "pt", "ru", "es"),
                *("sv", "th", "tr", "uk", "vi", "el"),
            ),
        ),
        "marketing_stock_image": strict(
            version=_VERSION,
            prompt=text(1, 3500),
            referenceImage=maybe(_AN_IMAGE),
            outputCount=maybe(whole(1, 4)),
            quality=maybe(choice("low", "medium", "high")),
        ),
        "multi_shot_video": tagged(
            "mode",
            {
                "auto": strict(prompt=text(1, 2500), **_SHOTS),
                "custom": strict(shots=items(strict(prompt=text(3, 512), duration=whole(1, 15)), 5, least=3), **_SHOTS),
            },
        ),
        "product_ad": strict(
            version=choice("2026-06", "2026-07", "unsafe-latest"),
            productImages=items(_AN_IMAGE, 10, least=1),
            styleImages=maybe(references(IMAGE, 4)),
            ratio=maybe(
                choice(
                    *("1280:720", "720:1280", "960:960", "834:1112", "1920:1080", "1080:1920", "1440:1440"),
                    "1248:1664",
                )
            ),
            duration=maybe(_DURATION),
            audio=maybe(flag),
            **_ABOUT,
        ),
        "product_campaign_image": strict(version=_VERSION, image=_AN_IMAGE, prompt=text(1, 3500)),
        "product_swap": strict(
            version=_VERSION,
            referenceVideo=strict(uri=VIDEO),
            originalProductImage=_AN_IMAGE,
            newProductImages=items(strict(uri=IMAGE, view=maybe(choice("front", "side", "back"))), 10, least=1),
            duration=maybe(_DURATION),
            resolution=maybe(choice("720p", "1080p")),
            audio=maybe(flag),
        ),
        "product_ugc": strict(
            version=_VERSION,
            characterImage=_AN_IMAGE,
            productImage=_AN_IMAGE,
            duration=maybe(_DURATION),
            ratio=maybe(choice("720:1280", "1080:1920")),
            audio=maybe(flag),
            **_ABOUT,
        ),
    }
)
