"""What a start costs by the price table, and that the sandbox, which reads it on its own, charges the same."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import JsonValue

from runway_mcp.catalogue.lookup import task_types
from runway_mcp.catalogue.pricing import TIERS, ListPrice, list_price
from runway_mcp.catalogue.validation import InvalidRequestError, Prepared, prepare
from runway_mcp.sandbox.endpoints import load_endpoints, read_data

TABLE = read_data("prices.toml")
ENDPOINTS = load_endpoints(read_data("catalogue.json"), TABLE)
PAIRS = [(kind, name) for kind, one in task_types().items() for name in one.models]
UNKNOWN = {
    ("image_to_video", "gen4"),
    ("image_to_video", "gen4_aleph"),
    ("video_to_video", "gen4_aleph"),
    ("video_upscale", "upscale_v1"),
    ("sound_effect", "sound_effect_v1"),
    ("generate/video", None),
    ("generate/image", None),
    ("generate/audio", None),
    ("lip_sync", "gen4"),
    ("lip_sync", "gen4_turbo"),
    ("frame_interpolation", "frame_interpolation_v1"),
}
UNKNOWN_MODELS = {
    *("kling_4", "klingO3_4k", "klingO3_pro", "klingO3_standard", "kling3.0_4k", "kling3.0_pro", "kling3.0_standard"),
    *("kling2.5_turbo_pro", "mirelo_sfx_2_0", "eleven_v4", "seedream5_flash", "nano_banana_2.1", "bria_fibo_edit_1_5"),
    *("gemini_image3.1_flash_lite", "recraft_v4_1_flash", "recraft_v4_1_vector"),
}
"""What has no known price: routed and undocumented types, and models that no source has a price for."""
IMAGE, VIDEO, AUDIO = (f"https://example.com/{name}" for name in ("a.png", "a.mp4", "a.mp3"))
A, O, T = "2026-08-15", "2026-10-23", "2026-10-08"  # noqa: E741 - the table's names of its sources


def priced(kind: str, model: str | None, body: dict[str, JsonValue]) -> ListPrice | None:
    return list_price(Prepared(kind, f"/v1/{kind}", model, body))


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_every_example_has_a_price_or_is_listed_as_unknown(kind: str, name: str | None) -> None:
    found = priced(kind, name, dict(task_types()[kind].models[name].example))
    assert (found is None) == ((kind, name) in UNKNOWN or name in UNKNOWN_MODELS)
    assert found is None or (found.credits > 0 and found.as_of in {A, O, T})


@pytest.mark.parametrize(
    ("kind", "model", "body", "price"),
    [
        ("text_to_video", "gen4.5", {"duration": 5}, ListPrice(60, False, A)),
        ("text_to_video", "gen4.5", {"duration": 5, "outputFormat": "prores"}, ListPrice(85, False, A)),
        ("text_to_video", "gen4.5", {"duration": 5, "outputFormat": "hlg"}, ListPrice(160, False, A)),
        ("text_to_video", "gen4.5", {"duration": 5, "outputFormat": "smoke"}, None),
        ("text_to_video", "gen4.5", {}, ListPrice(120, False, A, ("duration",))),
        ("text_to_video", "veo3.1", {"duration": 4}, ListPrice(160, False, A)),
        ("text_to_video", "veo3.1", {"duration": 4, "audio": False}, ListPrice(80, False, A)),
        ("text_to_video", "seedance2", {"duration": 5, "ratio": "1280:720"}, ListPrice(180, False, A)),
        ("text_to_video", "seedance2", {"duration": 5, "ratio": "2160:3840"}, ListPrice(750, False, A)),
        (
            "text_to_video",
            "seedance2",
            {"duration": "auto", "ratio": "992:432"},
            ListPrice(540, False, A, ("duration",)),
        ),
        ("text_to_video", "seedance2", {"duration": 5}, ListPrice(750, False, A, ("resolution",))),
        ("text_to_video", "seedance2_mini", {"duration": 2}, ListPrice(64, False, A)),
        ("text_to_video", "hailuo3", {"duration": 5, "resolution": "768P", "ratio": "9:16"}, ListPrice(50, False, A)),
        (
            "text_to_video",
            "hailuo3",
            {"duration": 5, "resolution": "2k", "references": [{"uri": IMAGE}] * 3},
            ListPrice(81, False, A),
        ),
        (
            "video_to_video",
            "seedance2_5",
            {"duration": 4, "ratio": "1280:720", "promptVideo": VIDEO},
            ListPrice(135, True, T),
        ),
        ("text_to_video", "seedance2_5", {}, ListPrice(150, False, T)),
        ("text_to_video", "seedance2_5", {"ratio": "1920:1080"}, ListPrice(340, False, T)),
        ("text_to_video", "seedance2_5", {"draft": True}, ListPrice(100, False, T)),
        ("text_to_video", "seedance2_5", {"draft": False}, ListPrice(150, False, T)),
        ("text_to_video", "seedance2_5", {"draftTaskId": "a"}, ListPrice(2040, False, T, ("duration",))),
        ("text_to_video", "seedance2_5", {"duration": "auto"}, ListPrice(900, False, T, ("duration",))),
        ("image_to_video", "seedance2_5", {"duration": 4}, ListPrice(272, False, T, ("resolution",))),
        ("video_to_video", "seedance2_5", {"promptVideo": VIDEO}, ListPrice(374, True, T, ("resolution",))),
        (
            "video_to_video",
            "seedance2_5",
            {"promptVideo": VIDEO, "mode": "extend", "promptText": "A"},
            ListPrice(2074, True, T, ("resolution", "duration")),
        ),
        ("text_to_video", "wan3_prime", {"duration": 2, "ratio": "auto_480p"}, ListPrice(14, False, T)),
        ("text_to_video", "wan3", {"duration": 3, "ratio": "832:480"}, ListPrice(15, False, T)),
        ("text_to_video", "grok_imagine_1_5_lite", {"duration": 3, "ratio": "480:480"}, ListPrice(6, False, T)),
        ("text_to_video", "gemini_omni_flash_1.1", {"duration": 3, "ratio": "640:360"}, ListPrice(11, False, T)),
        (
            "image_to_video",
            "grok_imagine_1_5",
            {"duration": 3, "resolution": "480p", "promptImage": IMAGE, "referenceAudio": [{"uri": AUDIO}]},
            ListPrice(32, False, T),
        ),
        (
            "image_to_video",
            "hailuo3",
            {"duration": 5, "resolution": "768p", "promptImage": [{"uri": IMAGE}] * 2},
            ListPrice(54, False, A),
        ),
        (
            "image_to_video",
            "hailuo3",
            {"duration": 5, "resolution": "768p", "promptImage": [{"uri": IMAGE, "position": "first"}]},
            ListPrice(50, False, A),
        ),
        (
            "image_to_video",
            "hailuo3",
            {"duration": 5, "resolution": "768p", "promptImage": IMAGE},
            ListPrice(50, False, A),
        ),
        ("text_to_speech", "eleven_v3", {"promptText": "\N{SLIGHTLY SMILING FACE}" * 100}, ListPrice(4, False, A)),
        (
            "text_to_image",
            "gpt_image_2",
            {"ratio": "auto", "outputCount": 10.0},
            ListPrice(410, False, A, ("resolution",)),
        ),
        ("text_to_image", "muse_image", {"outputCount": 0}, None),
        ("text_to_image", "muse_image", {"outputCount": "many"}, None),
        ("text_to_image", "gpt_image_2_5_flare", {"referenceImages": [{"uri": IMAGE}], "outputCount": -1}, None),
        ("text_to_video", "wan3_prime", {"duration": -10}, None),
        ("video_to_video", "aleph2", {"videoUri": VIDEO}, ListPrice(56, True, A)),
        ("video_to_video", "gemini_omni_flash", {"videoUri": VIDEO}, ListPrice(11, True, A)),
        ("text_to_image", "gen4_image", {"ratio": "1680:720"}, ListPrice(5, False, A)),
        ("text_to_image", "gen4_image", {"ratio": "1360:768"}, ListPrice(8, False, A)),
        ("text_to_image", "gpt_image_2", {"ratio": "auto"}, ListPrice(41, False, A, ("resolution",))),
        ("text_to_image", "gpt_image_2", {"ratio": "2560:2560", "quality": "auto"}, ListPrice(20, False, A)),
        ("text_to_image", "gpt_image_2", {"ratio": "3840:1648", "quality": "low"}, ListPrice(2, False, A)),
        ("text_to_image", "gpt_image_2", {"ratio": "1920:1088", "outputCount": 3}, ListPrice(60, False, A)),
        (
            "text_to_image",
            "gpt_image_2_5_sunburst",
            {"ratio": "1920:1088", "outputCount": 3, "referenceImages": [{"uri": IMAGE}] * 2},
            ListPrice(54, False, T),
        ),
        ("text_to_image", "gemini_image3.1_flash", {"ratio": "4096:4096"}, None),
        ("text_to_image", "gemini_image3_pro", {"ratio": "4096:4096", "outputCount": 4}, ListPrice(160, False, A)),
        ("text_to_image", "ideogram_4_5", {}, ListPrice(25, False, O)),
        ("text_to_image", "ideogram_4_5", {"referenceImages": [{"uri": IMAGE}]}, ListPrice(8, False, O)),
        (
            "text_to_image",
            "ideogram_4_5",
            {"referenceImages": [{"uri": IMAGE}], "preciseEdit": True},
            ListPrice(25, False, O),
        ),
        ("video_upscale", "magnific_video_upscaler_creative", {"videoUri": VIDEO}, ListPrice(22, True, A)),
        ("text_to_image", "ideogram_4_0", {}, ListPrice(11, False, O, ("quality",))),
        ("text_to_image", "grok_imagine_image_2", {"ratio": "auto_2k", "quality": "low"}, ListPrice(6, False, T)),
        ("image_upscale", "magnific_precision_upscaler_v2", {"imageUri": IMAGE}, ListPrice(25, True, A)),
        ("text_to_speech", "eleven_v3", {"promptText": "x" * 101}, ListPrice(3, False, A)),
        ("sound_effect", "eleven_text_to_sound_v2", {"duration": 2.5}, ListPrice(3, False, A)),
        ("sound_effect", "eleven_text_to_sound_v2", {}, ListPrice(2, False, A)),
        ("sound_effect", "mirelo_sfx_2_0", {"duration": 2.5}, None),
        ("recipes/product_ad", None, {"duration": 4, "ratio": "1280:720"}, ListPrice(200, False, A)),
        ("recipes/product_ad", None, {"duration": 4, "ratio": "1920:1080"}, ListPrice(216, False, A)),
        ("recipes/product_swap", None, {"duration": 5}, ListPrice(248, False, A)),
        ("recipes/product_ugc", None, {"duration": 4, "ratio": "1080:1920"}, ListPrice(208, False, A)),
        ("recipes/multi_shot_video", None, {}, ListPrice(130, False, A)),
        ("recipes/marketing_stock_image", None, {}, ListPrice(88, False, A)),
        ("recipes/marketing_stock_image", None, {"outputCount": 1, "quality": "low"}, ListPrice(9, False, A)),
        ("text_to_video", "newer", {"duration": 5}, None),
        ("lip_sync", "gen4_turbo", {"duration": 5}, None),
    ],
)
def test_a_price_goes_by_what_the_input_asks_for(
    kind: str, model: str | None, body: dict[str, JsonValue], price: ListPrice | None
) -> None:
    """What is left out takes the model's default, else its dearest; the sum is rounded up once."""
    assert priced(kind, model, body) == price


