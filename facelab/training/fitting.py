"""Training of the small networks that look at faces: AdamW with one cycle, the weights averaged, resumable."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HALF_LIFE = 300  # steps, of the moving average


@dataclass(frozen=True)
class FitSettings:
    """steps: in all. batch: pictures a step. learning_rate: the cycle's peak. weight_decay: AdamW's. seed: of all that
    is random. minutes: between checkpoints.
    """

    steps: int
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up: float = 0.1
    seed: int = 0
    minutes: float = 4.0


def fit(
    network: nn.Module,
    loss_of: Callable[[nn.Module, int], dict[str, Tensor]],
    settings: FitSettings,
    *,
    checkpoint: Path | None = None,
    report: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
) -> nn.Module:
    """Train `network` for settings.steps steps and return its moving average, in eval mode.

    loss_of(network, step) makes the loss terms of one step, all to be summed, a pure function of the step and the
    weights. checkpoint: written every few minutes, gone on from when it is there.
    """
    average = copy.deepcopy(network).requires_grad_(False)
    decayed = [value for value in network.parameters() if value.ndim > 1 and value.requires_grad]
    plain = [value for value in network.parameters() if value.ndim <= 1 and value.requires_grad]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, foreach=True)
    network.to(memory_format=torch.channels_last).train()
    begin = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        begin = state["step"]
    saved = time.monotonic()
    for step in range(begin, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * one_cycle(step / settings.steps, warm_up=settings.warm_up)
        losses = loss_of(network, step)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        _follow(average, network, step)
        report(step + 1, {name: value.item() for name, value in losses.items()})
        if checkpoint is not None and time.monotonic() - saved > 60 * settings.minutes:
            _save(checkpoint, network, average, optimizer, step + 1)
            saved = time.monotonic()
    if checkpoint is not None:
        _save(checkpoint, network, average, optimizer, settings.steps)
    return average.eval()


def one_cycle(progress: float, *, warm_up: float) -> float:
    """The share of the peak learning rate at `progress` in [0, 1]: a linear rise, then a cosine down to 0."""
    if progress < warm_up:
        return progress / warm_up + 1e-3
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, step: int) -> None:
    keep = min(0.5 ** (1 / HALF_LIFE), step / (step + 10))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - keep)
    for mine, theirs in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(theirs)


def _save(path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    state: dict[str, Any] = {
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)
