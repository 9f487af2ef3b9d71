"""The settings of an embedding as the tab shows them: those of the search in w+, and those of latent recovery."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from facelab.embedding_settings import PRESETS, SPACES, EmbedSettings
from facelab.errors import BadSetting
from facelab.page.seed import seed_field
from facelab.perceptual import has_vgg16
from facelab.recovery import RECOVERY_PRESETS, RecoverySettings
from facelab.sessions import Embedding
from facelab.studio import Studio

Settings = EmbedSettings | RecoverySettings
NO_VGG16 = "Here only the discriminator judges: VGG-16's weights are not in the checkpoints folder."
RECOVERY_PREVIEWS, PREVIEWS = 20, 3  # steps between pictures, of which the page takes what it can show
WAYS = {
    "fast": (
        "Fast",
        f"Between half a minute and two minutes on a plain CPU: {PRESETS['fast'].steps} steps find the latent, "
        f"{PRESETS['fast'].refine_steps} refine the generator.",
    ),
    "paper": ("Paper", "The 5,000 small steps of Image2StyleGAN, the generator untouched."),
    "encode": ("Encode", "What the model's encoder sees, at once; Continue searches on from there."),
    "recover": (
        "Recover",
        "Several searches side by side, from what an encoder sees and from random faces; the best one counts.",
    ),
}


@dataclass(frozen=True)
class Controls:
    """Everything that is set for an embedding: the preset, and under Advanced a group for each kind of model.

    layers, recovery: by the name of the setting's field.
    """

    preset: gr.Radio
    groups: tuple[gr.Column, gr.Column]
    layers: dict[str, gr.components.Component]
    recovery: dict[str, gr.components.Component]

    @property
    def inputs(self) -> list[gr.components.Component]:
        """All of them."""
        return [self.preset, *self.layers.values(), *self.recovery.values()]

    def of(self, settings: Settings) -> dict[str, gr.components.Component]:
        """The controls of one kind of settings."""
        return self.layers if isinstance(settings, EmbedSettings) else self.recovery

    def choose(self, name: str, studio: Studio) -> dict[Any, Any]:
        """Updates to a preset of a model."""
        settings = studio.presets[name]
        return {
            self.preset: gr.Radio(_ways(studio), value=name, info=_words(studio)),
            self.groups[0]: gr.Column(visible=studio.has_layers),
            self.groups[1]: gr.Column(visible=not studio.has_layers),
            **{control: getattr(settings, field) for field, control in self.of(settings).items()},
        }

    def read(self, values: dict[Any, Any], studio: Studio) -> Settings:
        """The preset with what Advanced says. Raises BadSetting for what is empty or out of range."""
        presets = studio.presets
        settings = presets.get(values[self.preset], next(iter(presets.values())))
        controls = self.of(settings)
        empty = next((control.label for control in controls.values() if values[control] is None), None)
        if empty:
            raise BadSetting(f"{empty} is empty. Enter a number, or choose the preset again.")
        chosen = {name: type(getattr(settings, name))(values[control]) for name, control in controls.items()}
        if chosen.get("perceptual") == "vgg16" and not has_vgg16():
            raise BadSetting(NO_VGG16)
        return replace(settings, **chosen, preview_every=PREVIEWS if studio.has_layers else RECOVERY_PREVIEWS)


def build_preset(studio: Studio) -> gr.Radio:
    """The preset, for the page's own model."""
    return gr.Radio(
        _ways(studio),
        value=next(iter(studio.presets)),
        label="Preset",
        info=_words(studio),
        elem_classes="fl-segmented",
    )


def build_groups(preset: gr.Radio, studio: Studio) -> Controls:
    """What is under Advanced, a group for each kind of model; that of the page's own model is seen."""
    with gr.Column(visible=studio.has_layers, min_width=0) as first:
        layers = build_controls(PRESETS["fast"])
    with gr.Column(visible=not studio.has_layers, min_width=0) as second:
        recovery = build_recovery_controls(RECOVERY_PRESETS["recover"])
    return Controls(preset, (first, second), layers, recovery)


def _ways(studio: Studio) -> list[tuple[str, str]]:
    return [(WAYS[name][0], name) for name in studio.presets]


def _words(studio: Studio) -> str:
    return " ".join(f"{WAYS[name][0]}: {WAYS[name][1][0].lower()}{WAYS[name][1][1:]}" for name in studio.presets)


