"""Trains a circle (circle.py): the mapping from the sphere to a generator's latents, and the features' classifiers.

What it learns from is in circle_crowd.py. The mapping also closes the circle: the reader looks at what is decoded, and
must find the vector that went in and, as far as a vector says it, the features of that face (else decoded noses are
narrower than people's); along an edit it must see the feature change, and little else; and the discriminator asks that
all of them look real. The classifiers learn from what the reader sees there as well, so that their gradients lead to
where decoded faces change, which labels of portraits do not say. The judge takes no part in it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facelab.checkpoints.weights import fill_from, load_model
from facelab.circle import FEATURES, Circle, make_circle
from facelab.edits.sphere import great_circle, on_sphere, walk_on_sphere
from facelab.generators.base import Generator
from facelab.generators.began import BEGAN
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, load_reader
from facelab.studio import best_device
from facelab.training.circle_crowd import SEEN, Crowd, Known, open_crowd, sphere_of
from facelab.training.direction_list import GOES_WITH
from facelab.training.fitting import Fitting
from facelab.training.run import picture_grid
from facelab.training.settings import CircleSettings
from facelab.training.sight import is_binary, scores_of

NOISE = 0.27  # arcs that a training vector is moved by: photos of one person lie farther apart
FURTHER = 0.25  # share of edits that go on in the way in which a face lies already: they must change little else
# Edits tried more often than others: least comes of them.
OFTEN = {"mouth_open": 3.0, "mouth_size": 3.0, "makeup": 3.0, "nose_size": 2.0}
EDIT_STEPS = 6  # of a training walk; the gradient hardly turns on so short a way
SMOOTHING = 0.05  # of the classes: annotators disagree

LATENT_WEIGHT = 1.0
CLASSES_WEIGHT = 0.5
DECODED_WEIGHT = 0.5  # of the same cross-entropy, of decoded faces
CLEAR = 4.0  # logits between the class means of what is measured: a decoded face is of both classes by as much
# What is seen in decoded faces is noisy: few looks with much weight make the mapping worse than a constant, a dozen
# each step with this weight make it better than the latents alone do.
IDENTITY_WEIGHT = 3.0  # of the angle between what goes in and what is read, squared
LIKENESS_WEIGHT = 0.2  # of how far decoded faces have other features than who went in, squared, in deviations
CHANGE_WEIGHT = 0.6  # of what is missing of the class mean, squared, in distances between the classes
HELD_WEIGHT = 0.2  # of the change of what is held, squared, in deviations among people
SHAVED = ("beard", "mustache")  # held in all edits that do not go with it: darkness around a mouth widens a nose, too
OTHERS_WEIGHT = 0.01  # of the change of the rest
REALISM_WEIGHT = 0.05  # of the discriminator's doubt: the reader takes paint for a moustache
PIXEL_DOUBT = 10.0  # of BEGAN's discriminator, whose loss is a difference of pixels: about 1, as the others' logits


class CircleTrainer(Fitting):
    """The mapping and the classifiers side by side; generator, discriminator and reader only look."""

    columns = ("latent", "classes", "decoded", "identity", "likeness", "change", "held", "realism")

    def __init__(
        self,
        circle: Circle,
        settings: CircleSettings,
        *,
        generator: Generator,
        reader: FaceReader,
        device: torch.device,
        discriminator: nn.Module | None = None,
    ) -> None:
        """discriminator: the generator's own; BEGAN has it within. Without one nothing asks for realism."""
        super().__init__(circle, settings, device=device)
        self.average.eval()
        self.generator, self.reader = generator, reader
        self.discriminator = generator.discriminator if isinstance(generator, BEGAN) else discriminator
        self.shown: Tensor | None = None

    def losses(self, batch: Known, draw: torch.Generator) -> dict[str, Tensor]:
        batch = Known(*(each.to(self.device) for each in batch))
        count = len(batch.points)
        spread = NOISE * self.network.sphere.arc / batch.points.shape[1] ** 0.5
        points = on_sphere(batch.points + spread * torch.randn(batch.points.shape, generator=draw).to(self.device))
        early = self.images < self.settings.look_from * self.settings.images
        looking = not early and self.steps % self.settings.look_every == 0
        tried = min(self.settings.looks, count) if looking else 0
        shares = torch.tensor([OFTEN.get(feature.id, 1.0) for feature in FEATURES])
        feature = int(torch.multinomial(shares, 1, generator=draw))
        edited, sign = self._edited(batch, feature, tried, draw)
        standard = self.network.norm(torch.cat([points, edited]))
        deviations = self.network.mapping(standard)
        losses = {
            "latent": LATENT_WEIGHT * (deviations[:count] - batch.latents).square().mean(),
            "classes": CLASSES_WEIGHT * self._classes(standard[:count], batch.classes),
        }
        if looking:
            both, places = (torch.cat([each[:tried], each[count:]]) for each in (deviations, standard))
            losses |= self._looks(self.network.mean + self.network.spread * both, places, batch, feature, sign)
        return losses

    def _edited(self, batch: Known, feature: int, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """The first `count` points with a feature given to those that lack it and taken from those that have it, or
        for a few the other way round, and which way they went, [count].
        """
        lacks = batch.scores[:count, feature] < batch.means[feature].mean()
        further = torch.rand(count, generator=draw).to(self.device) < FURTHER
        sign = torch.where(lacks ^ further, 1.0, -1.0)
        if not count:
            return batch.points[:0], sign
        arc = self.network.sphere.arc * sign * (0.7 + 0.6 * torch.rand(count, generator=draw).to(self.device))
        held = [self.average.classifier(name) for name in FEATURES[feature].held]
        way = self.average.classifier(FEATURES[feature].id)
        return walk_on_sphere(batch.points[:count], way, arc, steps=EDIT_STEPS, frames=1, held=held)[-1], sign

    def _classes(self, standard: Tensor, classes: Tensor) -> Tensor:
        """Cross-entropy of all classifiers; both answers of a feature weigh the same."""
        terms = []
        for place, network in enumerate(self.network.classifiers.values()):
            truth = classes[:, place]
            logits = network(standard)[:, 0]
            for answer in (0.0, 1.0):
                chosen = logits[truth == answer]
                if len(chosen):
                    goal = torch.full_like(chosen, abs(answer - SMOOTHING))
                    terms.append(F.binary_cross_entropy_with_logits(chosen, goal))
        return torch.stack(terms).sum() / (2 * len(FEATURES)) if terms else standard.new_zeros(())

    def _looks(self, latents: Tensor, standard: Tensor, batch: Known, feature: int, sign: Tensor) -> dict[str, Tensor]:
        """What the reader sees in decoded faces [2 n, ...], the second half of them edited; standard: their vectors."""
        count = len(latents) // 2
        pictures = self.generator.synthesize(latents, dtype=fast_dtype(self.device)).float().clamp(-1, 1)
        self.shown = pictures.detach()
        reading = self.reader(pictures)
        seen = torch.stack(list(scores_of(reading, SEEN).values()), dim=1)
        before, after = seen[:count], seen[count:]
        without, with_it = batch.means[feature]
        goal = torch.where(sign > 0, with_it, without)
        missing = F.relu(sign * (goal - after[:, feature])) / (with_it - without)
        weights = torch.tensor(_weights(feature), device=seen.device)
        changed = ((after - before.detach()) / batch.spread).square() * weights
        angle = great_circle(on_sphere(reading.vectors[:count]), batch.goals[:count])
        logits = torch.cat([network(standard) for network in self.network.classifiers.values()], dim=1)
        truth = _as_logits(seen.detach(), batch.means)
        offset = (truth - logits.detach()).mean(dim=0)  # how many have it is for the portraits' labels to say
        return {
            "decoded": DECODED_WEIGHT * F.binary_cross_entropy_with_logits(logits + offset, torch.sigmoid(truth)),
            "identity": IDENTITY_WEIGHT * angle.square().mean(),
            "likeness": LIKENESS_WEIGHT * ((before - batch.scores[:count]) / batch.spread).square().mean(),
            "change": CHANGE_WEIGHT * missing.square().mean(),
            "held": changed.sum(dim=1).mean(),
            **({} if self.discriminator is None else {"realism": REALISM_WEIGHT * self._doubt(pictures).mean()}),
        }

    def _doubt(self, pictures: Tensor) -> Tensor:
        """How unreal pictures [N, 3, R, R] look to the discriminator: its generator's loss in training, [N]."""
        judged = self.discriminator(pictures)
        if judged.shape == pictures.shape:
            return PIXEL_DOUBT * (judged - pictures).abs().flatten(1).mean(dim=1)
        return F.softplus(-judged.float())[:, 0]

    def sheet(self) -> np.ndarray | None:
        """The last faces that were looked at, above their edits."""
        return None if self.shown is None else picture_grid(self.shown, columns=len(self.shown) // 2)


def _as_logits(scores: Tensor, means: Tensor) -> Tensor:
    """How clearly decoded faces have each feature, [N, K]: scores [N, K] that are logits, and sizes as if they were.

    means: [K, 2], of people without and with it.
    """
    yes_or_no = torch.tensor([is_binary(wanted) for wanted in SEEN], device=scores.device)
    without, with_it = means.T
    return torch.where(yes_or_no, scores, CLEAR * (scores - (without + with_it) / 2) / (with_it - without))


def _weights(feature: int) -> list[float]:
    """How much the change of each feature counts while one of them is edited."""
    mine = FEATURES[feature]
    free = (mine.id, *GOES_WITH.get(mine.id, ()))
    others = max(1, len(FEATURES) - len(free))
    weights = {each.id: OTHERS_WEIGHT / others for each in FEATURES}
    weights |= dict.fromkeys((*SHAVED, *mine.held), HELD_WEIGHT) | dict.fromkeys(free, 0.0)
    return [weights[each.id] for each in FEATURES]


def make_trainer(settings: CircleSettings) -> CircleTrainer:
    """A circle at its beginning, or as `start` has it."""
    torch.manual_seed(settings.seed)
    device = best_device()
    generator, discriminator = load_model(settings.model, device=device)
    if isinstance(discriminator, Discriminator):
        discriminator.compute_dtype = fast_dtype(device)
    else:
        discriminator = None  # of the other families only BEGAN's, within the generator, says how unreal a picture is
    circle = make_circle(generator, sphere_of(settings))
    if settings.start:
        fill_from(circle, Path(settings.start))
    circle.mean.copy_(generator.mean_latent()[0])
    circle.spread.copy_(generator.spread())
    reader = load_reader(device=device)
    return CircleTrainer(
        circle, settings, generator=generator, discriminator=discriminator, reader=reader, device=device
    )


def open_batches(source: Path, settings: CircleSettings, cache: Path) -> Crowd:
    """What it trains on: `circle_crowd.open_crowd`."""
    return open_crowd(source, settings, cache)