OTHER_VIDEO, OTHER_AUDIO = "runway://other-video", "data:audio/wav;base64,AAAA"
LENGTHS = {VIDEO: Decimal("4.5"), AUDIO: Decimal("12.024"), OTHER_VIDEO: Decimal("2.75")}
SPEECH: JsonValue = {"type": "text", "text": "Hello", "voice": {"type": "preset", "presetId": "clara"}}


@pytest.mark.parametrize(
    ("kind", "model", "body", "credits_", "at_least"),
    [
        ("video_to_video", "aleph2", {"videoUri": VIDEO}, 126, False),
        ("video_to_video", "aleph2", {"videoUri": OTHER_VIDEO, "outputFormat": "prores"}, 91, False),
        ("video_to_video", "aleph2", {"videoUri": VIDEO, "outputFormat": "sdr_rec709_10bit"}, 216, True),
        ("video_to_video", "gemini_omni_flash", {"videoUri": VIDEO, "references": [{"uri": IMAGE}] * 2}, 52, False),
        ("character_performance", "act_two", {"reference": {"type": "video", "uri": VIDEO}}, 23, False),
        ("character_performance", "act_two", {"reference": {"type": "video", "uri": OTHER_VIDEO}}, 15, False),
        ("character_performance", "act_two", {"reference": {"type": "video", "uri": IMAGE}}, 15, True),
        ("speech_to_speech", "eleven_multilingual_sts_v2", {"media": {"type": "audio", "uri": AUDIO}}, 5, False),
        ("voice_isolation", "eleven_voice_isolation", {"audioUri": AUDIO}, 3, False),
        ("voice_isolation", "eleven_voice_isolation", {"audioUri": OTHER_AUDIO}, 1, True),
        ("voice_dubbing", "eleven_voice_dubbing", {"audioUri": AUDIO}, 7, False),
        ("video_upscale", "enhance_frame_rate", {"videoUri": VIDEO}, 3, False),
        ("video_upscale", "magnific_video_upscaler_creative", {"videoUri": VIDEO}, 98, True),
        ("video_to_hdr", "ruby", {"videoUri": VIDEO}, 90, True),
        ("avatar_videos", "gwm1_avatars", {"speech": {"type": "audio", "audio": AUDIO}}, 8, False),
        ("avatar_videos", "gwm1_avatars", {"speech": SPEECH}, 4, True),
        (
            "video_to_video",
            "seedance2_5",
            {"promptVideo": VIDEO, "ratio": "1280:720", "duration": 4, "referenceVideos": [{"uri": OTHER_VIDEO}] * 2},
            270,
            False,
        ),
        (
            "video_to_video",
            "hailuo3",
            {"promptVideo": VIDEO, "resolution": "2k", "duration": 5, "referenceVideos": [{"uri": "runway://x"}]},
            158,
            True,
        ),
        ("text_to_video", "seedance2_5", {"duration": 4, "ratio": "1280:720"}, 120, False),
    ],
)
def test_a_measured_input_makes_a_price_exact(
    kind: str, model: str, body: dict[str, JsonValue], credits_: int, *, at_least: bool
) -> None:
    """One of unknown length counts as a second. What goes by pixels or frames stays "at least"."""
    prepared = Prepared(kind, f"/v1/{kind}", model, body).with_lengths(LENGTHS)
    found = list_price(prepared)
    assert found is not None
    assert (found.credits, found.at_least) == (credits_, at_least)
    endpoint = ENDPOINTS[task_types()[kind].endpoint]
    sandboxed = endpoint.models[model]
    assert endpoint.credits_for(sandboxed, endpoint.settings(sandboxed, body), LENGTHS) == credits_


