"""Texts in a picture's place: which data URIs are taken, and what the others are told to be."""

import mimetypes

import pytest

from runway_mcp.api.input_types import INPUT_TYPES
from runway_mcp.catalogue.media_inputs import UPLOAD_FIRST, hint
from runway_mcp.catalogue.validation import InvalidRequestError, prepare
from runway_mcp.files.media_types import detect


def problem(image: str) -> str:
    """What is wrong with an image to start from; empty where it is taken."""
    body = {"model": "gen4.5", "promptImage": image, "promptText": "A kite", "ratio": "1280:720", "duration": 5}
    try:
        prepare("image_to_video", dict(body), allow_unknown=False)
    except InvalidRequestError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("type", ["image/png", "image/jpeg", "image/jpg", "image/webp"])
@pytest.mark.parametrize("end", [";base64,AAAA", ",AAAA", ";charset=x;base64,AAAA"])
def test_a_picture_in_a_data_uri_is_of_a_type_that_runway_takes(type: str, end: str) -> None:  # noqa: A002 - its name
    assert problem(f"data:{type}{end}") == ""


@pytest.mark.parametrize("type", ["gif", "svg+xml", "bmp", "heic", "tiff", "avif", "x", "", "png.exe"])
def test_another_type_is_refused_as_a_file_of_it_would_be(type: str) -> None:  # noqa: A002 - its name
    said = problem(f"data:image/{type};base64,AAAA")
    assert said.endswith(
        "; that is no image (JPEG, PNG, WebP), video (MP4, MOV, WebM, MKV, OGV) or sound (MP3, WAV, "
        "M4A, AAC, FLAC, OGG)."
    )


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "mp4", "mov", "webm", "mp3", "wav", "m4a", "aac"])
def test_what_the_standard_library_calls_these_files_is_taken(extension: str) -> None:
    """It writes most data URIs."""
    name, _ = mimetypes.MimeTypes().guess_type(f"a.{extension}", strict=False)
    assert name is None or name in INPUT_TYPES or any(name in others for others in INPUT_TYPES.values())


def test_the_types_of_files_are_the_same_list() -> None:
    """A file is known by its content, which must be one of these; GIF is known for outputs alone."""
    gif = detect(b"GIF89a\x80\0")
    assert gif
    assert gif.name not in INPUT_TYPES


@pytest.mark.parametrize(
    "text",
    [
        "kite.png",
        "My kite (1).JPEG",
        "/mnt/user-data/uploads/kite.png",
        "/mnt/data/kite.png",
        "sandbox:/mnt/data/kite.png",
        "file-service://file-8KTh2",
        "attachment://kite.png",
        "attachment:0",
        "blob:https://chat.example/17f2",
        "content://media/external/images/7",
        "file-8KTh2",
        "image_0",
        "attachment",
        "<image>",
    ],
)
def test_a_picture_of_the_chat_is_told_to_be_elsewhere(text: str) -> None:
    said = problem(text)
    assert "a picture attached to the chat is not on this machine: save it into a folder" in said
    assert said.endswith(f"{UPLOAD_FIRST}.")


@pytest.mark.parametrize("text", ["/home/me/kite.png", "~/kite.png", "C:\\kite.png", "file:///kite.png", "./kite.png"])
def test_a_path_has_to_be_uploaded_first(text: str) -> None:
    assert hint(text) == UPLOAD_FIRST


@pytest.mark.parametrize("text", ["http://example.com/a.jpg", "htps://example.com/a.jpg", "example.com/a", "a kite"])
def test_anything_else_gets_no_such_hint(text: str) -> None:
    assert hint(text) == ""
    assert "chat" not in problem(text)


@pytest.mark.parametrize("uri", ["data:image/png;base64,", "data:image/png,", "data:image/png;base64"])
def test_a_data_uri_without_data_is_named_for_it(uri: str) -> None:
    said = problem(uri)
    assert "holds no data" in said
    assert "Base64 after the comma" in said
