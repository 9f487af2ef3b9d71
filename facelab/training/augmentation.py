"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with limited data")."""

from __future__ import annotations

from typing import Any

from torch import Tensor

UPDATE_EVERY = 4  # steps between two corrections of p, as published


class AdaptiveAugmentation:
    """Augments what the discriminator sees with probability p, and moves p so that the share r_t = E[sign(D(real))]
    stays at `target` (section 3). images: p can go from 0 to 1 in so many pictures. target 0 leaves pictures alone.
    """

    def __init__(self, *, target: float, images: int) -> None:
        self.target, self.images = target, images
        self.p = 0.0
        self._signs: list[float] = []

    def __call__(self, images: Tensor) -> Tensor:
        return images

    def observe(self, real_logits: Tensor) -> None:
        """Note the discriminator's opinion of real pictures, logits [N, 1]."""
        self._signs.append(real_logits.detach().sign().mean().item())

    def update(self, seen: int) -> float:
        """Correct p after a step of `seen` pictures; returns p."""
        if self.target and len(self._signs) >= UPDATE_EVERY:
            share = sum(self._signs) / len(self._signs)
            change = UPDATE_EVERY * seen / self.images
            self.p = min(1.0, max(0.0, self.p + (change if share > self.target else -change)))
        if len(self._signs) >= UPDATE_EVERY:
            self._signs.clear()
        return self.p

    def state(self) -> dict[str, Any]:
        """What the next step depends on."""
        return {"p": self.p, "signs": list(self._signs)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        self.p, self._signs = state["p"], list(state["signs"])
