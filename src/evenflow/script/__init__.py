"""Running a script or a module as `python` does. Standard library only, as torch is the script's
to import: it may set thread counts before."""

from .arrival import when_imported as when_imported
from .program import Program as Program
from .running import execute as execute
from .running import flush as flush
from .running import show_error as show_error
from .target import NoTarget as NoTarget
from .target import find as find
from .target import hint as hint
