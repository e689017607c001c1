"""An authorization server for the tests of access tokens."""

from collections.abc import AsyncGenerator

import pytest
from support.authority import AuthorizationServer, authority


@pytest.fixture(scope="module", name="shared")
async def shared_authority() -> AsyncGenerator[AuthorizationServer]:
    async with authority() as server:
        yield server


@pytest.fixture(name="server")
def authority_that_begins_anew(shared: AuthorizationServer) -> AuthorizationServer:
    shared.begin_anew()
    return shared
