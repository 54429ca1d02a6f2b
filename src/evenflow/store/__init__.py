"""The store: one run is one SQLite file, written in the background, read as plain data."""

from .format import MAX_BYTES as MAX_BYTES
from .format import SUFFIX as SUFFIX
from .format import StoreError as StoreError
from .reader import load as load
from .reader import load_findings as load_findings
from .writer import Writer as Writer
