"""Image2StyleGAN's experiments (Abdal, Qin, Wonka 2019) on our own model, in the order of the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from facelab.errors import BadSetting
from facelab.experiments import paper
from facelab.experiments.curves import loss_curves
from facelab.experiments.geometry import distances, morphs, walk
from facelab.experiments.iterated import iterated
from facelab.experiments.lab import LONG, Lab
from facelab.experiments.losses import ablation, noise, sizes
from facelab.experiments.pictures import LICENCES, Picture
from facelab.experiments.results import Result
from facelab.experiments.robustness import defects, transforms
from facelab.experiments.spaces import spaces

NAME = "image2stylegan"
EXPERIMENTS: dict[str, Callable[[Lab, Sequence[Picture]], Result]] = {
    "spaces": spaces,
    "loss-curves": loss_curves,
    "transforms": transforms,
    "defects": defects,
    "iterated": iterated,
    "ablation": ablation,
    "sizes": sizes,
    "noise": noise,
    "distances": distances,
    "walk": walk,
    "morphs": morphs,
}


def choose(only: str | None) -> list[str]:
    """Names of experiments, all of them or those of a list with commas, in the report's order. Raises BadSetting."""
    wanted = list(EXPERIMENTS) if only is None else [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in EXPERIMENTS]
    if unknown or not wanted:
        raise BadSetting(f"--only {only}: the experiments are {', '.join(EXPERIMENTS)}.")
    return [name for name in EXPERIMENTS if name in wanted]


def run(lab: Lab, pictures: Sequence[Picture], names: Sequence[str]) -> Iterator[Result]:
    """The chosen experiments, each as soon as it is done. What several need is embedded once."""
    for name in names:
        begun = time.process_time()
        result = EXPERIMENTS[name](lab, pictures)
        yield replace(result, seconds=round(time.process_time() - begun, 1))


def head(lab: Lab, pictures: Sequence[Picture]) -> str:
    """The first paragraphs of the report: what was embedded, how, and on which scale losses are."""
    card, settings = lab.card, lab.settings
    counts = {kind: sum(picture.kind == kind for picture in pictures) for kind in ("face", "photo")}
    others = ", ".join(picture.name for picture in pictures if not picture.is_face)
    credit = "; ".join(LICENCES[picture.name] for picture in pictures if picture.name in LICENCES)
    rate = (
        f"the paper's constant rate of {settings.learning_rate:g}"
        if settings.steps >= LONG
        else f"a rate that falls from {settings.learning_rate:g} along a cosine, as so few steps of the paper's "
        f"{paper.LEARNING_RATE:g} would lead nowhere"
    )
    seen = (
        f"The perceptual term is {card.name}'s own discriminator's, for VGG-16's weights are not part of FaceLab: the "
        "outputs of its blocks, each mean squared difference over the target's mean square, averaged over the blocks "
        "(0 for the same picture, about 1 for an unrelated one)."
        if settings.perceptual == "discriminator"
        else "The perceptual term is VGG-16's conv1_1, conv1_2, conv3_2 and conv4_2 after the ReLU, on ImageNet's "
        "normalisation, mean squared differences added up (equation 2)."
    )
    photos = (
        f' Photos ({counts["photo"]}) are real faces, of the split "val" where the data has one, which took no part '
        "in training: they count in tables and are in no figure."
        if counts["photo"]
        else " `--photos` measures real faces beside them."
    )
    drawn = "drawings are our own" if credit else "Drawings are our own; scikit-image, where installed, adds more"
    latent = " x ".join(map(str, lab.generator.latent_shape("w+")))
    return f"""# Image2StyleGAN's experiments on {card.title}

Abdal, Qin, Wonka: *Image2StyleGAN: How to Embed Images Into the StyleGAN Latent Space?* 2019. The paper embeds into
StyleGAN at 1024 px (w+ of 18 x 512) in {paper.STEPS:,} steps an image; here it is {card.name}, {card.resolution} px
(w+ of {latent}), and {settings.steps:,} steps by Adam (0.9, 0.999, 1e-8) with {rate}. The command below each experiment
made it, and says so where one was made with other settings.

**The loss** is equation 1 on pictures in [-1, 1]: the mean squared difference of pixels, plus the perceptual term, both
weighted 1. {seen} The paper's losses are of another scale, which it does not state, so they stand here only as ratios
within one of its tables. Distances to the mean are over all rows.

**The faces** ({counts["face"]}) are draws of {card.name} itself, and a generator's own draws lie in its range. So that
no latent draws them exactly, each is crossed from two latents, drawn with other noise, turned by up to 4 degrees,
zoomed and moved a little, and recoloured. They are still easier than photos, and say less. Another
number of faces draws other ones.{photos}

**Other pictures**: {others}. {credit}{"; " * bool(credit)}{drawn}. There is one cat, so what is said of cats is said of
one picture. The paper's dogs, cars and paintings have no free pictures in the packages used.
"""
