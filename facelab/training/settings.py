"""What a StyleGAN2 training is told; saved with the run and in every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from facelab.errors import BadSetting


@dataclass(frozen=True)
class TrainSettings:
    """Defaults are those of the shipped 128 px model.

    images: training pictures to see in all. batch: pictures a step, in `accumulate` parts. r1_interval and
    path_interval: every how many steps the penalty is applied, scaled up accordingly (0 turns it off). ema_images:
    half-life of the moving average of the generator. ada_target: the share of positive real logits that augmentation
    aims at (0 turns it off). warmup_steps: the learning rate rises over these after a start without optimiser state.
    checkpoint_minutes: time between checkpoints. sheet_images: pictures between sample sheets and weight files.
    """

    images: int = 1_000_000
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 0.002
    r1_gamma: float = 0.2
    r1_interval: int = 16
    path_weight: float = 2.0
    path_interval: int = 0
    style_mixing: float = 0.5
    ema_images: int = 10_000
    ada_target: float = 0.0
    ada_images: int = 100_000
    flip: bool = True
    seed: int = 0
    warmup_steps: int = 200
    checkpoint_minutes: float = 5.0
    sheet_images: int = 10_000

    def __post_init__(self) -> None:
        if self.batch < 1 or self.accumulate < 1 or self.batch % self.accumulate:
            raise BadSetting(f"The batch ({self.batch}) must be a multiple of the accumulation ({self.accumulate}).")
        if not 0 < self.learning_rate < 1:
            raise BadSetting(f"The learning rate must lie between 0 and 1, not {self.learning_rate}.")
