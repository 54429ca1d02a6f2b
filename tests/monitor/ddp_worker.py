"""One rank of a training on two gloo processes: python ddp_worker.py RANK FILE KIND [RUN].

Prints the weights' bits after 40 steps; with RUN the training is watched.
"""

import hashlib
import os
import sys

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy

import evenflow


def main(rank: int, file: str, kind: str, run: str | None) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model: nn.Module = nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(inplace=True), nn.Linear(16, 4)
    )
    if kind == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.fsdp import fully_shard

        model = nn.Sequential(*(m for m in model if not isinstance(m, nn.BatchNorm1d)))
        mesh = dist.device_mesh.init_device_mesh("cpu", (2,))
        for layer in (model[0], model[2]):
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    # Ranks that sample different steps must not wait for each other.
    watch = evenflow.watch(run=run, every=2 + rank) if run else None
    draw = torch.Generator().manual_seed(rank)
    for _ in range(40):
        x = torch.randn(16, 8, generator=draw)
        y = torch.randint(0, 4, (16,), generator=draw)
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    shards = [getattr(p, "to_local", lambda p=p: p)().detach() for p in model.parameters()]
    bits = b"".join(s.contiguous().numpy().tobytes() for s in shards)
    print(hashlib.sha256(bits).hexdigest(), torch.initial_seed())
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
