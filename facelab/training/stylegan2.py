"""One step of StyleGAN2 training, and all the state that the next step depends on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.training.augmentation import AdaptiveAugmentation
from facelab.training.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from facelab.training.run import picture_grid
from facelab.training.settings import TrainSettings

PATH_LENGTH_DECAY = 0.01
PATH_BATCH_SHRINK = 2
SHEET_SIDE = 8
SHEET_SEED = 1
# The architecture of a new model; each resolution has channels min(channel_base / resolution, channel_max).
NEW_MODEL = {"z_dim": 256, "w_dim": 256, "mapping_layers": 4, "channel_base": 2048, "channel_max": 256}


def make_trainer(settings: TrainSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device."""
    from facelab.checkpoints.cards import Card, find_card
    from facelab.checkpoints.weights import build_networks, fill, part, read_weights
    from facelab.studio import best_device

    torch.manual_seed(settings.seed)
    if not settings.start:
        blank = dict.fromkeys(("name", "title", "data", "licence", "sha256"), "")
        card = Card(
            **blank,
            family="stylegan2",
            resolution=settings.resolution,
            spaces=("z", "w", "w+"),
            alignment="ffhq",
            downsample="average",
            config=NEW_MODEL,
        )
        networks = build_networks(card)
    else:
        card = find_card(settings.start)
        settings = replace(settings, resolution=card.resolution)
        tensors, networks = read_weights(card.path, sha256=card.sha256), build_networks(card)
        for network, prefix in zip(networks, ("g.", "d."), strict=True):
            fill(network, part(tensors, prefix))
    for network in networks:
        network.to(device=best_device(), memory_format=torch.channels_last)
    trainer = Trainer(*networks, settings)
    trainer.images = int(card.training.get("images", 0))
    return trainer


class Trainer:
    """Generator, discriminator, their moving average and optimisers. step() moves all of them by one batch.

    Every random number of a step comes from settings.seed and the step's number: a resumed run repeats the
    uninterrupted one bit for bit (same device and thread count).
    """

    columns = ("d_loss", "g_loss", "ada_p", "real_sign", "r1", "path")

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

    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """An 8 x 8 sheet of the averaged generator, the same latents every time: uint8 [8 R, 8 R, 3]."""
        ws = self.average.sample(SHEET_SIDE**2, seed=SHEET_SEED)
        return picture_grid(torch.cat([self.average.synthesize(part) for part in ws.split(8)]), columns=SHEET_SIDE)

    def weights(self) -> dict[str, Tensor]:
        """The averaged generator under "g." and the discriminator under "d.", with the published parameter names."""
        networks = (("g.", self.average), ("d.", self.discriminator))
        return {prefix + name: value for prefix, network in networks for name, value in network.state_dict().items()}

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
