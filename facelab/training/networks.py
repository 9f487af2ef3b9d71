"""What the trainers of the papers' models share: networks, an optimiser for each group of them, and their state.

A family derives from NetworksTrainer and writes `learn`: one or more `update`s with losses for each optimiser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from facelab.checkpoints.cards import find_card, losses_path, training_path
from facelab.errors import BadSetting
from facelab.generators.single_latent import SingleLatentGenerator
from facelab.generators.stylegan2 import fast_dtype
from facelab.training import distributed
from facelab.training.families import family_of
from facelab.training.run import picture_grid
from facelab.training.settings import PaperSettings

SHEET_SIDE = 8
SHEET_SEED = 1
ShapedSettings = TypeVar("ShapedSettings", bound=PaperSettings)
CATCH_UP_STEPS = 500  # of a network that begins anew beside one that has learned


def shaped_by_start(settings: ShapedSettings) -> ShapedSettings:
    """Settings with the shape of the published model that they start from, which has grown up; others as they are.

    Raises UnknownModel, and BadSetting for a model of another family.
    """
    if not settings.start:
        return settings
    card, family = find_card(settings.start), family_of(settings)
    if card.family != family:
        raise BadSetting(f"{card.name} is of the family {card.family}. Say `train {card.family}`, or another --start.")
    shape = {"resolution": card.resolution, "grow_from": 0, **card.config, "attributes": " ".join(card.conditions)}
    shape["channels"] = shape.get("channels", shape.get("channel_max"))
    return replace(settings, **{each.name: shape[each.name] for each in fields(settings) if each.name in shape})


class NetworksTrainer(ABC):
    """A run.Trainer over named networks: `model`, which is published under "g.", and others, under "<name>.".

    groups: optimiser -> the modules that it moves; a part of a network may be one. Every random number of a step comes
    from settings.seed, the step and the part of the batch that it is for.
    """

    columns: tuple[str, ...] = ()

    def __init__(
        self,
        settings: PaperSettings,
        model: SingleLatentGenerator,
        *,
        others: Mapping[str, nn.Module] | None = None,
        groups: Mapping[str, list[nn.Module]],
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        if settings.batch % (settings.accumulate * distributed.world()):
            raise BadSetting(
                f"The batch ({settings.batch}) must be a multiple of the processes ({distributed.world()}) times the "
                f"accumulation ({settings.accumulate})."
            )
        self.settings, self.model = settings, model
        self.networks: dict[str, nn.Module] = {"model": model, **(others or {})}
        self.device = next(model.parameters()).device
        self.dtype = fast_dtype(self.device)
        for network in self.networks.values():
            network.train().requires_grad_(True)
        self.groups = {
            name: [value for each in modules for value in each.parameters()] for name, modules in groups.items()
        }
        self.optimizers = {
            name: torch.optim.Adam(values, lr=settings.learning_rate, betas=betas, foreach=True)
            for name, values in self.groups.items()
        }
        self.steps = 0
        self.steps_since_start = 0  # where `steps` go on from those of a published model
        self.images = 0
        self.earlier: Path | None = None  # the table of losses of what this training goes on from
        self.behind: set[str] = set()  # the groups that catch up alone
        self.begun_with: frozenset[str] = frozenset()  # the tensors of the published model that this goes on from
        if settings.start:
            self._go_on_from(settings.start)
        self._updates = 0
        self._noted: defaultdict[str, list[Tensor]] = defaultdict(list)

    def _go_on_from(self, name: str) -> None:
        """Fill the networks from a published model and what was kept beside it. A discriminator that was not begins
        anew and catches up alone before the others move: by what knows nothing they would be spoilt.
        """
        from facelab.checkpoints.weights import fill, part, read_weights

        card = find_card(name)
        tensors = read_weights(card.path, sha256=card.sha256)
        beside = training_path(name)
        if "beside" in card.training and beside.is_file():
            tensors |= read_weights(beside, sha256=str(card.training["beside"]))
        self.begun_with = frozenset(tensors)
        for each, network in self.networks.items():
            if found := part(tensors, "g." if each == "model" else f"{each}."):
                fill(network, found)
            else:
                missing = {id(value) for value in network.parameters()}
                self.behind |= {name for name, values in self.groups.items() if all(id(v) in missing for v in values)}
        self.images = int(card.training.get("images", 0))
        self.earlier = losses_path(card)

    @abstractmethod
    def learn(self, parts: tuple[Any, ...]) -> None:
        """Make the updates of one step from the parts of this process's batch."""

    def step(self, batch: Tensor | tuple[Tensor, ...]) -> dict[str, float]:
        """Train on this process's share of a batch: pictures [N, 3, R, R] in [-1, 1], or a tuple that begins with
        them; returns the mean of what was noted, by name.
        """
        self._noted.clear()
        self._updates = 0
        tensors = [value.to(self.device) for value in (batch if isinstance(batch, tuple) else (batch,))]
        parts = tuple(zip(*(value.chunk(self.settings.accumulate) for value in tensors), strict=True))
        for network in self.networks.values():
            network.train()
        self.learn(parts if isinstance(batch, tuple) else tuple(part for (part,) in parts))
        self.steps += 1
        self.steps_since_start += 1
        self.images += len(tensors[0]) * distributed.world()
        means = {name: torch.stack(values).mean() for name, values in self._noted.items()}
        distributed.average(list(means.values()))
        return {name: value.item() for name, value in means.items()}

    def update(self, parts: tuple[Any, ...], losses_of: Callable[[Any], dict[str, Tensor]]) -> None:
        """Move the groups that `losses_of` names, each by its own loss, all from the same forward pass; while some are
        behind, only these.

        losses_of(part): optimiser -> loss, a mean over the part. Gradients are averaged over parts and processes.
        """
        gradients: dict[str, list[Tensor | None]] = {}  # None where networks have not grown so far yet
        for index, part in enumerate(parts):
            self._seed(index)
            with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
                losses = losses_of(part)
            for place, (name, loss) in enumerate(losses.items(), start=1):
                found = torch.autograd.grad(
                    loss / len(parts), self.groups[name], retain_graph=place < len(losses), allow_unused=True
                )
                gradients[name] = _summed(gradients[name], found) if name in gradients else list(found)
        for name, values in gradients.items():
            if self.behind and self.steps_since_start < CATCH_UP_STEPS and name not in self.behind:
                continue
            distributed.average([value for value in values if value is not None])
            for parameter, value in zip(self.groups[name], values, strict=True):
                parameter.grad = value
            self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)
        self._updates += 1

    def halve_rate(self) -> None:
        """Set the learning rate of this step, halved every settings.halve_images pictures."""
        rate = self.settings.learning_rate * 0.5 ** (self.images // self.settings.halve_images)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = rate

    def note(self, **numbers: Tensor) -> None:
        """Remember numbers of this part of the batch; step() returns their means."""
        for name, value in numbers.items():
            self._noted[name].append(value.detach().float())

    def draw(self, count: int) -> Tensor:
        """`count` latents from the model's prior."""
        return self.model.prior(count).to(self.device)

    @torch.inference_mode()
    def sheet(self) -> np.ndarray:
        """An 8 x 8 sheet of the same draws every time: uint8 [8 R, 8 R, 3]."""
        self.model.eval()
        latents = self.model.sample(SHEET_SIDE**2, seed=SHEET_SEED)
        pictures = torch.cat([self.draw_sheet(part) for part in latents.split(SHEET_SIDE)])
        self.model.train()
        return picture_grid(pictures, columns=SHEET_SIDE)

    def draw_sheet(self, latents: Tensor) -> Tensor:
        """Pictures of latents [N, 1, D], as far as the model has come."""
        return self.model.synthesize(latents)

    def weights(self) -> dict[str, Tensor] | None:
        """The model under "g." and the other networks under their names."""
        return {
            f"{'g' if name == 'model' else name}.{each}": value
            for name, network in self.networks.items()
            for each, value in network.state_dict().items()
        }

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        return {
            "networks": {name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "steps": self.steps,
            "steps_since_start": self.steps_since_start,
            "images": self.images,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a `state()`, at the learning rate of the settings."""
        for name, network in self.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            for group in optimizer.param_groups:
                group["lr"] = self.settings.learning_rate
        self.steps, self.images = state["steps"], state["images"]
        self.steps_since_start = state.get("steps_since_start", self.steps)

    def _seed(self, part: int) -> None:
        number = distributed.rank() * self.settings.accumulate + part
        entropy = (self.settings.seed, self.steps, self._updates, number)
        torch.manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]))


def _summed(known: Sequence[Tensor | None], more: Sequence[Tensor | None]) -> list[Tensor | None]:
    pairs = zip(known, more, strict=True)
    return [one if other is None else other if one is None else one + other for one, other in pairs]
