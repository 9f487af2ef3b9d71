"""The families that `python -m facelab train` can train; another is one line, and what run.py asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from facelab.training.settings import (
    BEGANSettings,
    CircleSettings,
    DCGANSettings,
    EncoderSettings,
    FitSettings,
    InverterSettings,
    ProGANSettings,
    ReaderSettings,
    RunSettings,
    TrainSettings,
    VAEGANSettings,
    VAESettings,
)

if TYPE_CHECKING:
    from pathlib import Path

    from facelab.training.run import Batches, Trainer


@dataclass(frozen=True)
class Family:
    """One family. title: for the help. settings: its dataclass. module: in facelab.training, imported when needed."""

    title: str
    settings: type[RunSettings]
    module: str

    def make_trainer(self, settings: RunSettings) -> Trainer:
        """A trainer at its beginning, on the fastest device."""
        return import_module(f"facelab.training.{self.module}").make_trainer(settings)

    def open_batches(self, source: Path, settings: RunSettings, cache: Path) -> Batches:
        """What it trains on, decoded into the folder `cache` once: its pictures, unless the module says otherwise."""
        module = import_module(f"facelab.training.{self.module}")
        if hasattr(module, "open_batches"):
            return module.open_batches(source, settings, cache)
        from facelab.training.data import open_pictures

        return open_pictures(source, resolution=settings.resolution, cache=cache)


FAMILIES = {
    "stylegan2": Family("A StyleGAN2 generator with its discriminator.", TrainSettings, "stylegan2"),
    "judge": Family("The judge of attributes, on pictures with a labels.csv.", FitSettings, "judge"),
    "identity": Family(
        "The reader: dlib's identity vectors and landmarks, differentiable.", ReaderSettings, "identity"
    ),
    "encoder": Family("An encoder into a generator's w+.", EncoderSettings, "encoder"),
    "inverter": Family("An encoder for a generator with one latent.", InverterSettings, "inverter"),
    "circle": Family("ISTRC: identity vectors to a generator's latents, and classifiers.", CircleSettings, "circle"),
    "vae": Family("A variational auto-encoder, plain or conditional on attributes.", VAESettings, "vae"),
    "vaegan": Family("VAE/GAN: a VAE whose error a discriminator's features measure.", VAEGANSettings, "vaegan"),
    "dcgan": Family("DCGAN.", DCGANSettings, "dcgan"),
    "progan": Family("The progressive GAN: it grows from 8 px.", ProGANSettings, "progan"),
    "began": Family("BEGAN: a generator against an auto-encoder.", BEGANSettings, "began"),
}


def family_of(settings: RunSettings) -> str:
    """The family that settings are of, or "" for none of these."""
    return next((name for name, family in FAMILIES.items() if family.settings is type(settings)), "")
