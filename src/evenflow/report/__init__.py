"""Reports of a judged run: one HTML file, text for a terminal, JSON, and what CI reads."""

from .fault import told_once as told_once
from .github import as_github as as_github
from .jsonable import as_json as as_json
from .jsonable import finite as finite
from .junit import as_junit as as_junit
from .markup import esc as esc
from .markup import pairs as pairs
from .markup import short as short
from .markup import svg_line as svg_line
from .markup import svg_text as svg_text
from .markup import tag as tag
from .network import network_of as network_of
from .page import document as document
from .page import header as header
from .page import html as html
from .page import icon_of as icon_of
from .page import ledger_html as ledger_html
from .printing import print_wrapped as print_wrapped
from .printing import writable as writable
from .sarif import as_sarif as as_sarif
from .sentences import damage as damage
from .sentences import headline as headline
from .sentences import names as names
from .sentences import remedies as remedies
from .sentences import severity as severity
from .terminal import text as text
