"""A small untrained circle beside a small untrained model, in a catalogue of their own."""

import hashlib
import json
from pathlib import Path

import torch

from facelab.circle import DLIB, Circle, Sphere
from facelab.training.run import write_weights
from tests.tiny_models import put_models

MODEL = "tinybegan"


def put_circle(folder: Path, sphere: Sphere = DLIB) -> str:
    """Write the models of tiny_models and a circle through the latent of one of them; returns that model's name."""
    put_models(folder)
    torch.manual_seed(0)
    circle = Circle(1, 6, sphere)
    with torch.no_grad():  # far from zero, so that faces differ, and standardised as dlib's vectors are
        circle.mapping.end.weight.mul_(40)
        circle.norm.running_mean.copy_(torch.randn(sphere.size) * 0.08)
        circle.norm.running_var.fill_(0.03**2)
    tensors = {name: value for name, value in circle.state_dict().items() if value.is_floating_point()}
    path = folder / f"{MODEL}-circle.safetensors"
    write_weights(path, tensors, 1)
    card = json.loads((folder / f"{MODEL}.json").read_text())
    card["companions"] = {"circle": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    (folder / f"{MODEL}.json").write_text(json.dumps(card))
    return MODEL