@pytest.mark.parametrize(("kind", "name"), PAIRS)
def test_the_sandbox_charges_what_the_table_says(kind: str, name: str | None) -> None:
    """For the example, and for each value that the price depends on and the model takes."""
    endpoint = ENDPOINTS[task_types()[kind].endpoint]
    model = task_types()[kind].models[name]
    fields: Any = model.schema.get("properties", {})
    bodies = [dict(model.example)]
    for field in ("ratio", "resolution", "quality", "outputFormat", "duration", "outputCount", "mode"):
        bodies += [{**model.example, field: value} for value in fields.get(field, {}).get("enum", ())]
    bodies += [{**model.example, field: True} for field in ("draft", "preciseEdit", "audio") if field in fields]
    for body in bodies:
        found = priced(kind, name, body)
        sandboxed = endpoint.models[name]
        charged = endpoint.credits_for(sandboxed, endpoint.settings(sandboxed, body))
        assert found is None or found.credits == charged, body


def test_no_model_makes_longer_videos_than_the_table_reckons_with() -> None:
    for kind, name in PAIRS:
        fields: Any = task_types()[kind].models[name].schema.get("properties", {})
        row = TABLE["prices"].get(name, {})
        longest = fields.get("duration", {}).get("maximum", max(fields.get("duration", {}).get("enum", [0])))
        assert row.get("longest", longest) >= longest


