"""`python -m facelab recovery MODEL`: how well a generator's own pictures are recovered, and whether combining their
latents needs averages of three.

Radford et al. 2016 (section 6.3.2) average three latents for each operand of their arithmetic, since single ones were
unstable; Guo and Huang (section 3.3) find that PGGAN does not need it. Measured here: the share of combinations in
which dlib finds a face, of operands that are single draws, and of operands that are means of three draws that look
alike, beside the share of plain draws. What loses its face was unstable.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facelab.errors import BadSetting
from facelab.seeds import MAX_SEED

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from facelab.generators.single_latent import SingleLatentGenerator
    from facelab.recovery import RecoverySettings

RECOVERED = 30.0  # dB, above which a picture counts as found again
POOL = 512  # draws among which those that look alike are looked for
OPERANDS = (1, 3)
# By start, what the figures are kept as, and which of the model's companions took part.
RECOVERIES = {"random": ("recovery", ()), "encoder": ("recovery-encoder", ("encoder",))}


def recovery(
    model: Annotated[str, typer.Argument(help="A name that `models list` prints, of a model with one latent.")],
    targets: Annotated[int, typer.Option(min=0, help="Pictures of its own to recover.")] = 100,
    restarts: Annotated[int, typer.Option(min=1, max=64, help="Searches side by side for each.")] = 8,
    steps: Annotated[int, typer.Option(min=1, help="Of each search, which ends as soon as it reaches 30 dB.")] = 1000,
    start: Annotated[
        str, typer.Option(help="random; or encoder: one of the searches begins at what it sees.")
    ] = "random",
    learning_rate: Annotated[
        float, typer.Option(min=1e-6, max=10, help="Of Adam, at the beginning, against how far random latents spread.")
    ] = 0.1,
    combinations: Annotated[
        int, typer.Option(min=0, help="Pairs of faces to combine, of single and of mean latents.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of the targets, the starts and the pairs.")] = 0,
    save: Annotated[bool, typer.Option("--save", help="Keep the figures beside the model, for papers.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")] = False,
) -> None:
    """Measure latent recovery on a model's own pictures, and combinations of latents with and without averaging."""
    from tqdm import tqdm

    from facelab.encoder import load_encode
    from facelab.recovery import RecoverySettings
    from facelab.studio import Studio

    studio = Studio(model)
    if studio.has_layers:
        raise BadSetting(f"{model} has w+. Its embeddings are measured by `evaluate {model} --embed N`.")
    told = {"start": start, "restarts": restarts, "steps": steps, "learning_rate": learning_rate, "goal": RECOVERED}
    settings = RecoverySettings(**told, seed=seed, preview_every=0)
    if start == "encoder" and not studio.has_encoder:
        raise BadSetting(
            f"{model} has no encoder. Train one with `train inverter --model {model}`, or start at random."
        )
    encode = load_encode(studio.generator) if start == "encoder" else None
    figures: dict[str, Any] = {"model": model, **told, "seed": seed}
    started = time.perf_counter()
    if targets:
        with tqdm(total=targets, file=sys.stderr, unit="face", dynamic_ncols=True) as bar:
            found = recover_drawn(
                studio.generator, targets, settings, encode=encode, progress=lambda psnr: bar.update()
            )
        figures |= summarise_recovery(found)
    if combinations:
        figures["combinations"] = measure_combinations(studio.generator, combinations, seed=seed)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    if save:
        _save(model, figures)
    print(json.dumps(figures) if as_json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


def _save(model: str, figures: dict[str, Any]) -> None:
    """Keep both kinds of figures, each with the command that measures it."""
    from facelab.evaluation.measured import keep

    seed = f"--seed {figures['seed']} --save"
    if "targets" in figures:
        names = ("targets", "restarts", "steps", "start", "learning_rate")
        budget = " ".join(f"--{name.replace('_', '-')} {figures[name]}" for name in names)
        kept = {name: value for name, value in figures.items() if name not in ("combinations", "seconds")}
        kind, using = RECOVERIES[figures["start"]]
        keep(kind, model, kept, command=f"recovery {model} {budget} {seed}", using=using)
    if "combinations" in figures:
        pairs = figures["combinations"]["pairs"]
        command = f"recovery {model} --targets 0 --combinations {pairs} {seed}"
        keep("combinations", model, figures["combinations"], command=command)


def recover_drawn(
    generator: SingleLatentGenerator,
    count: int,
    settings: RecoverySettings,
    *,
    encode: Callable[[Tensor], Tensor] | None = None,
    progress: Callable[[float], None] = lambda psnr: None,
) -> list[tuple[float, int]]:
    """Recover `count` draws of a generator: for each the PSNR reached, in dB, and the steps that it took. encode: of
    `recover`, for settings that start at an encoder.
    """
    from facelab.recovery import recover

    found = []
    for number, picture in enumerate(_pictures(generator, generator.sample(count, seed=settings.seed)[:, 0])):
        *_, last = recover(generator, picture, replace(settings, seed=settings.seed + 1 + number), encode=encode)
        found.append((last.psnr, last.step))
        progress(last.psnr)
    return found


def summarise_recovery(found: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """The share that was found again, and the median PSNR and steps."""
    import numpy as np

    psnr, steps = np.array(found, float).T
    return {
        "targets": len(found),
        "recovered": round(float((psnr >= RECOVERED).mean()), 4),
        "psnr_median": round(float(np.median(psnr)), 2),
        "psnr_worst": round(float(psnr.min()), 2),
        "steps_median": int(np.median(steps)),
    }


def measure_combinations(generator: SingleLatentGenerator, pairs: int, *, seed: int) -> dict[str, float]:
    """The share of pictures in which dlib finds a face: of plain draws, and of combinations by the number of latents
    that each operand is the mean of.
    """
    from facelab.evaluation.portraits import describe

    def share(latents: Tensor) -> float:
        return round(float(describe(_pictures(generator, latents)).found.mean()), 4)

    made = {f"of_{count}": combine_draws(generator, pairs, count, seed=seed) for count in OPERANDS}
    return {"pairs": pairs, "draws": share(generator.sample(pairs, seed=seed)[:, 0])} | {
        name: share(latents) for name, latents in made.items()
    }


def combine_draws(generator: SingleLatentGenerator, pairs: int, operands: int, *, seed: int) -> Tensor:
    """Combinations [pairs, D] of two latents, each the mean of `operands` draws whose pictures look most alike.

    A mean of draws of a normal prior is shorter than the draws; it is given their length again, as combinations are.
    """
    import torch

    from facelab.edits.arithmetic import combine_on_sphere

    pool = generator.sample(max(POOL, 2 * pairs), seed=seed)[:, 0]
    with torch.inference_mode():
        looks = torch.cat([generator.synthesize(each[:, None]) for each in pool.split(32)])
    looks = torch.nn.functional.avg_pool2d(looks, max(1, looks.shape[-1] // 16)).flatten(1)
    alike = torch.cdist(looks[: 2 * pairs], looks).topk(operands, largest=False).indices  # itself is the nearest
    chosen = pool[alike]
    means, dims = chosen.mean(dim=1), generator.sphere_dims
    if dims:
        lengths = chosen[..., :dims].norm(dim=-1).mean(dim=1, keepdim=True)
        means = torch.cat([torch.nn.functional.normalize(means[:, :dims]) * lengths, means[:, dims:]], dim=1)
    first, second = means[:pairs], means[pairs:]
    whole = (first + second) / 2
    if not dims:
        return whole
    return torch.cat([combine_on_sphere(first[:, :dims], second[:, :dims]), whole[:, dims:]], dim=1)


def _pictures(generator: SingleLatentGenerator, latents: Tensor) -> list[np.ndarray]:
    import torch

    from facelab.pixels import as_pixels

    with torch.inference_mode():
        return [picture for part in latents.split(32) for picture in as_pixels(generator.synthesize(part[:, None]))]
