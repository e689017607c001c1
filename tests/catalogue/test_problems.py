"""The sentences that say what is wrong with an input."""

import pytest
from pydantic import JsonValue
from support.inputs import CLIP, IMAGE, IMAGE_TO_VIDEO, problems


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"duration": "5s"}, 'duration: "5s" is not allowed; it must be a whole number from 2 to 10; did you mean 5?'),
        ({"duration": "5 seconds"}, "did you mean 5?"),
        ({"seed": "1234567"}, "did you mean 1234567?"),
        ({"duration": "99"}, 'duration: "99" is not allowed; it must be a whole number from 2 to 10.'),
        ({"duration": "5" + " " * 10**6 + "!"}, "(1000002 characters) is not allowed; it must be"),
        ({"duration": 11}, "duration: 11 is not allowed; it must be a whole number from 2 to 10."),
        ({"duration": 5.5}, "duration: 5.5 is not allowed; it must be a whole number from 2 to 10."),
        ({"duration": [5]}, "did you mean its entry without the list?"),
        ({"seed": True}, "seed: true is not allowed; it must be a whole number from 0 to 4294967295."),
        ({"seed": None}, "seed: null is not allowed"),
        ({"ratio": "16:9"}, 'ratio: "16:9" is not allowed; it must be one of 1280:720, 720:1280, 1104:832, 960:960, '),
        ({"ratio": "16:9"}, "832:1104, 1584:672; did you mean 1280:720?"),
        ({"ratio": "9:16"}, "did you mean 720:1280?"),
        ({"ratio": "1080x1920"}, "did you mean 720:1280?"),
        ({"ratio": "portrait"}, "did you mean 720:1280?"),
        ({"ratio": "square"}, "did you mean 960:960?"),
        ({"ratio": "4 / 3"}, "did you mean 1104:832?"),
        ({"ratio": "1:20"}, "1584:672."),
        ({"ratio": "1280;720"}, "did you mean 1280:720?"),
        ({"outputFormat": "PNG sequence"}, "one of mp4, prores, png_sequence; did you mean png_sequence?"),
        ({"outputFormat": 4}, "outputFormat: 4 is not allowed; it must be one of mp4, prores, png_sequence."),
        ({"contentModeration": {"publicFigureThreshold": "LOW"}}, "contentModeration.publicFigureThreshold: "),
        ({"contentModeration": "low"}, "it must be an object with publicFigureThreshold."),
        ({"promptText": ""}, 'promptText: "" is not allowed; it must be a text of length 1 to 1000.'),
        ({"promptText": "a" * 1001}, f'promptText: "{"a" * 40}…" (1001 characters) is not allowed'),
        ({"promptText": ["a"]}, "promptText: a list of 1 is not allowed"),
        ({"promptText": {"a": 1}}, "promptText: an object is not allowed"),
        ({"promptImage": "http://example.com/a.jpg"}, "it must be https://… with a domain name (at most 2048 charac"),
        ({"promptImage": "http://example.com/a.jpg"}, "data:image/… (at most 5242880 characters); did you mean https://…?"),
        ({"promptImage": "http://127.0.0.1/a.jpg"}, "data:image/… (at most 5242880 characters)."),
        ({"promptImage": "https://a.net/b c"}, '"https://a.net/b c" is not allowed; a URL holds no white space or '),
        ({"promptImage": "https://a.net/b c"}, "a space is %20 in it."),
        ({"promptImage": "https://a.net/b\n"}, '"https://a.net/b" with white space around it is not allowed; a URL '),
        ({"promptImage": "https://127.0.0.1/a b.jpg"}, "a URL holds no white space"),
        ({"proresProfile": "4444\n"}, '"4444" with white space around it is not allowed; it must be one of '),
        ({"promptImage": "/home/me/my image.jpg"}, "characters); a file on disk has to be uploaded first."),
        ({"promptImage": "~/a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "./a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "..\\pictures\\a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "C:\\Users\\me\\a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptImage": "file:///home/me/a.jpg"}, "a file on disk has to be uploaded first."),
        ({"promptText": "/" * 1001}, "it must be a text of length 1 to 1000."),
        ({"promptText": "https://example.com/ " * 50}, "it must be a text of length 1 to 1000."),
        ({"promptImage": "data:video/mp4;base64,AAAA"}, "runway://… (at most 5000 characters) or data:image/… (at "),
        ({"promptImage": 5}, "or a list of length 1."),
        ({"promptImage": {"uri": IMAGE, "position": "first"}}, "did you mean a list of it?"),
        ({"promptImage": [{"uri": IMAGE, "position": "last"}]}, '[0].position: "last" is not allowed; it must be'),
        ({"promptImage": [{"uri": IMAGE}]}, "promptImage[0].position is missing; it must be first."),
        ({"promptImage": []}, "promptImage: a list of 0 is not allowed; it must be a list of length 1."),
        ({"prompt": "A kite"}, "still possible: seed, contentModeration, outputFormat, proresProfile."),
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
            'avatar.avatarId: "me" is not allowed; it must be a text that matches ^([0-9a-fA-F]{8}-',
            "speech.text: 5 is not allowed; it must be a text of length 1 to 5000.",
        ]),
        ("text_to_speech", {"promptText": "Hello", "voice": {"type": "runway-preset", "presetId": "maya"}}, [
            'voice.presetId: "maya" is not allowed; it must be one of Maya, Arjun, ',
        ]),
        ("text_to_speech", {"promptText": "Hello", "voice": "Maya"}, [
            'voice: "Maya" is not allowed; it must be an object with type, presetId.',
        ]),
        ("text_to_image", {"promptText": "A", "ratio": "1:1", "referenceImages": [IMAGE, {"uri": IMAGE, "tag": "A"}]}, [
            'ratio: "1:1" is not allowed; it must be one of 1024:1024, 1080:1080, ',
            f'referenceImages[0]: "{IMAGE}" is not allowed; it must be an object with uri; did you mean {{"uri": …}}?',
            'referenceImages[1].tag: "A" is not allowed; it must be a text that matches ^[a-z][a-z0-9_]+$.',
        ]),
        ("recipes/product_ad", {"version": "2026-06", "productImages": IMAGE}, [
            f'productImages: "{IMAGE}" is not allowed; it must be a list of length 1 to 10; did you mean [{{"uri": ',
        ]),
        ("recipes/product_ad", {"version": "2026-06", "images": [], "audio": "yes"}, [
            "images is no field here; did you mean productImages?",
            'audio: "yes" is not allowed; it must be true or false; did you mean true?',
        ]),
        ("recipes/multi_shot_video", {"prompt": "A kite"}, [
            "mode is missing; it must be one of auto, custom.",
            "version is missing; it must be one of 2026-06, unsafe-latest.",
        ]),
        ("video_to_video", {"videoUri": CLIP, "keyframes": [{"uri": IMAGE, "seconds": 1, "at": 0.5}]}, [
            "keyframes[0].at is no field here; still possible: range.",
        ]),
        ("video_to_video", {"videoUri": CLIP, "keyframes": [{"uri": IMAGE, "at": 2, "range": {"start_seconds": -1}}]}, [
            "keyframes[0].at: 2 is not allowed; it must be a number from 0 to 1.",
            "keyframes[0].range.end_seconds is missing; it must be a whole number over 0.",
            "keyframes[0].range.start_seconds: -1 is not allowed; it must be a whole number from 0 up.",
        ]),
        ("sound_effect", {"model": "sound_effect_v1", "promptText": "", "duration": 0}, [
            'promptText: "" is not allowed; it must be a text of length 1 up.',
            "duration: 0 is not allowed; it must be a number over 0.",
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
    ("name", "likely"),
    [
        *((name, "promptText") for name in ("prompt_text", "PromptText", "prompt", "text", "promtText")),
        *(("image", "promptImage"), ("image_url", "promptImage"), ("aspect_ratio", "ratio"), ("size", "ratio")),
        *(("seconds", "duration"), ("length", "duration")),
    ],
)
def test_a_field_in_another_name_is_recognised(name: str, likely: str) -> None:
    given_input = {key: value for key, value in IMAGE_TO_VIDEO.items() if key != likely}
    assert problems("image_to_video", {**given_input, name: 1}) == (f"{name} is no field here; did you mean {likely}?",)


def test_of_many_ratios_some_are_told_and_the_nearest_in_size_is_meant() -> None:
    given_input: dict[str, JsonValue] = {"model": "seedance2", "promptText": "A kite"}
    for ratio, likely in {"16:9": "1280:720", "1920x1088": "1920:1080", "4096:2304": "3840:2160"}.items():
        assert problems("text_to_video", {**given_input, "ratio": ratio})[0].endswith(f"did you mean {likely}?")
    (problem,) = problems("text_to_image", {"model": "gemini_image3.1_flash", "promptText": "A kite", "ratio": "x"})
    assert problem.endswith("256:1024... (56 in all).")


def test_a_signed_url_is_not_repeated() -> None:
    (problem,) = problems("image_to_video", {**IMAGE_TO_VIDEO, "promptImage": "http://x.net/a?_jwt=secret"})
    assert "secret" not in problem
    assert "_jwt=[hidden]" in problem
