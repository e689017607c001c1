"""The sentences that say what is wrong with an input."""

import pytest
from pydantic import JsonValue
from support.inputs import CLIP, IMAGE, IMAGE_TO_VIDEO, problems


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"duration": "99"}, 'duration: "99" is not allowed; it must be a whole number from 2 to 10.'),
        ({"duration": "5 minutes"}, 'duration: "5 minutes" is not allowed; it must be a whole number from 2 to 10.'),
        ({"duration": "5" + " " * 10**6 + "!"}, "(1000002 characters) is not allowed; it must be"),
        ({"duration": 11}, "duration: 11 is too large; it must be a whole number from 2 to 10. Allowed by hailuo3, "),
        ({"duration": 1}, "duration: 1 is too small; it must be a whole number from 2 to 10."),
        ({"duration": 5.5}, "duration: 5.5 is not allowed; it must be a whole number from 2 to 10."),
        ({"seed": True}, "seed: true is not allowed; it must be a whole number from 0 to 4294967295."),
        ({"ratio": "1920:1080"}, 'ratio: "1920:1080" is not allowed; it must be one of 1280:720, 720:1280, 1104:832, '),
        ({"ratio": "1920:1080"}, "832:1104, 1584:672; did you mean 1280:720?"),
        ({"ratio": "portrait"}, 'ratio: "portrait" is not allowed; it fits several: name one of 720:1280, 832:1104.'),
        ({"ratio": "1:20"}, "1584:672."),
        ({"ratio": "1280;720"}, "did you mean 1280:720?"),
        ({"duration": "soon", "model": "seedance2"}, "it must be a whole number from 4 to 15 or auto."),
        ({"duration": 16, "model": "seedance2"}, "16 is too large; it must be a whole number from 4 to 15. Allowed by"),
        ({"outputFormat": "PNG sequenze"}, "(12 in all); did you mean png_sequence?"),
        ({"outputFormat": 4}, "outputFormat: 4 is not allowed; it must be one of mp4, prores, png_sequence, "),
        ({"contentModeration": {"publicFigureThreshold": "lo"}}, "contentModeration.publicFigureThreshold: "),
        ({"contentModeration": "high"}, 'it must be an object {"publicFigureThreshold": …}.'),
        ({"promptText": ""}, 'promptText: "" is empty; it must be a text of length 1 to 1000.'),
        ({"promptText": "a" * 1001}, f'promptText: "{"a" * 40}…" (1001 characters) is too long; it must be a text of '),
        ({"promptText": "a" * 9001}, "it must be a text of length 1 to 1000. Allowed by seedance2_5, "),
        ({"promptText": " a" * 501}, "is too long; it must be a text"),
        ({"promptText": ["a", "b"]}, "promptText: a list of 2 is not allowed"),
        ({"promptText": {"a": 1}}, "promptText: an object is not allowed"),
        ({"promptImage": "http://example.com/a.jpg"}, "it must be https://… with a domain name (at most 2048 charac"),
        ({"promptImage": "http://example.com/a.jpg"}, "did you mean https://…?"),
        ({"promptImage": "http://127.0.0.1/a.jpg"}, "data:image/… (at most 5242880 characters)"),
        ({"promptImage": "https://127.0.0.1/a.jpg"}, "has no domain name that the API accepts; it must be https://…"),
        ({"promptImage": "https://a.net/" + "a" * 2048}, "is too long; it must be https://…"),
        ({"promptImage": "https://a.net/b c"}, '"https://a.net/b c" is not allowed; a URL holds no white space or '),
        ({"promptImage": "https://a.net/b c"}, "a space is %20 in it."),
        ({"promptImage": "https://127.0.0.1/a b.jpg"}, "a URL holds no white space"),
        ({"promptImage": "/home/me/my image.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "~/a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "./a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "..\\pictures\\a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "C:\\Users\\me\\a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "file:///home/me/a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptText": "/" * 1001}, "it must be a text of length 1 to 1000."),
        ({"promptText": "https://example.com/ " * 50}, "it must be a text of length 1 to 1000."),
        ({"promptImage": "data:video/mp4;base64,AAAA"}, "begins otherwise; it must be https://… with a domain name"),
        ({"promptImage": 5}, "or a list of length 1."),
        ({"promptImage": [{"uri": IMAGE, "position": "last"}]}, '[0].position: "last" is not allowed; it must be'),
        ({"promptImage": [{"uri": IMAGE}]}, "promptImage[0].position is missing; it must be first."),
        ({"promptImage": []}, "promptImage: a list of 0 is too short; it must be a list of length 1."),
        ({"prompt": "A kite"}, "prompt is no field here; promptText is given already."),
        ({"kite": 1}, "still possible: seed, contentModeration, outputFormat, proresProfile."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_is_allowed(change: dict[str, JsonValue], problem: str) -> None:
    (found,) = problems("image_to_video", {**IMAGE_TO_VIDEO, **change})
    assert problem in found
    assert found.startswith(next(iter(change)))


@pytest.mark.parametrize(
    ("kind", "given_input", "expected"),
    [
        ("avatar_videos", {"avatar": {"type": "robot"}, "speech": {}}, [
            'avatar.type: "robot" is not allowed; it must be one of runway-preset, custom.',
            "speech.type is missing; it must be one of audio, text.",
            "speech.audio is missing; it must be https://… with a domain name (at most 2048 characters) or ",
        ]),
        ("avatar_videos", {"avatar": {"type": "custom", "avatarId": "me"}, "speech": {"type": "text", "text": 5}}, [
            'avatar.avatarId: "me" has another form; it must be a UUID.',
            "speech.text: 5 is not allowed; it must be a text of length 1 to 5000.",
        ]),
        ("text_to_speech", {"promptText": "Hello", "voice": {"type": "runway-preset", "presetId": "Mia"}}, [
            'voice.presetId: "Mia" is not allowed; it must be one of Maya, Arjun, ',
        ]),
        ("text_to_speech", {"promptText": "Hello", "voice": "Maya"}, [
            'voice: "Maya" is not allowed; it must be an object {"type": "runway-preset", "presetId": …}; did you',
        ]),
        ("avatar_videos", {"avatar": "influencer", "speech": {"type": "text", "text": "Hello", "voice": "Zoe"}}, [
            'avatar: "influencer" is not allowed; it must be an object {"type": "runway-preset", "presetId": …} or an ',
            'speech.voice: "Zoe" is not allowed; it must be an object {"type": "preset", "presetId": …} or an object ',
        ]),
        ("text_to_image", {"promptText": "A", "ratio": "1:1", "referenceImages": [{"uri": IMAGE, "tag": "me"}]}, [
            'ratio: "1:1" is not allowed; it fits several: name one of 1024:1024, 1080:1080, 720:720.',
            'referenceImages[0].tag: "me" is too short (2 characters); it must be a-z, 0-9 and _, a letter first, of',
        ]),
        ("text_to_image", {"promptText": "A", "ratio": "4:3", "referenceImages": [{"uri": IMAGE, "tag": "Me!"}]}, [
            'ratio: "4:3" is not allowed; it fits several: name one of 1168:880, 1440:1080, 960:720.',
            'referenceImages[0].tag: "Me!" has another form; it must be a-z, 0-9 and _, a letter first, of length 3 ',
        ]),
        ("recipes/product_ad", {"version": "2026-06", "images": [], "audio": "perhaps"}, [
            "images is no field here; did you mean productImages? It must be a list of length 1 to 10.",
            'audio: "perhaps" is not allowed; it must be true or false.',
        ]),
        ("recipes/multi_shot_video", {"prompt": "A kite"}, [
            "mode is missing; it must be one of auto, custom.",
            "version is missing; it must be one of 2026-06, unsafe-latest.",
        ]),
        ("video_to_video", {"videoUri": CLIP, "keyframes": [{"uri": IMAGE, "seconds": 1, "at": 0.5}]}, [
            "keyframes[0].at is no field here; still possible: range.",
        ]),
        ("video_to_video", {"videoUri": CLIP, "keyframes": [{"uri": IMAGE, "at": 2, "range": {"start_seconds": -1}}]}, [
            "keyframes[0].at: 2 is too large; it must be a number from 0 to 1.",
            "keyframes[0].range.end_seconds is missing; it must be a whole number over 0.",
            "keyframes[0].range.start_seconds: -1 is too small; it must be a whole number from 0 up.",
        ]),
        ("sound_effect", {"model": "sound_effect_v1", "promptText": 5, "duration": 0}, [
            "promptText: 5 is not allowed; it must be a text of length 1 up.",
            "duration: 0 is too small; it must be a number over 0.",
        ]),
        ("voice_isolation", {"audioUri": "https://example.com/audio.mp3", "extra": 1}, [
            "extra is no field here; still possible: nothing.",
        ]),
    ],
)  # fmt: skip
def test_everything_wrong_is_told_at_once(kind: str, given_input: dict[str, JsonValue], expected: list[str]) -> None:
    found = problems(kind, given_input)
    assert len(found) == len(expected)
    for problem in expected:
        assert any(one.startswith(problem) for one in found), (problem, found)


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        *((name, "A kite", "promptText?") for name in ("prompt", "text", "promtText")),
        *((name, IMAGE, "promptImage?") for name in ("image", "image_url")),
        *((name, "16:9", "ratio: 1280:720?") for name in ("aspectRatio", "aspect_ratio", "size")),
        ("aspectRatio", "1280:720", "ratio?"),
        ("aspectRatio", "vertical", "ratio? It must be one of 720:1280, 832:1104."),
        ("aspectRatio", "long", "ratio? It must be one of 1280:720, 720:1280, 1104:832, 960:960, 832:1104, 1584:672."),
        *((name, 5, "duration?") for name in ("seconds", "length")),
        ("seconds", "5s", "duration: 5?"),
    ],
)
def test_a_field_in_another_word_is_recognised_with_its_value(name: str, value: JsonValue, meant: str) -> None:
    likely = meant.partition("?")[0].partition(":")[0]
    given_input = {key: one for key, one in IMAGE_TO_VIDEO.items() if key != likely}
    assert problems("image_to_video", {**given_input, name: value}) == (
        f"{name} is no field here; did you mean {meant}",
    )


def test_of_many_ratios_some_are_told_and_the_nearest_in_size_is_meant() -> None:
    given_input: dict[str, JsonValue] = {"model": "seedance2", "promptText": "A kite"}
    for ratio, likely in {"1920x1088": "1920:1080", "4096:2304": "3840:2160"}.items():
        assert problems("text_to_video", {**given_input, "ratio": ratio})[0].endswith(f"did you mean {likely}?")
    (problem,) = problems("text_to_video", {**given_input, "ratio": "16:9"})
    assert problem.endswith("it fits several: name one of 864:496, 1280:720, 1920:1080, 3840:2160.")
    (problem,) = problems("text_to_image", {"model": "gemini_image3.1_flash", "promptText": "A kite", "ratio": "x"})
    assert problem.endswith("256:1024... (56 in all).")


def test_a_text_where_an_object_belongs_is_answered_with_the_object() -> None:
    (problem,) = problems("text_to_speech", {"promptText": "Hello", "voice": "maya"})
    assert problem.endswith('; did you mean {"type": "runway-preset", "presetId": "Maya"}?')
    (problem,) = problems("avatar_videos", {"avatar": "cat-character", "speech": {"type": "text", "text": "Hello"}})
    assert problem.endswith('; did you mean {"type": "runway-preset", "presetId": "cat-character"}?')


def test_a_signed_url_is_not_repeated() -> None:
    (problem,) = problems("image_to_video", {**IMAGE_TO_VIDEO, "promptImage": "http://x.net/a?_jwt=secret"})
    assert "secret" not in problem
    assert "_jwt=[hidden]" in problem
