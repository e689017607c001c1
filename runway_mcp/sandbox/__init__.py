"""A simulated Runway API, driven by the catalogue's data: for tests, the demo and a first look.

It shares no code with the rest of the package, so that a mistake of ours cannot agree with itself.
"""

from runway_mcp.sandbox.faults import Fault
from runway_mcp.sandbox.samples import SAMPLES, Sample
from runway_mcp.sandbox.simulated_api import create_app

__all__ = ["SAMPLES", "Fault", "Sample", "create_app"]
