"""Who waits for whose files: each caller for their own alone."""

from runway_mcp.config.sources import load
from runway_mcp.tasks.callers import READ, Caller
from runway_mcp.wiring.file_access import open_files


async def test_a_caller_has_a_client_of_their_own_in_all_calls() -> None:
    """So that what they do at once is limited for them alone; the same name of another issuer is somebody else's."""
    async with open_files(load({})) as allowed:
        ann = allowed(Caller("ann")).transfers
        assert allowed(Caller("ann", scopes=frozenset({READ}))).transfers is ann
        others = [allowed(Caller("bob")).transfers, allowed(Caller("ann", "https://issuer.example")).transfers]
        assert len({ann, *others}) == 3
