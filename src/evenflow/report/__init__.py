"""Reports of a judged run: one HTML file, text for a terminal, JSON."""

from .data import as_json as as_json
from .page import html as html
from .page import ledger_html as ledger_html
from .telling import damage as damage
from .telling import headline as headline
from .terminal import text as text
