"""One step of StyleGAN2 training, and all the state that the next step depends on."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facelab.errors import BadSetting
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2, fast_dtype
from facelab.training import distributed
from facelab.training.augmentation import AdaptiveAugmentation
from facelab.training.data import Pictures, open_pictures
from facelab.training.eyes import Eyes
from facelab.training.growth import Stage, show_at, stage_after
from facelab.training.losses import discriminator_loss, generator_loss, path_lengths, r1_penalty
from facelab.training.optimisation import (
    bound_activations,
    lazy_adam,
    scale_rates,
    set_lazy_rates,
    share_of_rate,
    training_dtype,
)
from facelab.training.run import images_seen, picture_grid
from facelab.training.settings import TrainSettings, refuse_half_grown

PATH_LENGTH_DECAY = 0.01
PATH_BATCH_SHRINK = 2
FIRST_SCALE = 2.0**10  # of losses in float16; it adapts
PURPOSES = ("fakes", "discriminator", "generator", "paths")  # each has random numbers of its own in a step
SHEET_SIDE = 8
SHEET_SEED = 1
# What a new model is made of; each resolution has min(channel_base / resolution, channel_max) channels.
NEW_CHANNELS = {"channel_base": 2048, "channel_max": 256}
NEW_GENERATOR = {"z_dim": 256, "w_dim": 256, "mapping_layers": 4, **NEW_CHANNELS}
NEW_DISCRIMINATOR = {"downsample": "average", **NEW_CHANNELS}


def make_trainer(settings: TrainSettings) -> Trainer:
    """A trainer of new networks, or of those of the catalogued model settings.start, on the fastest device.

    Raises BadSetting where a run would end before it is fully grown.
    """
    from facelab.checkpoints.cards import find_card
    from facelab.checkpoints.weights import build_networks, fill, part, read_weights
    from facelab.studio import best_device

    refuse_half_grown(settings)
    torch.manual_seed(settings.seed)
    seen, heads = 0, {}
    if settings.start:
        card = find_card(settings.start)
        if card.family != "stylegan2":
            raise BadSetting(
                f"{card.name} is of the family {card.family}. Say `train {card.family}`, or another --start."
            )
        settings = replace(settings, resolution=card.resolution)
        networks, seen = build_networks(card), int(card.training.get("images", 0))
        path, sha256 = card.path, card.sha256
        if settings.start_weights:
            path, sha256 = Path(settings.start_weights), None
            seen = images_seen(path) or seen
        tensors = read_weights(path, sha256=sha256)
        for network, prefix in zip(networks, ("g.", "d."), strict=True):
            fill(network, part(tensors, prefix))
        heads = part(tensors, "e.")
    else:
        discriminator = Discriminator(settings.resolution, grow_from=settings.grow_from, **NEW_DISCRIMINATOR)
        networks = StyleGAN2(settings.resolution, **NEW_GENERATOR), discriminator
    for network in networks:
        network.to(device=best_device(), memory_format=torch.channels_last)
    eyes = None
    if settings.eyes_weight:
        from facelab.identity import load_reader

        eyes = Eyes(load_reader(device=best_device())).to(device=best_device(), memory_format=torch.channels_last)
        if heads:
            fill(eyes, heads)
    trainer = Trainer(*networks, settings, eyes=eyes)
    trainer.images = seen
    return trainer


def open_batches(source: Path, settings: TrainSettings, cache: Path) -> Pictures:
    """The train split, or of it the faces that can be seen clearly."""
    pictures = open_pictures(source, resolution=settings.resolution, cache=cache)
    if not settings.clear:
        return pictures
    from facelab.training.clear import only_clear

    return only_clear(pictures, cache=cache)


class Trainer:
    """Generator, discriminator, their moving average and optimisers. step() moves all of them by one batch.

    Every random number of a step comes from settings.seed, the step's number and the part of the batch that it is for:
    a resumed run repeats the uninterrupted one bit for bit (same device and thread count), and a batch in parts, or
    over several processes, means the same whichever way it was cut.
    """

    columns = ("d_loss", "g_loss", "ada_p", "real_sign", "r1", "path", "eyes_d_loss", "eyes_g_loss", "eyes_sign")

    def __init__(
        self, generator: StyleGAN2, discriminator: Discriminator, settings: TrainSettings, *, eyes: Eyes | None = None
    ) -> None:
        if settings.batch % (settings.accumulate * distributed.world()):
            raise BadSetting(
                f"The batch ({settings.batch}) must be a multiple of the processes ({distributed.world()}) times the "
                f"accumulation ({settings.accumulate})."
            )
        self.settings = settings
        self.device = next(generator.parameters()).device
        self.dtype = training_dtype(self.device, settings.precision)
        self.generator = generator.train().requires_grad_(True)
        self.discriminator = discriminator.train().requires_grad_(True)
        self.discriminator.compute_dtype = self.dtype
        if self.dtype == torch.float16:
            bound_activations(generator)
            bound_activations(discriminator)
        self.average = deepcopy(generator).eval().requires_grad_(False)
        rate = settings.learning_rate
        self.generator_optimizer = lazy_adam(generator, learning_rate=rate, interval=settings.path_interval)
        self.discriminator_optimizer = lazy_adam(discriminator, learning_rate=rate, interval=settings.r1_interval)
        self.eyes = None if eyes is None else eyes.train().requires_grad_(True)
        self.eyes_optimizer = None if eyes is None else lazy_adam(eyes, learning_rate=rate, interval=0)
        self.scaler = torch.amp.GradScaler(self.device.type, FIRST_SCALE, enabled=self.dtype == torch.float16)
        self.augmentation = AdaptiveAugmentation(target=settings.ada_target, images=settings.ada_images)
        self.path_mean = torch.zeros([], device=self.device)
        self.steps = 0
        self.images = 0
        self._noted: defaultdict[str, list[Tensor]] = defaultdict(list)

    @property
    def stage(self) -> Stage:
        """How far the networks have grown: a function of the pictures seen."""
        settings = self.settings
        return stage_after(
            self.images,
            resolution=settings.resolution,
            grow_from=settings.grow_from,
            grow_images=settings.grow_images,
            fade_images=settings.fade_images,
        )

    def step(self, real: Tensor) -> dict[str, float]:
        """Train on this process's share of a batch, [N, 3, R, R] in [-1, 1]; returns the mean losses, by name."""
        self._noted.clear()
        optimizers = self.generator_optimizer, self.discriminator_optimizer
        if self.eyes is not None:
            optimizers += (self.eyes_optimizer,)
        settings, progress = self.settings, self.images / self.settings.images
        scale_rates(
            optimizers,
            share_of_rate(self.steps, progress, warmup_steps=settings.warmup_steps, settle=settings.settle),
        )
        stage = self.stage
        parts = show_at(real.to(self.device), stage).chunk(settings.accumulate)
        fakes = self._train_discriminator(parts, stage)
        self._train_generator(fakes, [len(part) for part in parts], stage)
        self.scaler.update()

        means = {name: torch.stack(values).mean(dim=0) for name, values in self._noted.items()}
        distributed.average(list(means.values()))
        self.generator.mapping.track_mean(means.pop("w")[None])
        self.path_mean = means.pop("path_mean", self.path_mean)
        numbers = {name: value.item() for name, value in means.items()}
        seen = len(real) * distributed.world()
        self.steps += 1
        self.images += seen
        self._average_generator(seen)
        self.augmentation.observe(numbers["real_sign"])
        return numbers | {"ada_p": self.augmentation.update(seen)}

    def _train_discriminator(self, parts: tuple[Tensor, ...], stage: Stage) -> list[Tensor]:
        """Move the discriminator; returns the fakes of a batch in one part, from which the generator learns as well."""
        settings, fakes = self.settings, []
        penalised = bool(settings.r1_interval) and self.steps % settings.r1_interval == 0
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        if self.eyes is not None:
            self.eyes_optimizer.zero_grad(set_to_none=True)
        for index, real in enumerate(parts):
            with torch.set_grad_enabled(len(parts) == 1):  # a graph a part would take the memory that parts save
                fake = self._generate(index, len(real), stage, note=True)
            self._seed("discriminator", index)
            real = self.augmentation(real).detach().requires_grad_(penalised)
            shown = self.augmentation(fake.detach())
            real_logits = self.discriminator(real, stage.alpha)
            loss = discriminator_loss(real_logits, self.discriminator(shown, stage.alpha))
            self._note(d_loss=loss, real_sign=real_logits.sign().mean())
            if penalised:
                penalty = r1_penalty(real_logits, real)
                loss = loss + penalty * settings.r1_gamma * settings.r1_interval
                self._note(r1=penalty)
            if self.eyes is not None:
                known = self.eyes(real.detach())
                eyes_loss = discriminator_loss(known, self.eyes(shown))
                self._note(eyes_d_loss=eyes_loss, eyes_sign=known.sign().mean())
                loss = loss + eyes_loss
            self.scaler.scale(loss / len(parts)).backward()
            fakes.append(fake)
        distributed.average_gradients(self.discriminator)
        self.scaler.step(self.discriminator_optimizer)
        if self.eyes is not None:
            distributed.average_gradients(self.eyes)
            self.scaler.step(self.eyes_optimizer)
        return fakes if len(parts) == 1 else []

    def _train_generator(self, fakes: list[Tensor], counts: list[int], stage: Stage) -> None:
        settings = self.settings
        penalised = bool(settings.path_interval) and self.steps % settings.path_interval == 0
        self.generator_optimizer.zero_grad(set_to_none=True)
        self._freeze_critics(True)
        for index, count in enumerate(counts):
            fake = fakes[index] if fakes else self._generate(index, count, stage)
            self._seed("generator", index)
            shown = self.augmentation(fake)
            loss = generator_loss(self.discriminator(shown, stage.alpha))
            self._note(g_loss=loss)
            if self.eyes is not None:
                eyes_loss = generator_loss(self.eyes(shown))
                self._note(eyes_g_loss=eyes_loss)
                loss = loss + settings.eyes_weight * eyes_loss
            self.scaler.scale(loss / len(counts)).backward()
            if penalised:
                penalty = self._path_penalty(index, max(1, count // PATH_BATCH_SHRINK), stage)
                weight = settings.path_weight * settings.path_interval
                self.scaler.scale(penalty * weight / len(counts)).backward()
        self._freeze_critics(False)
        distributed.average_gradients(self.generator)
        self.scaler.step(self.generator_optimizer)

    def _freeze_critics(self, frozen: bool) -> None:
        self.discriminator.requires_grad_(not frozen)
        if self.eyes is not None:
            self.eyes.requires_grad_(not frozen)

    def _generate(self, part: int, count: int, stage: Stage, *, note: bool = False) -> Tensor:
        """The fakes of one part of the batch: the same ones however often they are made in a step."""
        self._seed("fakes", part)
        ws, w = self._latents(count, stage.rows)
        if note:
            self._note(w=w.mean(dim=0))
        return self._draw(ws, stage)

    def _draw(self, ws: Tensor, stage: Stage) -> Tensor:
        return self.generator.synthesis(
            ws, noise="random", dtype=self.dtype, resolution=stage.resolution, alpha=stage.alpha
        )

    def _latents(self, count: int, rows: int) -> tuple[Tensor, Tensor]:
        """w+ [count, rows, W] and its w [count, W]; with probability style_mixing a row on belongs to a second latent
        (Karras et al. 2019, section 3.1).
        """
        mixing = self.settings.style_mixing
        w = self.generator.map(torch.randn(count, self.generator.z_dim, device=self.device))
        ws = w[:, None].expand(-1, rows, -1)
        if mixing:
            second = self.generator.map(torch.randn(count, self.generator.z_dim, device=self.device))
            crossover = torch.randint(1, rows, (count, 1), device=self.device)
            crossover[torch.rand(count, 1, device=self.device) >= mixing] = rows
            taken = torch.arange(rows, device=self.device)[None] >= crossover
            ws = torch.where(taken[..., None], second[:, None], ws)
        return ws, w

    def _path_penalty(self, part: int, count: int, stage: Stage) -> Tensor:
        self._seed("paths", part)
        ws, _ = self._latents(count, stage.rows)
        images = self._draw(ws, stage)
        lengths = path_lengths(images, ws, torch.randn_like(images))
        mean = torch.lerp(self.path_mean, lengths.mean().detach(), PATH_LENGTH_DECAY)
        mean = torch.where(mean.isfinite(), mean, self.path_mean)  # an overflow skips a step; the mean would keep it
        penalty = (lengths - mean).square().mean()
        self._note(path=penalty, path_mean=mean)
        return penalty

    @torch.no_grad()
    def _average_generator(self, seen: int) -> None:
        half_life = min(self.settings.ema_images, 0.05 * self.images)
        keep = 0.5 ** (seen / max(half_life, 1e-8))
        averaged, current = list(self.average.parameters()), list(self.generator.parameters())
        torch._foreach_lerp_(averaged, current, 1 - keep)
        for mine, theirs in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            mine.copy_(theirs)

    def _seed(self, purpose: str, part: int) -> None:
        number = distributed.rank() * self.settings.accumulate + part
        entropy = (self.settings.seed, self.steps, PURPOSES.index(purpose), number)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]))

    def _note(self, **numbers: Tensor) -> None:
        """Remember numbers of this part of the batch, to be averaged at the end of the step."""
        for name, value in numbers.items():
            self._noted[name].append(value.detach().float())

    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """An 8 x 8 sheet of the averaged generator, the same latents every time: uint8 [8 R, 8 R, 3]."""
        stage = self.stage
        ws = self.average.sample(SHEET_SIDE**2, seed=SHEET_SEED)[:, : stage.rows]
        draw = {"dtype": fast_dtype(self.device), "resolution": stage.resolution, "alpha": stage.alpha}
        return picture_grid(
            torch.cat([self.average.synthesis(part, **draw) for part in ws.split(8)]), columns=SHEET_SIDE
        )

    def weights(self) -> dict[str, Tensor] | None:
        """The averaged generator under "g." and the discriminator under "d.", with the published parameter names; and
        under "e." the heads of the second discriminator, where there is one.

        Networks that have not grown up yet are published as those of their present resolution; none amid a fade.
        """
        if self.stage.alpha < 1:
            return None
        networks = {"g.": self.average, "d.": self.discriminator} | ({"e.": self.eyes} if self.eyes else {})
        return {
            prefix + name: value
            for prefix, network in networks.items()
            for name, value in network.state_dict().items()
            if _belongs(name, self.stage.resolution)
        }

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, as tensors and plain values."""
        eyes = (
            {}
            if self.eyes is None
            else {"eyes": self.eyes.state_dict(), "eyes_optimizer": self.eyes_optimizer.state_dict()}
        )
        return eyes | {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "augmentation": self.augmentation.state(),
            "scaler": self.scaler.state_dict(),
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
            set_lazy_rates(optimizer, learning_rate=self.settings.learning_rate, interval=interval)
        if self.eyes is not None and "eyes" in state:
            self.eyes.load_state_dict(state["eyes"])
            self.eyes_optimizer.load_state_dict(state["eyes_optimizer"])
            set_lazy_rates(self.eyes_optimizer, learning_rate=self.settings.learning_rate, interval=0)
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        self.augmentation.load_state(state["augmentation"])
        self.path_mean = state["path_mean"].to(self.device)
        self.steps, self.images = state["steps"], state["images"]


def _belongs(name: str, resolution: int) -> bool:
    """Whether a parameter is one of a network of this resolution, not of a block above it or an entrance below it."""
    blocks = [int(each[1:]) for each in name.split(".") if each[0] == "b" and each[1:].isdigit()]
    return not blocks or (blocks[0] <= resolution and ("fromrgb" not in name or blocks[0] == resolution))
