"""What the sandbox makes opens elsewhere: decoded by FFmpeg's libraries."""

from io import BytesIO

import av
import pytest

from runway_mcp.sandbox.media import FORMATS, Kind, render

_STREAMS: dict[Kind, tuple[str, int, int]] = {
    "video": ("h264", 256, 144),
    "image": ("png", 256, 144),
    "audio": ("pcm_s16le", 8000, 1),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_player_opens_every_kind_of_output(kind: Kind) -> None:
    """All of it is decoded, lasts as long as it says, and is what it was made as."""
    with av.open(BytesIO(render(kind, 1)), "r", options={"err_detect": "explode"}) as opened:
        (stream,) = opened.streams
        frames = list(opened.decode(stream))
        codec = stream.codec_context
        match stream:
            case av.VideoStream():
                found = (codec.name, stream.width, stream.height)
                assert len(frames) == (12 if kind == "video" else 1)
            case _:
                assert isinstance(stream, av.AudioStream)
                found = (codec.name, stream.sample_rate, stream.channels)
                assert sum(frame.samples for frame in frames if isinstance(frame, av.AudioFrame)) == 8000
    assert found == _STREAMS[kind]
