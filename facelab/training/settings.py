"""What a training is told, by family; saved with the run and in every checkpoint.

Each setting is a field made by `option`: the command line has an option of the same name with its help and limits.
Only numbers and text, and nothing heavy imported: the command line reads this file before it knows what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facelab.errors import BadSetting
from facelab.seeds import MAX_SEED

GAN_LOSSES = ("wasserstein", "logistic")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


def option(
    default: Any,
    help: str,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    command: Any = None,
    name: str | None = None,
) -> Any:
    """A field of settings with its help and inclusive limits.

    command: the command line's default, where it is not the constructor's. name: the option's, where it is not the
    field's.
    """
    limits = {"min": minimum, "max": maximum}
    return field(default=default, metadata={"help": help, "limits": limits, "command": command, "name": name})


@dataclass(frozen=True)
class RunSettings:
    """What every family's training is told. Raises BadSetting for a value outside its range."""

    resolution: int = option(128, "Side of the pictures in pixels, a power of two.", minimum=8)
    images: int = option(1_000_000, "Pictures to see in all.", minimum=1)
    batch: int = option(32, "Pictures a step, over all processes.", minimum=1)
    accumulate: int = option(1, "Parts of a process's batch, where memory is short.", minimum=1)
    learning_rate: float = option(0.002, "Step size of Adam.", minimum=0)
    flip: bool = option(True, "Mirror half of the pictures.")
    seed: int = option(0, "Seed of everything that is random.", minimum=0, maximum=MAX_SEED)
    checkpoint_minutes: float = option(5.0, "Minutes between checkpoints.", minimum=0, name="minutes")
    sheet_images: int = option(10_000, "Pictures between sample sheets and weight files.", minimum=1)

    def __post_init__(self) -> None:
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise BadSetting(f"The resolution must be a power of two from 8 up, not {self.resolution}.")
        if self.batch < 1 or self.accumulate < 1 or self.batch % self.accumulate:
            raise BadSetting(f"The batch ({self.batch}) must be a multiple of the accumulation ({self.accumulate}).")
        if not 0 < self.learning_rate < 1:
            raise BadSetting(f"The learning rate must lie between 0 and 1, not {self.learning_rate}.")


