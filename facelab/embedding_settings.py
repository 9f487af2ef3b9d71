"""How to embed: Image2StyleGAN's settings, their ranges, and the presets."""

from __future__ import annotations

from dataclasses import dataclass

from facelab.errors import BadSetting
from facelab.seeds import MAX_SEED

SPACES = ("z", "w", "w+")
STARTS = ("mean", "random", "encoder")
SCHEDULES = ("constant", "cosine")
PERCEPTUALS = ("discriminator", "vgg16")
NOISES = ("constant", "resampled")


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """How to embed. The defaults are Image2StyleGAN's (section 5) but for the perceptual network.

    space: "w+" has a row a layer, "w" and "z" one row. start: "mean" (faces), "random", uniform in [-1, 1] (anything
    else; section 5.1), or "encoder", what the model's encoder sees in the picture. schedule: of the learning rate:
    "constant", or "cosine" after a warm-up over the first `warm_up` of the steps. pixel_weight: of the mean squared
    difference of pixels in [-1, 1] (lambda_mse). perceptual_weight: of the distance in features (lambda_percept), and
    perceptual: whose, "discriminator" or "vgg16"; losses of the two are not on one scale. identity_weight: while the
    latent is searched, of the squared distance of identity vectors (identity.py). mean_weight: of the mean
    squared difference of w from its mean, which keeps the latent where edits look natural. noise: "constant" or,
    visibly worse (figure 16), "resampled" at each step. refine: whether to go on with pivotal tuning, for
    refine_steps at refine_learning_rate with convolutions of rank refine_rank (lowered where the delta would take
    more than 500 kB). pivot: the latent that it begins from, as a share of the way from what an encoder saw to what
    was found: edits of a latent near to the encoder's look cleaner, and refining makes up for the likeness; without an
    encoder it is what was found. edit_weight: while refining, of the mean squared difference between what edits change
    in the picture and what they would change without it (refinement.py). preview_every: steps between pictures, 0 for
    none but the phases' last. patience: steps without getting better after which a phase ends early, 0 for never.
    seed: of a random start and of the refinement's factors and edits.
    Raises BadSetting for a value outside its range.
    """

    space: str = "w+"
    start: str = "mean"
    steps: int = 5000
    learning_rate: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    schedule: str = "constant"
    warm_up: float = 0.05
    pixel_weight: float = 1.0
    perceptual_weight: float = 1.0
    perceptual: str = "discriminator"
    identity_weight: float = 0.0
    mean_weight: float = 0.0
    noise: str = "constant"
    refine: bool = False
    refine_steps: int = 250
    refine_rank: int = 16
    refine_learning_rate: float = 0.02
    pivot: float = 1.0
    edit_weight: float = 0.0
    preview_every: int = 10
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (
            ("space", SPACES),
            ("start", STARTS),
            ("schedule", SCHEDULES),
            ("perceptual", PERCEPTUALS),
            ("noise", NOISES),
        ):
            if getattr(self, name) not in known:
                raise BadSetting(f"{name} must be one of {', '.join(known)}, not {getattr(self, name)!r}.")
        for name, low, high in (
            ("steps", 1, 100_000),
            ("learning_rate", 1e-6, 10),
            ("epsilon", 1e-15, 1),
            ("warm_up", 0, 1),
            ("pixel_weight", 0, 1e6),
            ("perceptual_weight", 0, 1e6),
            ("identity_weight", 0, 1e6),
            ("mean_weight", 0, 1e6),
            ("refine_steps", 1, 100_000),
            ("refine_rank", 1, 64),
            ("refine_learning_rate", 1e-6, 10),
            ("pivot", 0, 1),
            ("edit_weight", 0, 1e6),
            ("preview_every", 0, 100_000),
            ("patience", 0, 100_000),
            ("seed", 0, MAX_SEED),
        ):
            if not low <= getattr(self, name) <= high:  # False for nan, too
                raise BadSetting(f"{name} must be between {low:g} and {high:g}, not {getattr(self, name)}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise BadSetting(f"betas must lie in [0, 1), not {self.betas}.")
        if self.pixel_weight == self.perceptual_weight == 0:
            raise BadSetting("pixel_weight and perceptual_weight cannot both be 0: nothing would be compared.")


# "fast" was chosen on portraits that the search had not seen. From the encoder 50 steps come nearer than 100 from the
# mean face (22.1 dB and an identity distance of 0.59 against 21.9 dB and 0.61); the pull to the mean brings the latent
# 15 percent nearer, which is room for edits, at the same PSNR and identity distance. identity_weight was chosen on 8
# others, where it brings w+ from 0.63 to 0.58 by dlib's own distance; more of it, or any while refining, only pleases
# the network that reads it. The refinement's rate and steps were chosen on 12 further ones: 150 steps at 0.01, at 0.02,
# and 250 at 0.02 bring the median to 0.29, 0.28 and 0.23, at 28.6, 28.9 and 30.3 dB. The latent's were chosen last, on
# 16: 50 steps at 0.08 bring w+ to 22.8 dB and 0.46, 150 at 0.15 to 24.8 dB and 0.40, for a sixth more time in all;
# pixels that weigh twice as much, to 24.9 dB and 0.40. Latents that come so near are far from where edits look natural.
# Refined from a quarter or a half of the way to them, though, faces come as near (on 4 portraits 30.7 and 30.9 dB, from
# all of it 30.7), and beards, fringes and grey hair look less smeared; 0.4 was chosen by eye.
PRESETS = {
    "fast": EmbedSettings(
        start="encoder",
        steps=150,
        learning_rate=0.15,
        schedule="cosine",
        identity_weight=0.3,
        mean_weight=0.1,
        refine=True,
        pivot=0.4,
        edit_weight=1.0,
        preview_every=5,
        patience=50,
    ),
    "paper": EmbedSettings(),
}
