"""Learn by seeing: small trainings whose every number is computed anew, on the tape and by hand.

`evenflow explain --lesson NAME` prints one; its page in the docs is written by the same run.
"""

from __future__ import annotations

from . import (
    centring,
    choosing_activation,
    dead_relu,
    early_stopping,
    four_layers,
    gain_control,
    learnt_activations,
    linear_neuron,
    nested_functions,
    one_hidden_layer,
    online_and_epoch,
    paralysis,
    residual,
    saturation,
    ten_hidden_layers,
    through_time,
)
from .base import Lesson as Lesson
from .base import Result as Result
from .by_hand import Walked as Walked
from .by_hand import walked as walked
from .hand_text import text as step_text
from .lesson_page import lesson_html as lesson_html
from .lesson_text import plain as plain
from .lesson_text import terminal as terminal
from .net_file import NetFile as NetFile
from .net_file import parse as parse_net
from .net_file import read as read_net

__all__ = [
    "REGISTRY",
    "Lesson",
    "NetFile",
    "Result",
    "Walked",
    "beside",
    "lesson_html",
    "parse_net",
    "plain",
    "read_net",
    "step_text",
    "terminal",
    "walked",
]

#: Every lesson, in reading order.
REGISTRY: dict[str, Lesson] = {
    "linear-neuron": linear_neuron.LESSON,
    "nested-functions": nested_functions.LESSON,
    "one-hidden-layer": one_hidden_layer.LESSON,
    "four-layers": four_layers.LESSON,
    "ten-hidden-layers": ten_hidden_layers.LESSON,
    "saturation": saturation.LESSON,
    "paralysis": paralysis.LESSON,
    "gain-control": gain_control.LESSON,
    "centring": centring.LESSON,
    "dead-relu": dead_relu.LESSON,
    "online-and-epoch": online_and_epoch.LESSON,
    "early-stopping": early_stopping.LESSON,
    "through-time": through_time.LESSON,
    "residual": residual.LESSON,
    "choosing-activation": choosing_activation.LESSON,
    "learnt-activations": learnt_activations.LESSON,
}


def beside(name: str) -> tuple[str, str]:
    """The lessons before and after one, "" at the ends."""
    known = ["", *REGISTRY, ""]
    at = known.index(name)
    return known[at - 1], known[at + 1]
