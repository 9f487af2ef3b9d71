"""Training of the small networks that look at faces: AdamW with one cycle, and a moving average of the weights."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facelab.errors import BadSetting
from facelab.training import distributed
from facelab.training.settings import FitSettings

HALF_LIFE = 300  # steps, of the moving average
GRADIENT_LIMIT = 5.0


class Fitting(ABC):
    """A supervised training as run.Trainer wants it; a family says what the loss of a batch is.

    Raises BadSetting for a batch in parts or several processes: one process sees a batch as a whole.
    """

    columns: Sequence[str] = ()

    def __init__(self, network: nn.Module, settings: FitSettings, *, device: torch.device) -> None:
        if settings.accumulate > 1 or distributed.world() > 1:
            raise BadSetting(
                "A small network is trained by one process, by whole batches. Leave out --accumulate and torchrun."
            )
        self.settings, self.device = settings, device
        self.network = network.to(device=device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(network).requires_grad_(False)
        parameters = list(network.parameters())
        groups = [
            {"params": [value for value in parameters if value.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [value for value in parameters if value.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, foreach=True)
        self.steps = self.images = 0

    @abstractmethod
    def losses(self, batch: Any, draw: torch.Generator) -> dict[str, Tensor]:
        """The terms of the loss, all to be summed; what is random is drawn from `draw`, seeded by the step."""

    def step(self, batch: Any) -> dict[str, float]:
        """Train on one batch; returns the terms of the loss."""
        settings = self.settings
        torch.manual_seed(settings.seed + self.steps)  # dropout
        rate = settings.learning_rate * one_cycle(self.images / settings.images, warm_up=settings.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = self.losses(batch, torch.Generator().manual_seed(settings.seed + self.steps))
        self.optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_LIMIT)
        self.optimizer.step()
        self._follow()
        self.steps += 1
        self.images += settings.batch
        return {name: value.item() for name, value in losses.items()}

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "images": self.images,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`, with the weight decay of the settings; each step sets its own learning rate."""
        for name in ("network", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.optimizer.param_groups[0]["weight_decay"] = self.settings.weight_decay
        self.steps, self.images = state["steps"], state["images"]

    def sheet(self) -> np.ndarray | None:
        """Nothing to look at, unless a family says otherwise."""
        return None

    def weights(self) -> dict[str, Tensor] | None:
        """The moving average's tensors; counters of batches stay out."""
        return {name: value for name, value in self.average.state_dict().items() if value.is_floating_point()}

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(0.5 ** (1 / HALF_LIFE), self.steps / (self.steps + 10))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - keep)
        for mine, theirs in zip(self.average.buffers(), self.network.buffers(), strict=True):
            mine.copy_(theirs)


def check_resolution(settings: FitSettings, model: str, drawn: int) -> None:
    """Raise BadSetting unless the pictures have the side of those that a model draws, `drawn` pixels."""
    if settings.resolution != drawn:
        raise BadSetting(f"{model} draws faces of {drawn} px. Say --resolution {drawn}.")


def one_cycle(progress: float, *, warm_up: float) -> float:
    """The share of the peak learning rate at `progress` in [0, 1]: a linear rise, then a cosine down to 0."""
    if progress < warm_up:
        return progress / warm_up + 1e-3
    return 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))
