"""What every test shares."""

import pytest
from hypothesis import settings
from support.described import DOCUMENT

_BY_THE_DOCUMENT = ["catalogue/test_catalogue_document.py", "sandbox/test_sandbox_inputs_document.py"]
collect_ignore = [] if DOCUMENT.is_file() else _BY_THE_DOCUMENT

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, which uvicorn and the SDK's transports need."""
    return "asyncio"
