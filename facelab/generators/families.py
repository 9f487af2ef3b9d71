"""The families of generators: which networks each is made of, and what a card has to say to build them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from facelab.generators.base import Generator
from facelab.generators.began import BEGAN
from facelab.generators.dcgan import DCGAN, Critic
from facelab.generators.discriminator import Discriminator
from facelab.generators.progan import ProGAN, ProGANCritic
from facelab.generators.stylegan2 import StyleGAN2
from facelab.generators.vae import VAE

CHANNELS = ("channel_base", "channel_max")


@dataclass(frozen=True)
class Family:
    """The networks of a family.

    generator, critic: their classes; None where the family has no critic, or it is part of the generator. own, shared:
    names of arguments of the generator alone, and of both. encodes: whether the generator carries pictures to latents.
    needs_critic: whether a weight file without the critic is refused.
    """

    generator: type[Generator]
    critic: type[nn.Module] | None
    own: tuple[str, ...]
    shared: tuple[str, ...]
    encodes: bool = False
    needs_critic: bool = False

    def build(
        self, resolution: int, config: Mapping[str, Any], *, downsample: str = ""
    ) -> tuple[Generator, nn.Module | None]:
        """The untrained networks. downsample: a StyleGAN2 discriminator's. Raises KeyError for a missing argument."""
        shared = {name: config[name] for name in self.shared}
        generator = self.generator(resolution, **{name: config[name] for name in self.own}, **shared)
        if self.critic is None:
            return generator, None
        return generator, self.critic(resolution, **shared, **({"downsample": downsample} if downsample else {}))


FAMILIES = {
    "stylegan2": Family(StyleGAN2, Discriminator, ("z_dim", "w_dim", "mapping_layers"), CHANNELS, needs_critic=True),
    "vae": Family(VAE, None, ("z_dim", "attributes"), ("channels",), encodes=True),
    "vaegan": Family(VAE, Critic, ("z_dim", "attributes"), ("channels",), encodes=True),
    "dcgan": Family(DCGAN, Critic, ("z_dim",), ("channels",)),
    "began": Family(BEGAN, None, ("z_dim",), ("channels",), encodes=True),
    "progan": Family(ProGAN, ProGANCritic, ("z_dim",), CHANNELS),
}