def test_every_row_has_a_source_with_a_date_and_terms_of_known_units() -> None:
    units = {"task", "second", "output", "character", "input", "input second", "input output"}
    for name, row in TABLE["prices"].items():
        assert "like" in row or row["source"] in TABLE["sources"], name
        for term in row.get("terms", ()):
            assert term["per"] in units, name
            assert term.keys() <= {"per", "rate", "every", "of", "when", "open"}, name
            assert set(term.get("when", {}).get("tier", ())) <= TIERS.keys(), name
            assert ("of" in term) == term["per"].startswith("input"), name


def test_what_the_table_was_not_made_for_has_no_price() -> None:
    body: dict[str, JsonValue] = {"promptText": "a kite", "ratio": "1280:720", "duration": 5}
    for unknown in ({"outputCount": 8}, {"fps": 60}, {"model": "kite_9"}):
        prepared = prepare("text_to_video", {**body, **unknown}, allow_unknown=True)
        assert prepared.has_unknown
        assert list_price(prepared) is None
    assert list_price(prepare("text_to_video", body, allow_unknown=True)) is not None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text_to_image", {"model": "muse_image", "promptText": "x", "ratio": "auto", "outputCount": 0}),
        ("text_to_image", {"model": "ideogram_4_0", "promptText": "x", "outputCount": -5}),
        ("text_to_video", {"model": "wan3_prime", "promptText": "x", "ratio": "1280:720", "duration": -10}),
    ],
)
def test_a_count_or_a_length_is_at_least_one(kind: str, body: dict[str, JsonValue]) -> None:
    with pytest.raises(InvalidRequestError, match="is too small"):
        prepare(kind, body)
