"""One step of StyleGAN2 training, and all the state that the next step depends on."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.training.augmentation import AdaptiveAugmentation
from facelab.training.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from facelab.training.settings import TrainSettings

PATH_LENGTH_DECAY = 0.01
PATH_BATCH_SHRINK = 2


class Trainer:
    """Generator, discriminator, their moving average and optimisers. step() moves all of them by one batch.

    Every random number of a step comes from settings.seed and the step's number: a resumed run repeats the
    uninterrupted one bit for bit (same device and thread count).
    """

    def __init__(self, generator: StyleGAN2, discriminator: Discriminator, settings: TrainSettings) -> None:
        self.settings = settings
        self.device = next(generator.parameters()).device
        self.dtype = fast_dtype(self.device)
        self.generator = generator.train().requires_grad_(True)
        self.discriminator = discriminator.train().requires_grad_(True)
        self.discriminator.compute_dtype = self.dtype
        self.average = deepcopy(generator).eval().requires_grad_(False)
        self.generator_optimizer = _adam(self.generator, settings, settings.path_interval)
        self.discriminator_optimizer = _adam(self.discriminator, settings, settings.r1_interval)
        self.augmentation = AdaptiveAugmentation(target=settings.ada_target, images=settings.ada_images)
        self.path_mean = torch.zeros([], device=self.device)
        self.steps = 0
        self.images = 0

    def step(self, real: Tensor) -> dict[str, float]:
        """Train on real images [B, 3, R, R] in [-1, 1]; returns the losses and signs, by name."""
        settings = self.settings
        torch.manual_seed((settings.seed << 32) + self.steps)
        self._set_learning_rate()
        parts = real.to(self.device).chunk(settings.accumulate)
        numbers: dict[str, float] = {}

        # The same fakes serve both networks: the discriminator learns from them first, then judges them once more.
        fakes = [self.generator.synthesis(self._latents(len(part)), noise="random", dtype=self.dtype) for part in parts]
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        for part, fake in zip(parts, fakes, strict=True):
            real_logits = self.discriminator(self.augmentation(part))
            loss = discriminator_loss(real_logits, self.discriminator(self.augmentation(fake.detach())))
            (loss / settings.accumulate).backward()
            numbers["d_loss"] = loss.item()
            numbers["real_sign"] = real_logits.detach().sign().mean().item()
            self.augmentation.observe(real_logits)
        if settings.r1_interval and self.steps % settings.r1_interval == 0:
            for part in parts:
                penalty = r1_penalty(self.discriminator, self.augmentation(part))
                (penalty * settings.r1_gamma * settings.r1_interval / settings.accumulate).backward()
                numbers["r1"] = penalty.item()
        self.discriminator_optimizer.step()

        self.generator_optimizer.zero_grad(set_to_none=True)
        self.discriminator.requires_grad_(False)
        for fake in fakes:
            loss = generator_loss(self.discriminator(self.augmentation(fake)))
            (loss / settings.accumulate).backward()
            numbers["g_loss"] = loss.item()
        self.discriminator.requires_grad_(True)
        if settings.path_interval and self.steps % settings.path_interval == 0:
            numbers["path"] = self._penalise_paths(max(1, len(parts[0]) // PATH_BATCH_SHRINK))
        self.generator_optimizer.step()

        self.steps += 1
        self.images += len(real)
        self._average_generator(len(real))
        numbers["ada_p"] = self.augmentation.update(len(real))
        return numbers

    def _latents(self, count: int) -> Tensor:
        """w+ [count, L, W]; with probability style_mixing a row on belongs to a second latent (Karras et al. 2019)."""
        settings, layers = self.settings, self.generator.num_layers
        w = self.generator.map(torch.randn(count, self.generator.z_dim, device=self.device))
        self.generator.mapping.track_mean(w.detach())
        ws = w[:, None].expand(-1, layers, -1)
        if settings.style_mixing:
            second = self.generator.map(torch.randn(count, self.generator.z_dim, device=self.device))
            crossover = torch.randint(1, layers, (count, 1), device=self.device)
            crossover[torch.rand(count, 1, device=self.device) >= settings.style_mixing] = layers
            taken = torch.arange(layers, device=self.device)[None] >= crossover
            ws = torch.where(taken[..., None], second[:, None], ws)
        return ws

    def _penalise_paths(self, count: int) -> float:
        ws = self._latents(count)
        images = self.generator.synthesis(ws, noise="random", dtype=self.dtype)
        lengths = path_lengths(images, ws, torch.randn_like(images))
        self.path_mean = torch.lerp(self.path_mean, lengths.mean().detach(), PATH_LENGTH_DECAY)
        penalty = (lengths - self.path_mean).square().mean()
        (penalty * self.settings.path_weight * self.settings.path_interval).backward()
        return penalty.item()

    @torch.no_grad()
    def _average_generator(self, seen: int) -> None:
        half_life = min(self.settings.ema_images, 0.05 * self.images)
        keep = 0.5 ** (seen / max(half_life, 1e-8))
        averaged, current = list(self.average.parameters()), list(self.generator.parameters())
        torch._foreach_lerp_(averaged, current, 1 - keep)
        for mine, theirs in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mine.copy_(theirs)

    def _set_learning_rate(self) -> None:
        factor = min(1.0, (self.steps + 1) / max(self.settings.warmup_steps, 1))
        for optimizer in (self.generator_optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = group["full_lr"] * factor

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors and plain values."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "augmentation": self.augmentation.state(),
            "path_mean": self.path_mean,
            "steps": self.steps,
            "images": self.images,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`."""
        for name in ("generator", "discriminator", "average"):
            getattr(self, name).load_state_dict(state[name])
        for name, interval in (
            ("generator_optimizer", self.settings.path_interval),
            ("discriminator_optimizer", self.settings.r1_interval),
        ):
            optimizer = getattr(self, name)
            optimizer.load_state_dict(state[name])
            _set_lazy_rates(optimizer, self.settings, interval)
        self.augmentation.load_state(state["augmentation"])
        self.path_mean = state["path_mean"].to(self.device)
        self.steps, self.images = state["steps"], state["images"]


def _adam(network: torch.nn.Module, settings: TrainSettings, interval: int) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, eps=1e-8, foreach=True)
    _set_lazy_rates(optimizer, settings, interval)
    return optimizer


def _set_lazy_rates(optimizer: torch.optim.Optimizer, settings: TrainSettings, interval: int) -> None:
    """Rates for lazy regularisation: c = k / (k + 1) scales the rate, betas are raised to c (Karras et al. 2020, B)."""
    ratio = interval / (interval + 1) if interval else 1.0
    for group in optimizer.param_groups:
        group["full_lr"] = settings.learning_rate * ratio
        group["betas"] = (0.0, 0.99**ratio)
