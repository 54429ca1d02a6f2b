"""The live page: runs as they are written, in a browser on this machine. No torch."""

from .app import application as application
from .serving import serve as serve
