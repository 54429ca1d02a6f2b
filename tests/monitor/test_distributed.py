"""Two gloo processes: watched and unwatched ranks end with the same bits, and nobody waits."""

import subprocess
import sys
from pathlib import Path

import pytest

import evenflow
from patience import HANG

WORKER = Path(__file__).with_name("ddp_worker.py")


def train(folder: Path, kind: str, watched: bool) -> list[str]:
    """What each rank printed."""
    name = "watched" if watched else "bare"
    ranks = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(rank), str(folder / name), kind,
             *([str(folder / f"{rank}.evenflow")] if watched else [])],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        outs = [p.communicate(timeout=HANG) for p in ranks]
    finally:
        for p in ranks:
            p.kill()
    assert [p.returncode for p in ranks] == [0, 0], "\n".join(err[-2000:] for _, err in outs)
    return [out for out, _ in outs]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_distributed_weights_are_equal_to_the_bit(tmp_path: Path, kind: str) -> None:
    if kind == "fsdp2":
        pytest.importorskip("torch.distributed.fsdp")
    bare, watched = train(tmp_path, kind, False), train(tmp_path, kind, True)
    assert bare == watched
    for rank in (0, 1):
        run = evenflow.load(tmp_path / f"{rank}.evenflow")
        assert list(run.steps) == list(range(0, 40, 2 + rank))
        metrics = {(c.of, c.metric) for c in run.columns}
        assert {("site", "rms"), ("site", "delta"), ("param", "update")} <= metrics
        assert not [e for e in run.events if e.kind == "stopped"]
        # FSDP2 puts gathered weights in the place of the shards: one parameter all the same.
        assert all(p.optimizer == 0 and p.name.endswith((".weight", ".bias")) for p in run.params)
        assert all(len(s.params) == 2 for s in run.sites if s.op == "linear")
