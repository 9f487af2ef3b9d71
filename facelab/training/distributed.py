"""Training by several processes, one a device: `torchrun --nproc-per-node 2 -m -- facelab train ...` (after `--`
torchrun leaves alone what it would take for its own option: `--start` for `--start-method`).

Each process trains on its share of every batch; gradients and statistics are averaged, so that all hold the same
networks, and the first one writes the files. Alone, every function here does nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Be part of the group that torchrun started, if it did: nccl between GPUs, gloo between processors."""
    if "WORLD_SIZE" not in os.environ or not dist.is_available():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def first_alone() -> Iterator[None]:
    """The first process goes through this block while the others wait, then they do."""
    if world() > 1 and rank() > 0:
        dist.barrier()
    yield
    if world() > 1 and rank() == 0:
        dist.barrier()


def rank() -> int:
    """The number of this process in its group, from 0."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def average(tensors: Sequence[Tensor]) -> None:
    """Replace float32 tensors of one device by their means over all processes: one message for all of them."""
    if world() == 1 or not tensors:
        return
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= world()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))


def average_gradients(network: torch.nn.Module) -> None:
    """Average what backward() left in a network's parameters; those that took no part must be the same everywhere."""
    average([value.grad for value in network.parameters() if value.grad is not None])


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    if world() == 1:
        return flag
    raised = torch.tensor(float(flag), device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(raised, dist.ReduceOp.MAX)
    return bool(raised.item())
