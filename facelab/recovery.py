"""Picture -> latent of a generator with one latent: what its encoder sees, and latent recovery, as one iterator.

Recovery goes down ||G(z) - G(z')||^2 from several starts at once, with stochastic clipping (Lipton and Tripathi 2017,
"Precise recovery of latent vectors from generative adversarial networks"; used by Guo and Huang for PGGAN). All
restarts are one batch; the best latent of each is kept, and the best of all is the face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from facelab.embedding import Descent, EmbedStep, as_image, learning_rate_at, signal_to_noise
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import Latent
from facelab.generators.single_latent import SingleLatentGenerator
from facelab.generators.stylegan2 import fast_dtype
from facelab.pixels import as_pixels
from facelab.seeds import MAX_SEED

BETAS, EPSILON = (0.9, 0.999), 1e-8
_spreads: WeakKeyDictionary[SingleLatentGenerator, Tensor] = WeakKeyDictionary()
SHOWN_EVERY = 100  # steps between the pictures that the PGGAN paper shows (figure 3)


@dataclass(frozen=True, kw_only=True)
class RecoverySettings:
    """How to find a latent.

    start: "random", from the prior, or "encoder": the first restart begins at what the encoder sees. steps: of the
    search; 0 takes the encoder's word. restarts: searches side by side. learning_rate: of Adam, falling as a cosine,
    in units of how far the latents of random faces spread (the papers go down the plain gradient, in ten times the
    steps). limit: where a normal prior is taken to end; beyond it, a number is drawn anew. goal: PSNR in dB at which
    the search ends, 0 for never. preview_every: steps between pictures, 0 for none but the last. seed: of the starts
    and of what is drawn anew.
    Raises BadSetting for a value outside its range.
    """

    start: str = "random"
    steps: int = 1000
    restarts: int = 8
    learning_rate: float = 0.1
    limit: float = 3.0
    goal: float = 0.0
    preview_every: int = SHOWN_EVERY
    seed: int = 0

    def __post_init__(self) -> None:
        if self.start not in ("random", "encoder"):
            raise BadSetting(f"start must be random or encoder, not {self.start!r}.")
        for name, low, high in (
            ("steps", 0, 100_000),
            ("restarts", 1, 64),
            ("learning_rate", 1e-6, 10),
            ("limit", 0.1, 100),
            ("goal", 0, 100),
            ("preview_every", 0, 100_000),
            ("seed", 0, MAX_SEED),
        ):
            if not low <= getattr(self, name) <= high:  # False for nan, too
                raise BadSetting(f"{name} must be between {low:g} and {high:g}, not {getattr(self, name)}.")
        if self.start == "random" and not self.steps:
            raise BadSetting("A search from random starts needs steps; only the encoder's word needs none.")


RECOVERY_PRESETS = {
    "encode": RecoverySettings(start="encoder", steps=0, restarts=1),
    "recover": RecoverySettings(start="encoder"),
}


@dataclass(frozen=True, eq=False)
class RecoveryState:
    """All that is needed to go on with a recovery: pass it to `recover` as `resume`.

    model, space: what it belongs to. descent: the restarts [K, D] under Adam. best, best_losses: the best latent of
    each restart so far [K, D], and its loss. seed: of what is drawn anew. steps_before: 1 where the encoder's word was
    all, so that its step counts.
    """

    model: str
    space: str
    descent: Descent
    best: Tensor
    best_losses: tuple[float, ...]
    seed: int
    steps_before: int = 0
    phase: str = "recover"

    @property
    def best_loss(self) -> float:
        """The lowest loss of all restarts."""
        return min(self.best_losses)

    @property
    def order(self) -> list[int]:
        """The restarts, the best first."""
        return sorted(range(len(self.best_losses)), key=self.best_losses.__getitem__)


def recover(
    generator: SingleLatentGenerator,
    target: np.ndarray,
    settings: RecoverySettings,
    *,
    encode: Callable[[Tensor], Tensor] | None = None,
    resume: RecoveryState | None = None,
) -> Iterator[EmbedStep]:
    """Find the latent whose picture is `target`, uint8 [R, R, 3] at the generator's resolution.

    encode: carries pictures [N, 3, R, R] to latents [N, 1, D], for settings.start "encoder". resume: the state of the
    last step of an earlier run, whose restarts go on. Each step of the iterator is one of all restarts; its `restarts`
    are their losses, and its picture is that of the best one.
    Raises BadSetting for a target of another size or for no encoder, LatentMismatch for a state of another model.
    """
    if settings.start == "encoder" and encode is None and resume is None:
        raise BadSetting(f"{generator.name} has no encoder. Recover from random starts.")
    goal = as_image(target, generator)
    if resume is not None and (resume.model, resume.space) != (generator.name, generator.edit_space):
        raise LatentMismatch(f"This recovery was begun with {resume.model}; it cannot go on with {generator.name}.")
    return _search(generator, goal, settings, encode, resume)


def _search(
    generator: SingleLatentGenerator,
    goal: Tensor,
    settings: RecoverySettings,
    encode: Callable[[Tensor], Tensor] | None,
    state: RecoveryState | None,
) -> Iterator[EmbedStep]:
    if state is None:
        starts = generator.sample(settings.restarts, seed=settings.seed)[:, 0]
        if settings.start == "encoder":
            starts = torch.cat([encode(goal)[:, 0].to(starts), starts[1:]])
        losses = tuple(_errors(_draw(generator, starts), goal).tolist())
        before = int(not settings.steps)
        state = RecoveryState(
            generator.name, generator.edit_space, Descent.at(starts), starts, losses, settings.seed, before
        )
        if settings.start == "encoder":
            yield _report(generator, goal, settings, state, losses, "encode")
    if _over(state, settings):
        return
    spread = _spread_of(generator)
    while not _over(state, settings):
        state, losses = _step(generator, goal, settings, state, spread)
        yield _report(generator, goal, settings, state, losses, "recover")


def _spread_of(generator: SingleLatentGenerator) -> Tensor:
    """The generator's spread, found once."""
    if generator not in _spreads:
        _spreads[generator] = generator.spread()
    return _spreads[generator]


