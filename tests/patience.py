"""How long tests wait for other processes: long enough that only a hang is one.

No test measures speed by the clock on the wall: a busy machine is no fault of the code. Where a
cost is promised, processor time is counted.
"""

#: Seconds after which a process counts as hung.
HANG = 900.0
