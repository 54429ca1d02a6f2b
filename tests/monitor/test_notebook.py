"""A real kernel: the picture grows below the cell, every object shows itself, weights are equal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

pytestmark = pytest.mark.filterwarnings("ignore")  # the client's own

TRAIN = """
import os, time
import torch, evenflow
torch.set_num_threads(1)
def train(watched, **more):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(8, 8), torch.nn.Sigmoid()] * 12
    net = torch.nn.Sequential(*layers, torch.nn.Linear(8, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    watch = evenflow.watch(net, optimizer, every=1, **more) if watched else None
    began = step = 0
    while step < 60 or (watched and more.get("live", True) and drawn() < 2 and step < 20_000):
        x, y = torch.randn(16, 8), torch.randint(2, (16,))
        if step < 60:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            optimizer.step()
            if step == 40:
                kept = [p.detach().clone() for p in net.parameters()], torch.rand(3)
        else:
            time.sleep(0.01)
        step += 1
    if watch is not None:
        watch.close()
    return net, watch, [*kept[0], *[p.detach() for p in net.parameters()], kept[1]]
updates = []
def drawn():
    return len(updates)
from IPython.display import DisplayHandle
inner = DisplayHandle.update
def update(self, *args, **more):
    inner(self, *args, **more)
    updates.append(1)
DisplayHandle.update = update
"""

CELLS = {
    "train": TRAIN,
    "bare": "net, _, bare = train(False)",
    "live": "net, watch, live = train(True, run='live.evenflow')",
    "off": "_, _, off = train(True, run='off.evenflow', live=False)",
    "switched": "os.environ['EVENFLOW_LIVE'] = '0'; _ = train(True, run='0.evenflow', live=False)",
    "equal": "print([all(map(torch.equal, bare, other)) for other in (live, off)], drawn() >= 2)",
    "watch": "watch",
    "run": "evenflow.load('live.evenflow')",
    "ledger": "evenflow.explain(net(torch.randn(4, 8)).square().mean(), net)",
    "forecast": "evenflow.preflight(net, (16, 8))",
    "checkup": "data = torch.randn(16, 8), torch.randint(2, (16,))\n"
    "evenflow.checkup(net, data, torch.nn.functional.cross_entropy)",
    "cure": "from evenflow.trial import Cure\n"
    "Cure('cured', 'loss', False, chosen='norm=batch', notes=('<b>',))",
    "unfitted": "from evenflow.fit import NetworkClassifier\nNetworkClassifier(epochs=3)",
    "fitted": "import numpy as np\nX = np.linspace(-1, 1, 60)[:, None]\n"
    "NetworkClassifier(hidden=4, epochs=5, random_state=0).fit(X, X[:, 0] > 0)",
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """(cell's outputs by name, messages that updated a display)."""
    updates = []

    class Client(nbclient.NotebookClient):  # type: ignore[misc,name-defined]
        def process_message(self, msg: Any, cell: Any, index: int) -> Any:
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"])
            return super().process_message(msg, cell, index)

    book = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, CELLS.values())])
    folder: Path = tmp_path_factory.mktemp("notebook")
    client = Client(
        book, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    yield {name: cell.outputs for name, cell in zip(CELLS, book.cells, strict=True)}, updates


def shown(outputs: list[Any]) -> str:
    (html,) = [o["data"]["text/html"] for o in outputs if "text/html" in o.get("data", {})]
    return str(html)


def test_the_picture_is_updated_while_the_cell_runs(kernel: Any) -> None:
    outputs, updates = kernel
    growing = [u["text/html"] for u in updates]
    assert len(growing) >= 3 and "data:image/png;base64," in growing[0]
    assert any("training" in html for html in growing)
    (last,) = outputs["live"]
    assert last["output_type"] == "display_data" and last["data"]["text/html"] == growing[-1]
    assert "Vanishing gradient" in growing[-1]
    assert last["data"]["text/plain"] == "evenflow: a picture of the training"


def test_weights_are_equal_to_the_bit_and_it_can_be_switched_off(kernel: Any) -> None:
    outputs, _updates = kernel
    assert outputs["equal"][0]["text"] == "[True, True] True\n"
    assert outputs["off"] == [] and outputs["switched"] == []


OBJECTS = {
    "watch": "Sick", "run": "EF101", "ledger": "Decades", "forecast": "gradient by layer",
    "checkup": "Experiment", "cure": "norm=batch", "fitted": "the best constant",
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_show_themselves(name: str, kernel: Any) -> None:
    html = shown(kernel[0][name])
    assert OBJECTS[name] in html
    if name != "fitted":  # scikit-learn's diagram has a style sheet and a script
        assert not re.search(r"<script|<style|<svg|https?://|\son\w+=", html)
        assert len(html) < 60_000


def test_an_estimator_keeps_its_diagram(kernel: Any) -> None:
    html = shown(kernel[0]["fitted"])
    assert "sk-container" in html.partition("the best constant")[0]
    assert "the best constant" not in shown(kernel[0]["unfitted"])


def test_what_a_user_wrote_is_escaped(kernel: Any) -> None:
    assert "&lt;b&gt;" in shown(kernel[0]["cure"])
