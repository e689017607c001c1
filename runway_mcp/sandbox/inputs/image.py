"""What makes an image: from text, and larger."""

from collections.abc import Mapping
from types import MappingProxyType

from runway_mcp.sandbox.inputs.common import IMAGE, MODERATION, SEED, references
from runway_mcp.sandbox.inputs.rules import Field, Rule, choice, flag, items, loose, maybe, strict, text, whole

_TAG = text(3, 16, r"^[a-z][a-z0-9_]+\Z")
_TAGGED_IMAGE = loose(uri=IMAGE, tag=maybe(_TAG))
_SUBJECT: Mapping[str, Field] = {"uri": IMAGE, "tag": maybe(_TAG), "subject": maybe(choice("object", "human"))}
_ONE_OR_FOUR = choice(1, 4)

_GEN4_RATIOS = (
    *("1024:1024", "1080:1080", "1168:880", "1360:768", "1440:1080", "1080:1440", "1808:768", "1920:1080"),
    *("1080:1920", "2112:912", "1280:720", "720:1280", "720:720", "960:720", "720:960", "1680:720"),
)
_GPT_RATIOS = (
    *("2048:880", "1920:1088", "1920:1280", "1920:1440", "1920:1536", "1920:1920", "1536:1920", "1440:1920"),
    *("1280:1920", "1088:1920", "2912:1248", "2560:1440", "2560:1712", "2560:1920", "2560:2048", "2560:2560"),
    *("2048:2560", "1920:2560", "1712:2560", "1440:2560", "3840:1648", "3840:2160", "3504:2336", "3264:2448"),
    *("3200:2560", "2880:2880", "2560:3200", "2448:3264", "2336:3504", "2160:3840", "auto"),
)
_GEMINI_1K = (
    *("1344:768", "768:1344", "1024:1024", "1184:864", "864:1184", "1536:672", "832:1248", "1248:832", "896:1152"),
    "1152:896",
)
_GEMINI_2K = (
    *("2048:2048", "1696:2528", "2528:1696", "1792:2400", "2400:1792", "1856:2304", "2304:1856", "1536:2752"),
    *("2752:1536", "3168:1344"),
)
_GEMINI_4K = (
    *("4096:4096", "3392:5056", "5056:3392", "3584:4800", "4800:3584", "3712:4608", "4608:3712", "3072:5504"),
    *("5504:3072", "6336:2688"),
)
_FLASH_ONLY = (
    *("512:512", "416:624", "624:416", "432:592", "592:432", "448:576", "576:448", "384:672", "672:384", "768:336"),
    *("256:1024", "1024:256", "176:1408", "1408:176", "512:2048", "2048:512", "352:2816", "2816:352", "1024:4096"),
    *("4096:1024", "704:5632", "5632:704", "2048:8192", "8192:2048", "1408:11264", "11264:1408"),
)
_SEEDREAM_2K = ("2048:2048", "2304:1728", "1728:2304", "2496:1664", "1664:2496")
_SEEDREAM_PRO = (
    *("1024:1024", "1184:896", "896:1184", "1376:768", "768:1376", "1296:864", "864:1296", "2720:1530"),
    *("1530:2720", "auto_1k", "auto_2k"),
)
_SEEDREAM_LITE = (
    *("2848:1600", "1600:2848", "3136:1344", "3072:3072", "3456:2592", "2592:3456", "4096:2304", "2304:4096"),
    *("3744:2496", "2496:3744", "4704:2016"),
)

_GEN4: Mapping[str, Field] = {
    "promptText": text(1, 1000),
    "ratio": choice(*_GEN4_RATIOS),
    "seed": maybe(SEED),
    "contentModeration": maybe(MODERATION),
}


def _seedream(images: int, *ratios: str) -> Rule:
    return strict(
        promptText=text(1, 4000),
        ratio=choice(*_SEEDREAM_2K, *ratios),
        outputFormat=maybe(choice("png", "jpeg")),
        referenceImages=maybe(references(IMAGE, images)),
        outputCount=maybe(whole(1, 4)),
        grounding=maybe(flag),
    )


TEXT_TO_IMAGE: Mapping[str, Rule] = MappingProxyType(
    {
        "gen4_image": loose(**_GEN4, referenceImages=maybe(items(_TAGGED_IMAGE, 3))),
        "gen4_image_turbo": loose(**_GEN4, referenceImages=items(_TAGGED_IMAGE, 3, least=1)),
        "gpt_image_2": strict(
            promptText=text(1, 32_000),
            ratio=choice(*_GPT_RATIOS),
            quality=maybe(choice("low", "medium", "high", "auto")),
            background=maybe(choice("opaque", "auto")),
            referenceImages=maybe(items(strict(uri=IMAGE, tag=maybe(_TAG)), 16)),
            outputCount=maybe(whole(1, 10)),
        ),
        "gemini_image3_pro": strict(
            promptText=text(1, 5500),
            ratio=choice(*_GEMINI_1K, *_GEMINI_2K, *_GEMINI_4K),
            referenceImages=maybe(items(strict(**_SUBJECT), 14)),
            outputCount=maybe(_ONE_OR_FOUR),
        ),
        "gemini_image3.1_flash": loose(
            promptText=text(1, 5500),
            ratio=choice(*_FLASH_ONLY, *_GEMINI_1K, *_GEMINI_2K, *_GEMINI_4K),
            referenceImages=maybe(items(loose(**_SUBJECT), 14)),
            outputCount=maybe(_ONE_OR_FOUR),
        ),
        "gemini_2.5_flash": loose(
            promptText=text(1, 5500),
            ratio=choice(*_GEMINI_1K),
            referenceImages=maybe(items(_TAGGED_IMAGE, 3)),
        ),
        "seedream5_pro": _seedream(10, *_SEEDREAM_PRO),
        "seedream5_lite": _seedream(14, *_SEEDREAM_LITE),
    }
)

_PERCENT = whole(0, 100)

IMAGE_UPSCALE: Mapping[str, Rule] = MappingProxyType(
    {
        "magnific_precision_upscaler_v2": strict(
            imageUri=IMAGE,
            scaleFactor=maybe(choice(2, 4, 8, 16)),
            sharpen=maybe(_PERCENT),
            smartGrain=maybe(_PERCENT),
            ultraDetail=maybe(_PERCENT),
            flavor=maybe(choice("sublime", "photo", "photo_denoiser")),
        )
    }
)
