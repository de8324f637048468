"""Every fault there is."""

from tests.faults.disks import DISKS
from tests.faults.ends import ENDS
from tests.faults.fault import Fault
from tests.faults.silence import SILENCE
from tests.faults.verbs import Verb

FAULTS: tuple[Fault, ...] = (*ENDS, *SILENCE, *DISKS)
# What befalls one host of several, or the client while that host is at a step.
OF_ONE = {"cut", "silent", "step-killed", "session-killed", "disk-full", "read-only", "killed-inside"}


def met_by(verb: Verb) -> tuple[Fault, ...]:
    """The faults that a verb meets."""
    return tuple(fault for fault in FAULTS if fault.name in OF_ONE) if verb.beside else FAULTS
