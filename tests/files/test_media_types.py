"""A file's type by its first bytes, as encoders write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runway_mcp.files.media_types import detect, detect_output
from runway_mcp.sandbox.output_files import FORMATS as FILES_OF_OUTPUTS
from runway_mcp.sandbox.output_files import OutputFile

WEBM = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
MKV = bytes.fromhex("1a45dfa3a34286810142f7810142f2810442f381084282886d6174726f736b614287810442858102")
OGV = bytes.fromhex("4f676753000200000000000000007da15cb20000000075484ec2012a807468656f7261030201")
OGG = bytes.fromhex("4f67675300020000000000000000cc3a38690000000083688ccc011e01766f7262697300000000")
OPUS = bytes.fromhex("4f6767530002000000000000000067eb49fb000000002c67431901134f70757348656164010138")
RF64 = bytes.fromhex("52463634ffffffff57415645647336341c000000f258010000000000")

FILES = {
    "image/jpeg": [b"\xff\xd8\xff\xe0\0\x10JFIF\0", b"\xff\xd8\xff\xe1\0\x18Exif\0"],
    "image/png": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"],
    "image/gif": [b"GIF87a\x80\0", b"GIF89a\x80\0"],
    "image/webp": [b"RIFF\x84\x04\0\0WEBPVP8 ", b"RIFF\x84\x04\0\0WEBPVP8X"],
    "video/mp4": [b"\0\0\0\x20ftyp" + brand + b"\0\0\2\0" for brand in (b"isom", b"iso6", b"mp42", b"avc1", b"M4V ")],
    "video/quicktime": [b"\0\0\0\x14ftypqt  \0\0\2\0", b"\0\0\0\x08wide\0\0\x2dTmdat", b"\0\0\4\0moov\0\0\0\x6cmvhd"],
    "video/webm": [WEBM],
    "video/x-matroska": [MKV],
    "video/ogg": [OGV],
    "audio/ogg": [OGG, OPUS],
    "audio/mp4": [b"\0\0\0\x1cftypM4A \0\0\2\0M4A isom"],
    "audio/wav": [b"RIFF\xa2\x58\1\0WAVEfmt ", RF64],
    "audio/flac": [b"fLaC\0\0\0\x22\x12\0"],
    "audio/mpeg": [
        b"ID3\4\0\0\0\0\0\x23TSSE",
        b"\xff\xfb\x50\xc4\0\0",
        b"\xff\xfb\xe4\xc4\0\0",
        b"\xff\xf3\x40\xc4\0\x14",
        b"\xff\xe3\x40\xc4\0\x14",
    ],
    "audio/aac": [b"\xff\xf1\x50\x40\x21\x3f", b"\xff\xf9\x50\x40\x21\x3f"],
}

NOT_MEDIA = [
    b"",
    b"GIF",
    b"\xff\xfb",
    b"plain text",
    b"ID3 is a kind of tag, and this is a text about it",
    b"<!doctype html><html>",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    b'{"error": "not found"}',
    b"PK\3\4\x14\0\0\0",
    b"%PDF-1.7\n",
    b"\x7fELF\2\1\1\0",
    b"\xff\xfeh\0e\0l\0l\0o\0",
    b"RIFF\0\0\0\0AVI LIST",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypcrx \0\0\0\1",
    b"see the moov box",
    b"\x1a\x45\xdf\xa3" + bytes(600) + b"webm",
    bytes(1024),
]


@pytest.mark.parametrize(("name", "head"), [(name, head) for name, heads in FILES.items() for head in heads])
def test_a_file_is_what_it_begins_with(name: str, head: bytes) -> None:
    """Whether only its first bytes are at hand or many more."""
    for more in (b"", bytes(1000), b"\xff" * 1000):
        found = detect(head + more)
        assert found
        assert found.name == name
        assert detect_output(head + more) == found


def test_each_type_has_an_extension_of_its_own() -> None:
    found = [detect(heads[0]) for heads in FILES.values()]
    extensions = " ".join(one.extension for one in found if one)
    assert extensions == "jpg png gif webp mp4 mov webm mkv ogv ogg m4a wav flac mp3 aac"


@pytest.mark.parametrize("file", FILES_OF_OUTPUTS.values(), ids=FILES_OF_OUTPUTS)
def test_what_the_sandbox_gives_is_known(file: OutputFile) -> None:
    found = detect_output(file.path.read_bytes())
    assert found
    assert (found.name, f".{found.extension}") == (file.content_type, file.path.suffix)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8">'


@pytest.mark.parametrize(
    "head",
    [
        SVG,
        b"<svg>",
        b'\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>\r\n' + SVG,
        b"\n <!-- Made > by\n a program --> <!-- again -->" + SVG,
        b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://example.com/svg11.dtd">' + SVG,
        b'<!DOCTYPE svg [ <!ENTITY a "b"> ]>\n' + SVG,
        b'<svg:svg xmlns:svg="http://www.w3.org/2000/svg">',
    ],
)
def test_a_drawing_is_an_output_but_no_input(head: bytes) -> None:
    """Runway makes SVG files, and takes none."""
    found = detect_output(head)
    assert found
    assert (found.name, found.extension) == ("image/svg+xml", "svg")
    assert detect(head) is None


@pytest.mark.parametrize(
    "head",
    [b"<svgx>", b"<html><svg>", b"a <svg>", b"<!DOCTYPE html><svg>", b"<!-- <svg>", b'<?xml version="1.0"?><Error>'],
)
def test_a_page_that_holds_a_drawing_is_none(head: bytes) -> None:
    assert detect_output(head) is None


@pytest.mark.parametrize("head", NOT_MEDIA, ids=repr)
def test_anything_else_is_nothing(head: bytes) -> None:
    """Text, pages, errors, archives, programs, and pictures and films that Runway does not take."""
    assert detect(head) is None


def test_an_archive_is_an_output_but_no_input() -> None:
    """Runway gives the images of a video so, and takes none."""
    archive = b"PK\3\4\x14\0\0\0"
    found = detect_output(archive)
    assert found
    assert (found.name, found.extension) == ("application/zip", "zip")
    assert detect(archive) is None


@given(st.text())
def test_no_text_is_a_medium(text: str) -> None:
    """Not in UTF-8, unless it begins as one of the few that are spelled in letters."""
    assert detect(text.encode()) is None or text.startswith(("GIF8", "RIFF", "OggS", "fLaC", "ID3")) or "ftyp" in text
