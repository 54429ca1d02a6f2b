"""Static forecast: a network too large to build, foreseen from its initialisation alone.

`matrix`, `unseen` and `build` draw what random weights do to a few samples without ever storing the
weights; `forecasting` reads one pass through such a model.
"""

from .forecasting import forecast_static as forecast_static
