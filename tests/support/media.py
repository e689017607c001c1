"""Videos and sounds of a length that a test chooses, as FFmpeg's libraries write them."""

import io
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

_RATE = 48_000
_PICTURES = 24
_CHUNK = 1_000


def video(seconds: float, form: str = "mp4", **options: str) -> bytes:
    """Return a video without a sound track: green, 16 pixels a side, 24 pictures a second."""
    file = io.BytesIO()
    made: Any = av.open(file, "w", format=form, options=options)  # av's own types are partly unknown
    with made:
        stream = made.add_stream("mpeg4", rate=_PICTURES)
        stream.width = stream.height = 16
        for number in range(round(seconds * _PICTURES)):
            picture = VideoFrame(16, 16, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, _PICTURES)
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return file.getvalue()


def sound(seconds: float, form: str = "wav", codec: str = "pcm_s16le", **options: str) -> bytes:
    """Return silence of one channel, in chunks that do not always fill a frame."""
    file = io.BytesIO()
    made: Any = av.open(file, "w", format=form, options=options)
    with made:
        stream = made.add_stream(codec, rate=_RATE, layout="mono")
        name, samples = stream.codec_context.format.name, int(seconds * _RATE)
        for start in range(0, samples, _CHUNK):
            chunk = AudioFrame(format=name, layout="mono", samples=min(_CHUNK, samples - start))
            for plane in chunk.planes:
                plane.update(bytes(plane.buffer_size))
            chunk.sample_rate, chunk.pts, chunk.time_base = _RATE, start, Fraction(1, _RATE)
            made.mux(stream.encode(chunk))
        made.mux(stream.encode(None))
    return file.getvalue()
