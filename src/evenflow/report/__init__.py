"""Reports of a judged run: one HTML file, text for a terminal, JSON."""

from .jsonable import as_json as as_json
from .jsonable import finite as finite
from .markup import esc as esc
from .markup import pairs as pairs
from .markup import svg_line as svg_line
from .markup import svg_text as svg_text
from .markup import tag as tag
from .network import network_of as network_of
from .page import document as document
from .page import header as header
from .page import html as html
from .page import icon_of as icon_of
from .page import ledger_html as ledger_html
from .sentences import damage as damage
from .sentences import headline as headline
from .sentences import names as names
from .sentences import remedies as remedies
from .sentences import severity as severity
from .terminal import print_wrapped as print_wrapped
from .terminal import text as text
from .terminal import writable as writable