@dataclass(frozen=True)
class TrainSettings(RunSettings):
    """StyleGAN2's. The constructor's defaults are those of the shipped 128 px model.

    r1_interval and path_interval: the penalty is scaled up by the interval (lazy regularisation, Karras et al. 2020,
    section 3.1). warmup_steps: the learning rate rises over these after a start without optimiser state.
    """

    start: str = option("", "Go on from this model of the catalogue, in its shape.")
    start_weights: str = option("", "With --start: other weights of its shape, such as an earlier run's file.")
    r1_gamma: float = option(0.2, "Weight of the R1 penalty.", minimum=0)
    r1_interval: int = option(16, "Steps between R1 penalties; 0 for none.", minimum=0)
    path_weight: float = option(2.0, "Weight of the path-length penalty.", minimum=0)
    path_interval: int = option(0, "Steps between path-length penalties; 0 for none.", minimum=0, command=8)
    style_mixing: float = option(0.5, "Share of pictures made from two latents.", minimum=0, maximum=1)
    ema_images: int = option(10_000, "Half-life of the generator's moving average, in pictures.", minimum=1)
    ada_target: float = option(
        0.0, "Share of positive real logits that augmentation aims at; 0 for none.", minimum=0, maximum=1, command=0.6
    )
    ada_images: int = option(100_000, "Pictures in which augmentation can go from never to always.", minimum=1)
    eyes_weight: float = option(
        0.0, "Weight of a second discriminator, on the features of the network that knows faces.", minimum=0
    )
    clear: bool = option(
        False, "Leave out faces in a hat, in dark glasses or turned by over 40 degrees, as the reader sees them."
    )
    warmup_steps: int = option(200, "Steps over which the learning rate rises.", minimum=0)
    settle: float = option(
        0.0,
        "Share of the training, at its end, over which the learning rate falls to a twentieth.",
        minimum=0,
        maximum=1,
        command=0.1,
    )
    grow_from: int = option(0, "Begin at this resolution and grow by doubling; 0 for the whole at once.", minimum=0)
    grow_images: int = option(300_000, "Pictures to see at each resolution before it doubles.", minimum=1)
    fade_images: int = option(100_000, "Pictures over which a doubling fades in.", minimum=1)
    precision: str = option("auto", f"Of the convolutions: {', '.join(PRECISIONS)}. auto: the device's fastest.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision not in PRECISIONS:
            raise BadSetting(f"The precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}.")
        if self.grow_from and not (8 <= self.grow_from < self.resolution and self.grow_from.bit_count() == 1):
            raise BadSetting(
                f"Growing must begin at a power of two from 8 up to below {self.resolution}, not at {self.grow_from}."
            )
        if self.grow_from and self.start:
            raise BadSetting(f"{self.start} is fully grown. Leave out --grow-from, or --start.")
        if self.start_weights and not self.start:
            raise BadSetting("Weights to start from need the model whose shape they have: say --start as well.")


@dataclass(frozen=True)
class FitSettings(RunSettings):
    """Those of the small networks that look at faces."""

    images: int = option(300_000, "Pictures to see in all.", minimum=1)
    batch: int = option(64, "Pictures a step.", minimum=2)
    weight_decay: float = option(0.05, "AdamW's decay of the weights.", minimum=0)
    warm_up: float = option(0.1, "Share of the training over which the learning rate rises.", minimum=0, maximum=0.9)
    sheet_images: int = option(100_000, "Pictures between weight files.", minimum=1)


@dataclass(frozen=True)
class ReaderSettings(FitSettings):
    """The reader's. Raises BadSetting for mirrored pictures: their vectors, landmarks and pose are not known."""

    start: str = option("", "Go on from this weight file, such as the reader that ships.")
    described: int = option(
        0, "Portraits that dlib looks at; the others teach their labels alone. 0 for all.", minimum=0
    )
    model: str = option("faces128", "Of --generated: whose faces, of the catalogue; it needs its encoder.")
    generated: int = option(
        0,
        "Faces that --model draws beside the portraits, half of them likenesses of portraits, for dlib to look at: "
        "without them a generator soon draws what pleases the reader alone.",
        minimum=0,
    )
    flip: bool = option(False, "Not for the reader: dlib's vector of a mirrored face is another one.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flip:
            raise BadSetting("A mirrored face has another vector, other landmarks and another pose. Leave out --flip.")


@dataclass(frozen=True)
class EncoderSettings(FitSettings):
    """The encoder's. images counts photos; as many generated faces are seen beside them."""

    model: str = option("faces128", "The generator to invert, of the catalogue.")
    start: str = option("", "Go on from this weight file, such as an earlier generator's encoder.")
    images: int = option(40_000, "Photos to see in all.", minimum=1)
    batch: int = option(8, "Photos a step.", minimum=2)
    learning_rate: float = option(0.001, "Step size of AdamW.", minimum=0)
    sheet_images: int = option(10_000, "Photos between sheets and weight files.", minimum=1)


@dataclass(frozen=True)
class InverterSettings(FitSettings):
    """The inverter's. images counts photos; as many generated faces are seen beside them."""

    model: str = option("", "Required: the generator to invert, of the catalogue, one with a single latent.")
    resolution: int = option(64, "Side of the pictures in pixels: the generator's.", minimum=8)
    images: int = option(200_000, "Photos to see in all.", minimum=1)
    batch: int = option(32, "Photos a step.", minimum=2)
    learning_rate: float = option(0.002, "Step size of AdamW.", minimum=0)
    photo_weight: float = option(
        1.0, "Weight of the photos; 0 learns from generated faces alone, as the PGGAN paper wishes.", minimum=0
    )
    sheet_images: int = option(20_000, "Photos between sheets and weight files.", minimum=1)


@dataclass(frozen=True)
class CircleSettings(FitSettings):
    """The circle's. images counts vectors, which a portrait gives many times."""

    model: str = option("faces128", "The generator to map to, of the catalogue; it needs an encoder.")
    start: str = option("", "Go on from this weight file, such as the model's own circle.")
    images: int = option(400_000, "Vectors to see in all.", minimum=1)
    batch: int = option(256, "Vectors a step.", minimum=2)
    learning_rate: float = option(0.002, "Step size of AdamW.", minimum=0)
    portraits: int = option(0, "So many portraits only; 0 for all.", minimum=0)
    identity: str = option("dlib", "Whose vectors the circle begins with: dlib, or facenet where its weights are.")
    described: int = option(10_240, "Portraits whose vectors are dlib's own; the others' are the reader's.", minimum=64)
    generated: int = option(8192, "Random faces beside the portraits, whose latents are known.", minimum=1)
    look_from: float = option(
        0.1, "Share of the training after which decoded faces are looked at; until then latents alone teach.", minimum=0
    )
    look_every: int = option(1, "Steps between looks at decoded faces and at edits of them.", minimum=1)
    looks: int = option(12, "Faces a look.", minimum=1)
    sheet_images: int = option(200_000, "Vectors between sheets and weight files.", minimum=1)
    flip: bool = option(False, "Not for the circle: dlib's vector of a mirrored face is another one.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.flip:
            raise BadSetting("A mirrored face has another vector. Leave out --flip.")


@dataclass(frozen=True)
class PaperSettings(RunSettings):
    """What the papers' models at 64 px have in common."""

    start: str = option("", "Go on from this model of the catalogue, in its shape.")
    resolution: int = option(64, "Side of the pictures in pixels, a power of two.", minimum=8)
    batch: int = option(64, "Pictures a step, over all processes.", minimum=2)
    sheet_images: int = option(48_000, "Pictures between sample sheets and weight files.", minimum=1)
    z_dim: int = option(128, "Numbers of the latent.", minimum=1)
    channels: int = option(32, "Channels of the finest level.", minimum=1)

    @property
    def config(self) -> dict[str, int]:
        """What the family's networks are made of, as the model's card will say it."""
        return {"z_dim": self.z_dim, "channels": self.channels}


@dataclass(frozen=True)
class VAESettings(PaperSettings):
    """The variational auto-encoder's; with attributes, the conditional one's. 20 epochs of CelebA-HQ's train split."""

    images: int = option(484_000, "Pictures to see in all.", minimum=1)
    learning_rate: float = option(0.0005, "Step size of Adam.", minimum=0)
    kl_weight: float = option(1.0, "Weight of the divergence from the prior.", minimum=0)
    attributes: str = option("", "Names of labels.csv to be conditional on, such as 'Male Smiling Eyeglasses'.")

    @property
    def conditions(self) -> list[str]:
        """The attributes that the model is conditional on."""
        return self.attributes.replace(",", " ").split()

    @property
    def config(self) -> dict[str, int]:
        return super().config | {"attributes": len(self.conditions)}


@dataclass(frozen=True)
class VAEGANSettings(PaperSettings):
    """VAE/GAN's, 60 epochs."""

    images: int = option(1_452_000, "Pictures to see in all.", minimum=1)
    learning_rate: float = option(0.0003, "Step size of Adam, at the beginning.", minimum=0)
    halve_images: int = option(
        1_056_000, "Pictures after which the step size is halved: not halved, training failed soon after.", minimum=1
    )
    gamma: float = option(
        15.0, "Weight of the similarity in the decoder's loss, against the discriminator's.", minimum=0
    )
    similarity_weight: float = option(
        25.0,
        "Weight of the similarity in the encoder's loss: more keeps more of a face, less keeps latents near the prior.",
        minimum=0,
    )
    r1_gamma: float = option(
        0.2, "Weight of the R1 penalty, which the paper has not; 0 for none: faces then grow alike.", minimum=0
    )

    @property
    def config(self) -> dict[str, int]:
        return super().config | {"attributes": 0}


@dataclass(frozen=True)
class DCGANSettings(PaperSettings):
    """DCGAN's, 100 epochs."""

    images: int = option(2_420_000, "Pictures to see in all.", minimum=1)
    batch: int = option(128, "Pictures a step, over all processes.", minimum=2)
    learning_rate: float = option(0.0002, "Step size of Adam.", minimum=0)
    z_dim: int = option(100, "Numbers of the latent.", minimum=1)
    channels: int = option(48, "Channels of the finest level.", minimum=1)


@dataclass(frozen=True)
class BEGANSettings(PaperSettings):
    """BEGAN's, 40 epochs."""

    images: int = option(970_000, "Pictures to see in all.", minimum=1)
    batch: int = option(16, "Pictures a step, over all processes.", minimum=2)
    learning_rate: float = option(0.0001, "Step size of Adam, at the beginning.", minimum=0)
    z_dim: int = option(64, "Numbers of the latent.", minimum=1)
    gamma: float = option(0.5, "Error of drawn pictures over that of real ones: lower is sharper, higher is richer.")
    halve_images: int = option(400_000, "Pictures after which the step size is halved, again and again.", minimum=1)


@dataclass(frozen=True)
class ProGANSettings(PaperSettings):
    """The progressive GAN's."""

    images: int = option(600_000, "Pictures to see in all.", minimum=1)
    batch: int = option(32, "Pictures a step, over all processes.", minimum=2)
    learning_rate: float = option(0.001, "Step size of Adam.", minimum=0)
    z_dim: int = option(512, "Numbers of the latent.", minimum=1)
    channels: int = option(256, "The most channels of a level.", minimum=1)
    channel_base: int = option(2048, "A level has this many channels over its resolution.", minimum=64)
    grow_from: int = option(8, "Begin at this resolution and grow by doubling; 0 for the whole at once.", minimum=0)
    grow_images: int = option(60_000, "Pictures to see at each resolution before it doubles.", minimum=1)
    fade_images: int = option(60_000, "Pictures over which a doubling fades in.", minimum=1)
    loss: str = option("wasserstein", "wasserstein, the paper's; or logistic, with R1: calmer in small networks.")

    @property
    def config(self) -> dict[str, int]:
        return {"z_dim": self.z_dim, "channel_base": self.channel_base, "channel_max": self.channels}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss not in GAN_LOSSES:
            raise BadSetting(f"The loss must be {' or '.join(GAN_LOSSES)}, not {self.loss!r}.")
        if self.grow_from and not (4 <= self.grow_from <= self.resolution and self.grow_from.bit_count() == 1):
            raise BadSetting(
                f"Growing must begin at a power of two from 4 up to {self.resolution}, not at {self.grow_from}."
            )


def refuse_half_grown(settings: TrainSettings | ProGANSettings) -> None:
    """Raise BadSetting where a run would end before its networks have grown up, perhaps amid a fade, of which there are
    no weights.
    """
    if not settings.grow_from:
        return
    doublings = (settings.resolution // settings.grow_from).bit_length() - 1
    needed = doublings * (settings.grow_images + settings.fade_images)
    if settings.images < needed:
        raise BadSetting(
            f"Growing from {settings.grow_from} to {settings.resolution} px takes {needed:,} pictures, not "
            f"{settings.images:,}. Say --images {needed} or more, or fewer --grow-images and --fade-images."
        )
