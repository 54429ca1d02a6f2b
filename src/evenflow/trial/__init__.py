"""Trials of treatments: runs of an unmodified script, judged side by side.

Importing it costs the standard library only: a trial's process imports it before the script runs.
"""

from .job import Job as Job
from .job import Outcome as Outcome
from .job import Program as Program
