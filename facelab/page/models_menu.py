"""The menu of models in the page's header: which one new faces are made with."""

from __future__ import annotations

import gradio as gr

from facelab.checkpoints.cards import Card
from facelab.page.parts import part
from facelab.studio import Studio

FAMILIES = {
    "stylegan2": "StyleGAN2: a style for each layer",
    "vae": "VAE: an encoder, a blurred decoder",
    "vaegan": "VAE/GAN: a VAE with a discriminator's eyes",
    "dcgan": "DCGAN: latent recovery",
    "began": "BEGAN: an auto-encoder as discriminator",
    "progan": "PGGAN: grown step by step, latent recovery",
}
CONDITIONAL = "VAE that is told the attributes: sliders of its own"


def build_models_menu(studio: Studio) -> gr.HTML | None:
    """Make the menu where it is called, the largest model first; its event `choose` says `event.model`. None where
    there is one model only.
    """
    cards = sorted(studio.models(), key=lambda card: -card.resolution)
    if len(cards) < 2:
        return None
    return part("models", {"model": studio.card.name}, models=[_view(card) for card in cards])


def _view(card: Card) -> dict[str, str]:
    about = CONDITIONAL if card.conditions else FAMILIES.get(card.family, card.family)
    return {"name": card.name, "title": card.title, "about": about}