def _over(state: RecoveryState, settings: RecoverySettings) -> bool:
    reached = state.descent.steps > 0 and 0 < settings.goal <= signal_to_noise(state.best_loss)
    return reached or state.descent.steps >= settings.steps


def _step(
    generator: SingleLatentGenerator, goal: Tensor, settings: RecoverySettings, state: RecoveryState, spread: Tensor
) -> tuple[RecoveryState, tuple[float, ...]]:
    """One step of all restarts. Restarts do not know of each other: the sum of their losses has each one's gradient."""
    descent = state.descent
    with torch.inference_mode(False), torch.enable_grad():
        values = descent.values.detach().clone().requires_grad_()
        losses = _errors(_draw(generator, values), goal)
        (gradient,) = torch.autograd.grad(losses.sum(), values)
    rate = learning_rate_at(descent.steps, settings.steps, peak=settings.learning_rate, schedule="cosine", warm_up=0.05)
    moved = descent.step(gradient, learning_rate=rate * spread, betas=BETAS, epsilon=EPSILON)
    seed = np.random.SeedSequence((state.seed, descent.steps)).generate_state(1, np.uint64)[0]
    random = torch.Generator().manual_seed(int(seed))
    clipped = generator.clip(moved.values, limit=settings.limit, generator=random)
    kept = clipped == moved.values  # what was drawn anew has no past
    moved = replace(moved, values=clipped, first=moved.first * kept, second=moved.second * kept)
    numbers = tuple(losses.detach().tolist())
    better = torch.tensor([new < old for new, old in zip(numbers, state.best_losses, strict=True)])
    best = torch.where(better.to(clipped.device)[:, None], descent.values, state.best)
    best_losses = tuple(map(min, numbers, state.best_losses))
    return replace(state, descent=moved, best=best, best_losses=best_losses), numbers


def _draw(generator: SingleLatentGenerator, latents: Tensor) -> Tensor:
    return generator.synthesize(latents[:, None], dtype=fast_dtype(latents.device))


def _errors(pictures: Tensor, goal: Tensor) -> Tensor:
    """The mean squared difference of each picture [N, 3, R, R] from the goal, float32 [N]."""
    return (pictures - goal).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def _report(
    generator: SingleLatentGenerator,
    goal: Tensor,
    settings: RecoverySettings,
    state: RecoveryState,
    losses: tuple[float, ...],
    phase: str,
) -> EmbedStep:
    done = _over(state, settings)
    latent = state.best[state.order[0]][None]
    shown = done or phase == "encode" or (settings.preview_every and state.descent.steps % settings.preview_every == 0)
    error = state.best_loss
    picture = None
    if shown:
        picture = _draw(generator, latent)
        error = _errors(picture.clamp(-1, 1), goal).item()
    away = float((latent - generator.mean_latent()).norm())
    return EmbedStep(
        phase=phase,
        step=state.steps_before + state.descent.steps,
        total=state.steps_before + settings.steps,
        losses={"total": min(losses), "pixel": min(losses), "perceptual": 0.0},
        psnr=signal_to_noise(error),
        latent_distance=away,
        latent_distance_per_row=away,
        latent=Latent(latent.cpu(), state.space, state.model),
        delta=None,
        image=None if picture is None else as_pixels(picture)[0],
        state=state,
        phase_done=done,
        done=done,
        restarts=losses,
    )
