"""Every fault there is."""

from tests.faults.disks import DISKS
from tests.faults.ends import ENDS
from tests.faults.fault import Fault
from tests.faults.silence import SILENCE

FAULTS: tuple[Fault, ...] = (*ENDS, *SILENCE, *DISKS)