def build_controls(settings: EmbedSettings) -> dict[str, gr.components.Component]:
    """The settings under Advanced, each with its sentence of help, by the name of the field that they set."""
    return {
        "space": gr.Radio(
            list(SPACES),
            value=settings.space,
            label="Latent space",
            info="w+ has a style for each layer and comes closest to the photo; w keeps to faces that the generator "
            "would draw itself; z is where it draws them from, and the strictest.",
        ),
        "start": gr.Radio(
            [("Encoder", "encoder"), ("Mean face", "mean"), ("Random", "random")],
            value=settings.start,
            label="Start",
            info="Where the search begins. The encoder sees a likeness at once; the mean face is the papers' start for "
            "portraits; random suits pictures of other things.",
        ),
        "steps": gr.Slider(
            10,
            5000,
            settings.steps,
            step=10,
            label="Steps",
            info="How long the latent is searched. The curve shows when more of them stop helping.",
        ),
        "learning_rate": gr.Number(
            settings.learning_rate,
            label="Learning rate",
            minimum=1e-5,
            maximum=1,
            step=0.001,
            info="How far each step goes. Too high a rate makes the curve jump, too low a rate makes it crawl.",
        ),
        "pixel_weight": gr.Slider(
            0,
            10,
            settings.pixel_weight,
            step=0.1,
            label="Pixel weight",
            info="How much equal colours count, place by place.",
        ),
        "perceptual_weight": gr.Slider(
            0,
            10,
            settings.perceptual_weight,
            step=0.1,
            label="Perceptual weight",
            info="How much likeness of shapes and textures counts, as a network sees them.",
        ),
        "identity_weight": gr.Slider(
            0,
            3,
            settings.identity_weight,
            step=0.1,
            label="Identity weight",
            info="How much it counts that the same person is seen, while the latent is searched.",
        ),
        "mean_weight": gr.Slider(
            0,
            1,
            settings.mean_weight,
            step=0.01,
            label="Mean weight",
            info="How strongly the latent is held near the mean face: more makes edits cleaner, less comes closer.",
        ),
        "perceptual": gr.Radio(
            [("Discriminator", "discriminator"), ("VGG-16", "vgg16")],
            value=settings.perceptual,
            label="Perceptual network",
            info="Whose eyes judge that likeness: this model's own discriminator, or VGG-16 as in the paper."
            + ("" if has_vgg16() else f" {NO_VGG16}"),
            interactive=has_vgg16(),
        ),
        "patience": gr.Slider(
            0,
            500,
            settings.patience,
            step=10,
            label="Patience",
            info="Steps without progress after which a phase ends early; 0 goes through all of them.",
        ),
        "refine": gr.Checkbox(
            settings.refine,
            label="Refine the generator for this face",
            info="After the latent, tunes a small correction of the generator for this one face, which is what brings "
            "the person back. It is saved with the face and leaves the shared model alone.",
        ),
        "refine_steps": gr.Slider(
            10,
            1000,
            settings.refine_steps,
            step=10,
            label="Refinement steps",
            info="How long that tuning goes on. Where the pivot is low, the first twenty or so only catch up.",
        ),
        "refine_learning_rate": gr.Number(
            settings.refine_learning_rate,
            label="Refinement learning rate",
            minimum=1e-5,
            maximum=1,
            step=0.001,
            info="How far each step of the tuning goes.",
        ),
        "pivot": gr.Slider(
            0,
            1,
            settings.pivot,
            step=0.05,
            label="Pivot",
            info="Where tuning begins: 0 is what the encoder saw, 1 what was found. Less makes edits cleaner.",
        ),
        "edit_weight": gr.Slider(
            0,
            10,
            settings.edit_weight,
            step=0.1,
            label="Edit weight",
            info="How much it counts, while tuning, that turn, age, gender, hair and skin can still be changed.",
        ),
        "seed": seed_field(
            settings.seed,
            info="The same seed gives the same face again; it matters for a random start and for the refinement.",
        ),
    }


def build_recovery_controls(settings: RecoverySettings) -> dict[str, gr.components.Component]:
    """Latent recovery's settings, each with its sentence of help, by the name of the field that they set."""
    return {
        "start": gr.Radio(
            [("Encoder", "encoder"), ("Random", "random")],
            value=settings.start,
            label="Start",
            info="The first search begins at what the encoder sees, where the model has one; or all of them at random "
            "faces, as in the paper.",
        ),
        "steps": gr.Slider(
            0,
            10_000,
            settings.steps,
            step=50,
            label="Recovery steps",
            info="How long each search goes on. The papers take 10,000 plain steps; these come nearer in 1,000.",
        ),
        "restarts": gr.Slider(
            1,
            32,
            settings.restarts,
            step=1,
            label="Restarts",
            info="Searches side by side, each from another face. Some get stuck; more of them find better.",
        ),
        "learning_rate": gr.Number(
            settings.learning_rate,
            label="Recovery rate",
            minimum=1e-5,
            maximum=1,
            step=0.001,
            info="How far each step goes, against how far apart random faces lie. Curves jump where it is too high and "
            "crawl where it is too low.",
        ),
        "limit": gr.Slider(
            1,
            6,
            settings.limit,
            step=0.1,
            label="Limit",
            info="A number of the latent that goes beyond is drawn anew (stochastic clipping). DCGAN's end at 1 "
            "whatever this says.",
        ),
        "seed": seed_field(
            settings.seed,
            label="Recovery seed",
            info="Another seed begins elsewhere and finds another latent for the same face.",
        ),
    }


def further(settings: Settings, embedding: Embedding) -> Settings:
    """The settings to go on with: as they are while steps are left, else as many steps again."""
    state = embedding.step.state
    if not embedding.step.done:
        return settings
    if isinstance(settings, RecoverySettings):
        return replace(settings, steps=state.descent.steps + (settings.steps or RECOVERY_PRESETS["recover"].steps))
    if state.phase == "refine":
        more = state.descent.steps + settings.refine_steps
        return replace(settings, refine=True, refine_steps=more, patience=0)
    if settings.refine and not embedding.settings.refine:
        return replace(settings, steps=state.descent.steps)
    return replace(settings, steps=state.descent.steps + settings.steps, patience=0)
