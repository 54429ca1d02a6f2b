"""`evenflow run --live`: a picture of the training at the terminal's bottom, drawn by a process
of its own. The script's streams are left alone: it writes to the terminal as ever."""

from .display import LiveDisplay as LiveDisplay
from .display import live_display as live_display
