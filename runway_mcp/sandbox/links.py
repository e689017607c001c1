"""Signed rights to a file: the ``_jwt`` query parameter of the API's output URLs, and slots for uploads.

A link opens one file for a day without a key, so the token names the file and its expiry and is
signed (RFC 7519, HS256) with a key each sandbox makes for itself. A slot's token names the fields
of its form in place of a file.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

LIFETIME = 86_400.0  # seconds of clock time, the shortest the API promises

_HEADER = {"alg": "HS256", "typ": "JWT"}


def sign(key: bytes, file: str, now: float, lifetime: float = LIFETIME) -> str:
    """Make a token that opens ``file`` for so many seconds from ``now``, in UNIX seconds."""
    content = f"{_encode(_HEADER)}.{_encode({'file': file, 'exp': now + lifetime})}"
    return f"{content}.{_signature(key, content)}"


def opens(key: bytes, token: str, file: str, now: float) -> bool:
    """Whether a token was made here, for this file, and has not expired."""
    content, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(key, content).encode()):
        return False
    payload = content.partition(".")[2]
    claims: dict[str, object] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    expiry = claims["exp"]
    return claims["file"] == file and isinstance(expiry, float) and now < expiry


def _encode(part: dict[str, object] | dict[str, str]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _signature(key: bytes, content: str) -> str:
    return _base64(hmac.digest(key, content.encode(), hashlib.sha256))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
