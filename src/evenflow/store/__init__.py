"""The store: one run is one SQLite file, written in the background, read as plain data."""

from .format import FOLDER as FOLDER
from .format import MAX_BYTES as MAX_BYTES
from .format import SUFFIX as SUFFIX
from .format import StoreError as StoreError
from .news import News as News
from .news import Position as Position
from .news import follow as follow
from .reader import is_predicted as is_predicted
from .reader import load as load
from .sink import is_run as is_run
from .sink import made_folder as made_folder
from .sink import refuse_others as refuse_others
from .sink import stem_of as stem_of
from .writer import Writer as Writer
