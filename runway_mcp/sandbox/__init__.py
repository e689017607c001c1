"""A simulated Runway API: what the project's tests, its demo and a first look use in place of the real one.

It is written from the API's published description and shares no code with the rest of the
package, so that a mistake of ours cannot agree with itself.
"""

from runway_mcp.sandbox.app import create_app
from runway_mcp.sandbox.faults import Fault
from runway_mcp.sandbox.samples import SAMPLES, Sample

__all__ = ["SAMPLES", "Fault", "Sample", "create_app"]
