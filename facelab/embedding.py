"""Picture -> latent by optimisation (Abdal et al. 2019, Image2StyleGAN), then pivotal tuning, as one iterator.

Each `next` is one step and yields an EmbedStep. Closing the iterator stops; passing the last step's `state` to `embed`
goes on exactly where it stopped. Nothing here writes to a model, so many faces can be embedded on one at the same time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Delta, Latent
from facelab.generators.base import Generator
from facelab.generators.stylegan2 import fast_dtype
from facelab.perceptual import Distance
from facelab.pixels import as_images, as_pixels
from facelab.refinement import (
    EDIT_EVERY,
    Edit,
    KeptEdits,
    as_delta,
    as_stored,
    delta_shapes,
    fitting_rank,
    start_values,
)

IMPROVEMENT = 1e-3  # a loss lower by less than this fraction does not count as better for early stopping
MEAN_CANDIDATES = 512  # z has no point for the mean face: the start is the nearest of so many draws


@dataclass(frozen=True, eq=False)
class Descent:
    """A vector under Adam (Kingma & Ba 2015): its values, the two moments, and the number of steps taken.

    A step makes new tensors, so every state stays as it was when it was yielded.
    """

    values: Tensor
    first: Tensor
    second: Tensor
    steps: int = 0

    @classmethod
    def at(cls, values: Tensor) -> Descent:
        """Start from `values`."""
        return cls(values, torch.zeros_like(values), torch.zeros_like(values))

    def step(
        self, gradient: Tensor, *, learning_rate: float | Tensor, betas: tuple[float, float], epsilon: float
    ) -> Descent:
        """One step down `gradient` (algorithm 1). learning_rate: one, or one for each number."""
        steps = self.steps + 1
        first = self.first.lerp(gradient, 1 - betas[0])
        second = self.second.lerp(gradient.square(), 1 - betas[1])
        scale = (second / (1 - betas[1] ** steps)).sqrt_().add_(epsilon)
        values = torch.addcdiv(self.values, first * (learning_rate / (1 - betas[0] ** steps)), scale, value=-1)
        return Descent(values, first, second, steps)


@dataclass(frozen=True, eq=False)
class EmbedState:
    """All that is needed to go on with an embedding: pass it to `embed` as `resume`.

    model, space: what it belongs to. phase: "latent" or "refine". steps_before: steps of the phases before this one.
    descent: the latent's or the delta's. best, best_loss: the values with the lowest loss of this phase. stale_loss,
    stale_steps: what early stopping compares with, and for how long. encoded: what the encoder saw, where it began
    there. pivot, rank: the latent and the rank of the delta, once refining. found, found_loss: the latent that was
    found, where the pivot is another, and the loss that refining has to get below.
    """

    model: str
    space: str
    phase: str
    descent: Descent
    best: Tensor
    steps_before: int = 0
    best_loss: float = math.inf
    stale_loss: float = math.inf
    stale_steps: int = 0
    encoded: Tensor | None = None
    pivot: Tensor | None = None
    rank: int = 0
    found: Tensor | None = None
    found_loss: float = math.inf


@dataclass(frozen=True, eq=False)
class EmbedStep:
    """What one step of an embedding found.

    phase: "latent" or "refine". step: counted through both phases from 1, of total. losses: "total", "pixel" (mean
    squared difference in [-1, 1]), "perceptual" and "identity" of this step, before their weights. psnr: of the
    picture, in dB.
    latent_distance: ||w - w_mean|| of the best latent over all rows of w+ (Image2StyleGAN, table 2; the one row of w
    counts for every layer), and latent_distance_per_row, the mean of the rows' norms. identity_distance: dlib's, or
    None where it was not measured. latent, delta, psnr and image: while refining from another pivot has not come nearer
    yet, still those of the latent that was found; else latent and delta are the best so far. image: uint8 [R, R, 3] on
    preview steps, else None.
    The picture is this step's, and the best one's on the last step of a phase. state: to resume from. phase_done,
    done: whether this is the last step of its phase, and of all. restarts: the losses of a recovery's restarts
    (recovery.py, whose phases are "encode" and "recover").
    """

    phase: str
    step: int
    total: int
    losses: dict[str, float]
    psnr: float
    latent_distance: float
    latent_distance_per_row: float
    latent: Latent
    delta: Delta | None
    image: np.ndarray | None
    state: EmbedState
    phase_done: bool
    done: bool
    identity_distance: float | None = None
    restarts: tuple[float, ...] = ()


def embed(
    generator: Generator,
    target: np.ndarray,
    settings: EmbedSettings = PRESETS["fast"],
    *,
    perceptual: Callable[[Tensor], Distance] | None = None,
    identity: Callable[[Tensor], Distance] | None = None,
    encode: Callable[[Tensor], Tensor] | None = None,
    edits: Sequence[Edit] = (),
    resume: EmbedState | None = None,
) -> Iterator[EmbedStep]:
    """Find the latent, and with `settings.refine` the delta, whose picture is `target`.

    target: uint8 [R, R, 3] RGB at the generator's resolution. perceptual: makes the distance to a target
    [1, 3, R, R] in [-1, 1]; may be None only where perceptual_weight is 0. identity: the same of who it is, for
    settings.identity_weight. encode: carries such a target to w+
    [1, L, D], for settings.start "encoder". edits: what refining is to keep able to change the face, for
    settings.edit_weight. resume: the state of the last step of an earlier run, which may have had
    other settings (more steps, or refine now on).
    Raises BadSetting for a target of another size, LatentMismatch for a state of another model or space.
    """
    if settings.perceptual_weight and perceptual is None:
        raise BadSetting("perceptual_weight is not 0, but embed was given no perceptual distance.")
    if settings.identity_weight and identity is None:
        raise BadSetting("identity_weight is not 0, but embed was given no distance of identities.")
    if settings.start == "encoder" and encode is None and resume is None:
        raise BadSetting(f"{generator.name} ships without an encoder. Start from the mean face.")
    task = _Task(generator, as_image(target, generator), settings, perceptual, identity, edits)
    state = resume or task.start(encode)
    if (state.model, state.space) != (generator.name, settings.space):
        raise LatentMismatch(
            f"This embedding was begun in {state.space} of {state.model}; it cannot go on in {settings.space} of "
            f"{generator.name}. Begin again."
        )
    return task.run(state)


def as_image(target: np.ndarray, generator: Generator) -> Tensor:
    """uint8 [R, R, 3] -> float32 [1, 3, R, R] in [-1, 1] on the generator's device.

    Raises BadSetting for another size or type.
    """
    side = generator.resolution
    if target.shape != (side, side, 3) or target.dtype != np.uint8:
        raise BadSetting(
            f"{generator.name} embeds uint8 pictures of {side} x {side} RGB pixels, not {target.dtype} {target.shape}."
        )
    device = generator.mean_latent().device
    return as_images([target]).to(device)


def first_latent(generator: Generator, settings: EmbedSettings) -> Tensor:
    """Where a search that no encoder begins starts (Image2StyleGAN, section 5.1): [L, D] of settings.space."""
    shape, mean = generator.latent_shape(settings.space), generator.mean_latent().detach()
    random = torch.Generator().manual_seed(settings.seed)
    if settings.start == "random":
        return (torch.rand(shape, generator=random) * 2 - 1).to(mean.device)
    if settings.space == "z":
        draws = torch.randn(MEAN_CANDIDATES, shape[1], generator=random).to(mean.device)
        away = (generator.map(draws) - mean).square().sum(dim=1)
        return draws[away.argmin()][None]
    return mean.expand(shape).contiguous()


def learning_rate_at(step: int, steps: int, *, peak: float, schedule: str, warm_up: float) -> float:
    """The learning rate of step 0 <= `step` < `steps`: constant, or a linear warm-up and a cosine down to nearly 0."""
    if schedule == "constant":
        return peak
    ramp = max(1, round(warm_up * steps))
    if step < ramp:
        return peak * (step + 1) / ramp
    progress = min((step - ramp) / max(1, steps - ramp), 1.0)
    return peak * max(0.5 * (1 + math.cos(math.pi * progress)), 0.01)


def as_rows(generator: Generator, values: Tensor, space: str) -> Tensor:
    """A latent [L, D] of `space` as `synthesize` takes it: w [1, 1, D] or w+ [1, L, D]."""
    return (generator.map(values) if space == "z" else values)[None]


def signal_to_noise(error: float) -> float:
    """PSNR in dB of a mean squared difference of pictures in [-1, 1]."""
    return 10 * math.log10(4 / max(error, 1e-10))


@dataclass(frozen=True, eq=False)
class _Progress:
    """One step, before it is put into words: the state after it, the loss terms and the picture before it."""

    state: EmbedState
    losses: dict[str, float]
    picture: Tensor
    over: bool


class _Task:
    """What stays the same through one run: generator, goal [1, 3, R, R], settings and distance."""

    def __init__(
        self,
        generator: Generator,
        goal: Tensor,
        settings: EmbedSettings,
        perceptual: Callable[[Tensor], Distance] | None,
        identity: Callable[[Tensor], Distance] | None,
        edits: Sequence[Edit],
    ) -> None:
        self.generator, self.goal, self.settings, self.edits = generator, goal, settings, edits
        self.distance = perceptual(goal) if settings.perceptual_weight else None
        self.likeness = identity(goal) if settings.identity_weight else None
        self.dtype = fast_dtype(goal.device)

    def start(self, encode: Callable[[Tensor], Tensor] | None) -> EmbedState:
        settings, generator = self.settings, self.generator
        if settings.start == "encoder" and settings.space != "z":
            rows = encode(self.goal)[0]
            encoded = values = rows if settings.space == "w+" else rows.mean(dim=0, keepdim=True)
        else:
            encoded, values = None, first_latent(generator, settings)
        return EmbedState(generator.name, settings.space, "latent", Descent.at(values), values, encoded=encoded)

    def run(self, state: EmbedState) -> Iterator[EmbedStep]:
        settings = self.settings
        if state.phase == "latent":
            for progress in self._descend(self._picture_of_latent, state, settings.steps, settings.learning_rate):
                state = progress.state
                yield self._report(progress)
            if not settings.refine:
                return
            state = self._begin_refinement(state)
        pivot = as_rows(self.generator, state.pivot, state.space)
        shapes = delta_shapes(self.generator, rank=state.rank)

        def picture_of_delta(values: Tensor) -> Tensor:
            return self.generator.synthesize(pivot, [as_delta(values, shapes)], dtype=self.dtype)

        kept = None
        if settings.edit_weight and self.edits:
            kept = KeptEdits(self.generator, pivot, self.edits, seed=settings.seed, dtype=self.dtype)

        def change_of_edits(values: Tensor, picture: Tensor, step: int) -> Tensor | float:
            if kept is None or step % EDIT_EVERY:
                return 0.0
            return settings.edit_weight * kept.change(as_delta(values, shapes), picture, step)

        steps, rate = settings.refine_steps, settings.refine_learning_rate
        for progress in self._descend(picture_of_delta, state, steps, rate, beside=change_of_edits):
            yield self._report(progress)

    def _begin_refinement(self, state: EmbedState) -> EmbedState:
        rank = min(self.settings.refine_rank, fitting_rank(self.generator))
        shapes = delta_shapes(self.generator, rank=rank)
        values = start_values(shapes, seed=self.settings.seed).to(state.best.device)
        pivot, found = state.best, {}
        if state.encoded is not None and self.settings.pivot < 1:
            pivot = state.encoded.lerp(state.best, self.settings.pivot)
            with torch.no_grad():
                loss = self._measure(self._picture_of_latent(state.best), None)[1]["total"]
            found = {"found": state.best, "found_loss": loss}
        return EmbedState(
            model=state.model,
            space=state.space,
            phase="refine",
            descent=Descent.at(values),
            best=values,
            steps_before=state.descent.steps,
            pivot=pivot,
            rank=rank,
            **found,
        )

    def _picture_of_latent(self, values: Tensor) -> Tensor:
        extra = {"noise": "random"} if self.settings.noise == "resampled" else {}
        rows = as_rows(self.generator, values, self.settings.space)
        return self.generator.synthesize(rows, dtype=self.dtype, **extra)

    def _descend(
        self,
        render: Callable[[Tensor], Tensor],
        state: EmbedState,
        steps: int,
        peak: float,
        *,
        beside: Callable[[Tensor, Tensor, int], Tensor | float] = lambda values, picture, step: 0.0,
    ) -> Iterator[_Progress]:
        """Go down from `state` until `steps` are done in its phase or `patience` runs out.

        beside: of values, picture and step, what else to go down; it does not say which values are the best.
        """
        settings = self.settings

        def over(state: EmbedState) -> bool:
            return state.descent.steps >= steps or 0 < settings.patience <= state.stale_steps

        while not over(state):
            descent = state.descent
            with torch.enable_grad():
                values = descent.values.detach().requires_grad_()
                picture = render(values)
                total, losses = self._measure(picture, values if state.phase == "latent" else None)
                total = total + beside(values, picture, descent.steps)
                (gradient,) = torch.autograd.grad(total, values)
            rate = learning_rate_at(
                descent.steps, steps, peak=peak, schedule=settings.schedule, warm_up=settings.warm_up
            )
            moved = descent.step(gradient, learning_rate=rate, betas=settings.betas, epsilon=settings.epsilon)
            state = _judged(replace(state, descent=moved), descent.values, losses["total"])
            yield _Progress(state, losses, picture.detach(), over(state))

    def _measure(self, picture: Tensor, latent: Tensor | None) -> tuple[Tensor, dict[str, float]]:
        """The loss of a picture [1, 3, R, R], and its terms (Image2StyleGAN, equation 1; latent: where it is free)."""
        settings = self.settings
        pixel = (picture - self.goal).square().mean()
        seen = self.distance(picture).sum() if self.distance else torch.zeros_like(pixel)
        other = self.likeness(picture).sum() if self.likeness and latent is not None else torch.zeros_like(pixel)
        total = settings.pixel_weight * pixel + settings.perceptual_weight * seen + settings.identity_weight * other
        if latent is not None and settings.mean_weight:
            rows = as_rows(self.generator, latent, settings.space)
            total = total + settings.mean_weight * (rows - self.generator.mean_latent()).square().mean()
        numbers = torch.stack([total, pixel, seen, other]).tolist()
        return total, dict(zip(("total", "pixel", "perceptual", "identity"), numbers, strict=True))

    @torch.no_grad()
    def _report(self, progress: _Progress) -> EmbedStep:
        state, settings, generator = progress.state, self.settings, self.generator
        latent, delta, picture = state.best, None, progress.picture
        farther = state.found is not None and state.best_loss > state.found_loss
        if farther:
            latent = state.found
        elif state.phase == "refine":
            latent = state.pivot
            delta = as_delta(as_stored(state.best), delta_shapes(generator, rank=state.rank))
        rows = as_rows(generator, latent, state.space)
        if progress.over or farther:
            picture = generator.synthesize(rows, None if delta is None else [delta], dtype=self.dtype)
        shown = progress.over or (settings.preview_every and state.descent.steps % settings.preview_every == 0)
        away = (rows[0] - generator.mean_latent()).expand(generator.num_layers, -1).norm(dim=1)
        return EmbedStep(
            phase=state.phase,
            step=state.steps_before + state.descent.steps,
            total=self._total(progress),
            losses=progress.losses,
            psnr=signal_to_noise((picture.clamp(-1, 1) - self.goal).square().mean().item()),
            latent_distance=away.norm().item(),
            latent_distance_per_row=away.mean().item(),
            latent=Latent(latent.cpu(), state.space, state.model),
            delta=None if delta is None else Delta({name: value.cpu() for name, value in delta.values.items()}),
            image=as_pixels(picture)[0] if shown else None,
            state=state,
            phase_done=progress.over,
            done=progress.over and self._is_last(state),
        )

    def _is_last(self, state: EmbedState) -> bool:
        return state.phase == "refine" or not self.settings.refine

    def _total(self, progress: _Progress) -> int:
        state, settings = progress.state, self.settings
        of_phase = settings.refine_steps if state.phase == "refine" else settings.steps
        if progress.over:
            of_phase = state.descent.steps
        return state.steps_before + of_phase + (0 if self._is_last(state) else settings.refine_steps)


def _judged(state: EmbedState, values: Tensor, loss: float) -> EmbedState:
    """`state` with `values` kept if they are the best so far, and with early stopping's count moved on."""
    if loss < state.best_loss:
        state = replace(state, best=values, best_loss=loss)
    if loss < state.stale_loss * (1 - IMPROVEMENT):
        return replace(state, stale_loss=loss, stale_steps=0)
    return replace(state, stale_steps=state.stale_steps + 1)
