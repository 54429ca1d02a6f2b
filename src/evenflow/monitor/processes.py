"""Which of several processes of one training this is."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

#: (rank, number of processes) as launchers tell: torchrun, MPI, Slurm's srun.
_TOLD = (
    ("RANK", "WORLD_SIZE"),
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


def ranks() -> tuple[int, int]:
    """(rank, number of processes): (0, 1) of a training on its own."""
    dist: Any = sys.modules.get("torch.distributed")
    if dist is not None and dist.is_available() and dist.is_initialized():
        return int(dist.get_rank()), int(dist.get_world_size())
    for rank, size in _TOLD:
        try:
            told = int(os.environ.get(rank, "")), int(os.environ.get(size, ""))
        except ValueError:
            continue
        if 0 <= told[0] < told[1] and told[1] > 1:
            return told
    return 0, 1


def facts() -> dict[str, int]:
    """What a run's meta says of it."""
    rank, size = ranks()
    return {"rank": rank, "world_size": size}


def with_rank(path: Path) -> Path:
    """The path with the rank in its name, where several processes train together."""
    rank, size = ranks()
    return path if size == 1 else path.with_name(f"{path.stem}-rank{rank}{path.suffix}")
