"""What the process has done so far: counts for its operator, which cost an addition each."""

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """Counts since the start.

    Attributes:
        polls: Tasks read from Runway.
        shared_reads: Reads that were answered from a state less than a poll interval old.
    """

    polls: int = 0
    shared_reads: int = 0
