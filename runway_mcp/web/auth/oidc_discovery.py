"""Requests to the authorization server: limited in time and size, never redirected."""

import ssl
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
import httpx2
from pydantic import BaseModel, JsonValue, ValidationError

TOTAL_SECONDS = 8.0
MAX_REPLY = 512 * 1024
"""Maximum bytes of a response; the largest key sets have some tens of thousands."""
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OidcDiscoveryError(Exception):
    """The authorization server gave no usable answer. The message is for the log and holds no secret.

    Attributes:
        status: The HTTP status that it answered with instead of 200, if it answered.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _Metadata(BaseModel):
    issuer: str
    jwks_uri: str


class _KeySet(BaseModel):
    keys: list[JsonValue]


class OidcDiscovery:
    """The authorization server of an issuer, by its URL exactly as it writes it. It may take `seconds` to answer.

    `trust` makes the TLS context; it is called before the first request over https.
    """

    def __init__(self, issuer: str, *, trust: Callable[[], ssl.SSLContext], seconds: float = TOTAL_SECONDS) -> None:
        self.issuer = issuer
        self.seconds = seconds
        self._trust = cache(trust)

    async def key_set(self) -> list[JsonValue]:
        """Return its signing keys (RFC 7517), found by its metadata (RFC 8414, or OpenID Connect Discovery).

        Raises:
            OidcDiscoveryError: They can't be fetched.
        """
        try:
            with anyio.fail_after(self.seconds):
                url = await self._jwks_uri()
                return _KeySet.model_validate_json(await self.ask("GET", url)).keys
        except ValidationError:
            raise OidcDiscoveryError(f"{self.issuer} has no usable key set") from None
        except TimeoutError:
            raise OidcDiscoveryError(f"{self.issuer} did not answer in time") from None

    async def ask(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None
    ) -> bytes:
        """Return the body of a response with status 200. An error names the URL, and nothing of the form.

        Raises:
            OidcDiscoveryError: There was no such response in time.
        """
        encrypted = url.startswith("https:")
        try:
            with anyio.fail_after(self.seconds):
                async with (
                    httpx2.AsyncClient(
                        follow_redirects=False,
                        timeout=self.seconds,
                        trust_env=encrypted,  # http is only for this machine: no proxy is asked for it
                        verify=self._trust() if encrypted else False,
                        auth=auth,
                        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                    ) as http,
                    http.stream(method, url, data=form) as response,
                ):
                    body = bytearray()
                    async for chunk in response.aiter_bytes():
                        body += chunk
                        if len(body) > MAX_REPLY:
                            raise OidcDiscoveryError(f"{url} answered with more than {MAX_REPLY} bytes")
        except (httpx2.HTTPError, httpx2.InvalidURL, ImportError, OSError, ValueError) as error:
            raise OidcDiscoveryError(f"{url} was not reached ({type(error).__name__})") from None
        if response.status_code != HTTPStatus.OK:
            raise OidcDiscoveryError(f"{url} answered {response.status_code}", response.status_code)
        return bytes(body)

    async def _jwks_uri(self) -> str:
        reasons: list[str] = []
        for url in _metadata_urls(self.issuer):
            try:
                metadata = _Metadata.model_validate_json(await self.ask("GET", url))
            except OidcDiscoveryError as error:
                reasons.append(str(error))
            except ValidationError:
                reasons.append(f"{url} is no metadata with issuer and jwks_uri")
            else:
                if metadata.issuer != self.issuer:
                    reasons.append(f"{url} is the metadata of another issuer")
                elif not _is_safe(metadata.jwks_uri):
                    reasons.append(f"{url} names a jwks_uri that is not https")
                else:
                    return metadata.jwks_uri
        raise OidcDiscoveryError("; ".join(reasons))


def _metadata_urls(issuer: str) -> list[str]:
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = [
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    ]
    return urls if path else urls[:2]


def _is_safe(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
