"""Real architectures, static against one pass at every site; the benchmark and its page."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evenflow.forecast.foresee import preflight
from evenflow.forecast.static import forecast_static
from patience import HANG

ROOT = Path(__file__).parents[3]
SMALL = {
    "hidden_size": 192, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4
}  # fmt: skip
IDS = torch.randint(3, 300, (4, 24), generator=torch.Generator().manual_seed(0))


def families() -> dict[str, tuple[Callable[[], nn.Module], Any]]:
    t = pytest.importorskip("transformers")
    ids, words = {"input_ids": IDS}, {"vocab_size": 300, "pad_token_id": 0}
    return {
        "GPT-2": (
            lambda: t.GPT2LMHeadModel(
                t.GPT2Config(n_embd=192, n_layer=4, n_head=4, use_cache=False, **words)
            ),
            ids,
        ),
        "Mamba": (
            lambda: t.MambaForCausalLM(
                t.MambaConfig(hidden_size=192, num_hidden_layers=2, use_cache=False, **words)
            ),
            ids,
        ),
        "BERT": (lambda: t.BertForMaskedLM(t.BertConfig(**words, **SMALL)), ids),
        "ViT": (
            lambda: t.ViTForImageClassification(
                t.ViTConfig(image_size=32, patch_size=8, num_labels=10, **SMALL)
            ),
            (4, 3, 32, 32),
        ),
        "ResNet": (
            lambda: t.ResNetForImageClassification(
                t.ResNetConfig(embedding_size=32, hidden_sizes=[32, 64, 128, 256], num_labels=10,
                               depths=[2, 2, 2, 2], layer_type="basic")
            ),
            (16, 3, 32, 32),
        ),
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GPT-2", "Mamba", "BERT", "ViT", "ResNet"])
def test_every_site_within_three_tenths_of_a_decade(name: str) -> None:
    """Acceptance line 5 of issue 3, first half; small sizes of it are in test_forecasting."""
    factory, inputs = families()[name]
    static = forecast_static(factory, inputs, least=0, name=name)
    torch.manual_seed(11)
    real = preflight(factory(), inputs, seed=5, advise=False)
    ours, theirs = (
        {o.site.name: o.log10_delta for o in f.outlooks if o.site.kind != "input"}
        for f in (static, real)
    )
    assert ours.keys() == theirs.keys()
    known = [n for n, v in ours.items() if math.isfinite(v)]
    assert known == [n for n, v in theirs.items() if math.isfinite(v)]
    apart = {n: abs(ours[n] - theirs[n]) for n in known}
    assert max(apart.values()) < 0.3, max(apart, key=lambda n: apart[n])


@pytest.mark.slow
def test_the_quick_benchmark_clears_its_bars() -> None:
    pytest.importorskip("transformers", reason="comes with the extra 'bench'")
    command = [sys.executable, str(ROOT / "benchmarks/foresight.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    assert "missed" not in done.stderr and "one-pass" in done.stderr


def test_the_page_runs_and_has_its_tables() -> None:
    page = (ROOT / "docs/static-theory.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    space: dict[str, Any] = {}
    exec(code.replace("4096", "1024"), space)
    assert space["forecast"].verdict in ("healthy", "warning", "sick")
    for block, first in (("foresight", "| network | layers |"), ("large", "| weights | sites |")):
        table = page.split(f"<!-- {block} -->\n")[1].split(f"<!-- end of {block} -->")[0]
        assert table.startswith(first) and table.count("\n") > 2
