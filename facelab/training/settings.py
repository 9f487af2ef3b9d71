"""What a training is told, by family; saved with the run and in every checkpoint.

Each setting is a field made by `option`: the command line has an option of the same name with its help and limits.
Only numbers and text, and nothing heavy imported: the command line reads this file before it knows what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facelab.errors import BadSetting


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
    seed: int = option(0, "Seed of everything that is random.", minimum=0)
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

    start: str = option("", "Go on from this model of the catalogue.")
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
    warmup_steps: int = option(200, "Steps over which the learning rate rises.", minimum=0)
