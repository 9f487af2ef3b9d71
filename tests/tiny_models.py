"""Small untrained models of the papers' families as a catalogue of their own."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from facelab.checkpoints.cards import Card
from facelab.checkpoints.weights import build_networks

CONFIGS = {
    "vae": {"z_dim": 6, "channels": 4, "attributes": 0},
    "cvae": {"z_dim": 6, "channels": 4, "attributes": 2},
    "vaegan": {"z_dim": 6, "channels": 4, "attributes": 0},
    "dcgan": {"z_dim": 6, "channels": 4},
    "began": {"z_dim": 6, "channels": 4},
    "progan": {"z_dim": 6, "channel_base": 64, "channel_max": 4},
}
SPACES = {"began": ("z", "w")}


def put_models(folder: Path, resolution: int = 16) -> list[str]:
    """Write a model of each family, called tiny<family>, with its card into a folder; returns their names."""
    for family, config in CONFIGS.items():
        torch.manual_seed(0)
        card = Card(
            name=f"tiny{family}",
            title=f"Tiny {family}",
            family=family.removeprefix("c"),
            resolution=resolution,
            spaces=SPACES.get(family, ("z",)),
            alignment="ffhq",
            downsample="",
            data="noise",
            licence="none",
            sha256="",
            config=config,
            training={"images": 1},
            conditions=("Smiling", "Young") if family == "cvae" else (),
        )
        generator, _ = build_networks(card)
        with torch.no_grad():  # pictures that differ visibly: networks as they are drawn are nearly grey
            for value in generator.parameters():
                if value.ndim > 1:
                    value.mul_(1 if family == "progan" else 8 if family == "dcgan" else 2)
        data = save({f"g.{name}": value.contiguous() for name, value in generator.state_dict().items()})
        (folder / f"{card.name}.safetensors").write_bytes(data)
        values = card.to_json().replace('"sha256": ""', f'"sha256": "{hashlib.sha256(data).hexdigest()}"')
        (folder / f"{card.name}.json").write_text(values)
    return [f"tiny{family}" for family in CONFIGS]
