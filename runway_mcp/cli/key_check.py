"""Whether Runway takes a key, by one read that costs nothing."""

from pydantic import SecretStr

from runway_mcp.api.client import open_client
from runway_mcp.api.errors import RunwayError
from runway_mcp.config.settings import Settings


async def try_key(key: SecretStr, settings: Settings) -> RunwayError | None:
    """Read the key's account; return why that failed, or None."""
    try:
        async with open_client(
            api_key=key, base_url=settings.base_url, api_version=settings.api_version, ca_file=settings.ca_file
        ) as client:
            await client.get_organization()
    except RunwayError as error:
        return error
    return None
