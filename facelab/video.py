"""The same edit on every frame of a clip, and a clip's expressions on another face; both without flicker.

Three passes: the face is followed and its quads are smoothed; every frame is embedded and the latents are smoothed; the
change is found and pasted frame by frame. One frame, the key, is embedded as a photo is. The others differ from it by
what a quick embedding (the encoder) sees change, so that its errors, alike in all frames, drop out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from facelab.alignment import align
from facelab.clips import Clip
from facelab.detail import Look, find_change, weakened
from facelab.edits.expression import THRESHOLD
from facelab.embedding import Descent, EmbedState
from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting, NoFaceFound
from facelab.face import AlignedFace, Face, Latent
from facelab.pasting import paste
from facelab.tracking import Track, as_track, follow_face, over_time

if TYPE_CHECKING:
    from facelab.detection import FaceFinder
    from facelab.studio import Studio

SMOOTHING = 0.08  # seconds: sigma of quads, latents and landmarks over time
BATCH = 16
# A frame without an encoder: a few steps from the frame before, gently, or noise would be learned.
FRAME_SETTINGS = EmbedSettings(steps=8, learning_rate=0.02, mean_weight=0.1, preview_every=0)
QuickEmbed = Callable[[AlignedFace], Face]


@dataclass(frozen=True, eq=False)
class ClipStep:
    """One short piece of work on a clip.

    phase: "follow", "embed", "encode" or "draw". done: pieces of this phase, of total (None where nobody knows yet).
    frame: in "draw", the next frame of the result, uint8 [H, W, 3]. face: the face in it.
    """

    phase: str
    done: int
    total: int | None
    frame: np.ndarray | None = None
    face: Face | None = None


@dataclass
class _Filmed:
    """What is known of the face in a clip so far. images: uint8 [T, R, R, 3]. latents: float32 [T, L, D], the key's
    where the key is, and else moved from it.
    """

    track: Track
    images: list[np.ndarray]
    key: int
    key_face: Face
    latents: Tensor


def edit_clip(
    studio: Studio,
    finder: FaceFinder,
    clip: Clip,
    edit: Callable[[Face], Face],
    *,
    near: tuple[float, float] | None = None,
    embed_frame: QuickEmbed | None = None,
    settings: EmbedSettings = PRESETS["fast"],
    smoothing: float = SMOOTHING,
) -> Iterator[ClipStep]:
    """Do an edit to one face of a clip: as many "draw" steps as the clip has frames, each with its frame.

    edit: what is done to the face, the same for every frame. near: a point (x, y) to choose the face by. embed_frame:
    a quick embedding; by default the model's encoder, or a few steps of optimisation from the frame before. settings:
    of the key frame's embedding. smoothing: in seconds. Raises NoFaceFound when no frame shows a face.
    """
    filmed = yield from _film(studio, finder, clip, near, embed_frame, settings, smoothing)
    faces = [_face(filmed, index) for index in range(len(filmed.images))]
    edited = [edit(face) for face in faces]
    before = yield from _looks(studio, finder, faces, "draw", smoothing * clip.fps)
    after = yield from _looks(studio, finder, edited, "draw", smoothing * clip.fps)
    total = len(faces)
    for index, frame in enumerate(clip.frames()):
        if index < total and filmed.track.present[index] > 0:
            change = find_change(filmed.images[index], before[index], after[index], whole=False)
            if change is not None:
                change = weakened(change, float(filmed.track.present[index]))
                frame = paste(frame, [(filmed.track.quads[index], change)])
        yield ClipStep("draw", index + 1, total, frame, edited[min(index, total - 1)])


def follow_clip(
    studio: Studio,
    finder: FaceFinder,
    clip: Clip,
    target: Face,
    *,
    neutral: int = 0,
    strength: float = 1.0,
    threshold: float = THRESHOLD,
    size: int = 256,
    near: tuple[float, float] | None = None,
    embed_frame: QuickEmbed | None = None,
    smoothing: float = SMOOTHING,
) -> Iterator[ClipStep]:
    """Give a face the expressions of the one in a clip: a "draw" step for each frame, with the target's picture.

    neutral: the frame without any expression. strength: 1 is the clip's own. threshold: see `expressions`. size: of the
    pictures, in pixels. The rest is as in `edit_clip`.
    """
    track, images = yield from _aligned(studio, finder, clip, near, smoothing)
    if not 0 <= neutral < len(images):
        raise BadSetting(f"This clip has {len(images)} frames; frame {neutral} is not one of 0 to {len(images) - 1}.")
    latents = yield from _encoded(studio, images, track, 0, embed_frame)
    latents = torch.from_numpy(over_time(latents.numpy(), smoothing * clip.fps, track.present))
    rows = target.latent.values.expand(latents.shape[1], -1)
    row_norm = float((latents - studio.generator.mean_latent().cpu()).norm(dim=-1).median())
    moved = expressions(rows, latents, neutral=neutral, strength=strength, threshold=threshold * row_norm)
    for index, values in enumerate(moved):
        face = replace(target, latent=Latent(values, "w+", target.latent.model))
        yield ClipStep("draw", index + 1, len(moved), studio.picture(target, face, size=size), face)


def expressions(
    target: Tensor, latents: Tensor, *, neutral: int = 0, strength: float = 1.0, threshold: float = 0.0
) -> Tensor:
    """target + strength * (each frame - the neutral frame): Image2StyleGAN's transfer (section 4.3), frame by frame.

    target: [L, D]. latents: [T, L, D], smooth over time. threshold: a row is left out of all frames when its difference
    is shorter than this in every one; decided frame by frame, rows would flicker. Returns [T, L, D].
    """
    change = latents - latents[neutral]
    kept = change.norm(dim=-1).amax(dim=0) >= threshold
    return target + strength * change * kept[:, None]


def _film(
    studio: Studio,
    finder: FaceFinder,
    clip: Clip,
    near: tuple[float, float] | None,
    embed_frame: QuickEmbed | None,
    settings: EmbedSettings,
    smoothing: float,
) -> Iterator[ClipStep]:
    track, images = yield from _aligned(studio, finder, clip, near, smoothing)
    key = _steadiest(track)
    aligned = _as_aligned(images[key], track.quads[key], clip.size)
    steps = studio.embed(aligned, replace(settings, preview_every=0))
    for step in steps:
        yield ClipStep("embed", step.step, step.total)
    key_face = studio.to_face(step, aligned)
    latents = yield from _encoded(studio, images, track, key, embed_frame, key_face)
    latents = torch.from_numpy(over_time(latents.numpy(), smoothing * clip.fps, track.present))
    rows = key_face.latent.values.expand(latents.shape[1], -1)
    return _Filmed(track, images, key, key_face, rows + latents - latents[key])


def _aligned(
    studio: Studio, finder: FaceFinder, clip: Clip, near: tuple[float, float] | None, smoothing: float
) -> Iterator[ClipStep]:
    """Follow the face through the clip; returns its smoothed track and its images at the generator's resolution."""
    quads = []
    for quad in follow_face(finder, clip.frames(), near=None if near is None else np.asarray(near)):
        quads.append(quad)
        yield ClipStep("follow", len(quads), None)
    if (track := as_track(quads)) is None:
        raise NoFaceFound("No face was found in this clip. Choose one where the face is large and seen from the front.")
    track = track.smoothed(smoothing * clip.fps)
    images: list[np.ndarray] = []
    for frame, quad in zip(clip.frames(), track.quads, strict=False):
        images.append(align(frame, quad, resolution=studio.card.resolution).image)
        yield ClipStep("follow", len(images), len(quads))
    return track, images


def _encoded(
    studio: Studio,
    images: Sequence[np.ndarray],
    track: Track,
    key: int,
    embed_frame: QuickEmbed | None,
    start: Face | None = None,
) -> Iterator[ClipStep]:
    """Quick embeddings of all frames, float32 [T, L, D]; from the key frame to both ends, as optimisation needs it."""
    if embed_frame is None and studio.has_encoder:
        embed_frame = studio.encode
    count, found = len(images), {}
    for part in (range(key, count), range(key - 1, -1, -1)):
        near = found.get(key, start)
        for index in part:
            aligned = _as_aligned(images[index], track.quads[index], (1, 1))
            near = found[index] = embed_frame(aligned) if embed_frame else _optimised(studio, aligned, near)
            yield ClipStep("encode", len(found), count)
    rows = studio.generator.num_layers
    return torch.stack([found[index].latent.values.expand(rows, -1) for index in range(count)])


def _optimised(studio: Studio, aligned: AlignedFace, near: Face | None) -> Face:
    """A frame embedded by a few steps from another frame's face, or from nothing by a whole embedding."""
    if near is None or near.latent.space != "w+":
        *_, last = studio.embed(aligned, replace(PRESETS["fast"], refine=False, preview_every=0))
        return studio.to_face(last, aligned)
    values = near.latent.values.to(studio.device)
    start = EmbedState(near.latent.model, "w+", "latent", Descent.at(values), values)
    *_, last = studio.embed(aligned, FRAME_SETTINGS, resume=start)
    return studio.to_face(last, aligned)


def _looks(studio: Studio, finder: FaceFinder, faces: Sequence[Face], phase: str, frames: float) -> Iterator[ClipStep]:
    """How the generator draws each frame's face, the landmarks smoothed over time."""
    pictures: list[np.ndarray] = []
    for first in range(0, len(faces), BATCH):
        pictures += studio.render_many(faces[first : first + BATCH])
        yield ClipStep(phase, 0, len(faces))
    landmarks = over_time(np.stack([finder.landmarks_in_place(picture) for picture in pictures]), frames)
    return [Look(picture, points) for picture, points in zip(pictures, landmarks, strict=True)]


def _face(filmed: _Filmed, index: int) -> Face:
    latent = Latent(filmed.latents[index].contiguous(), "w+", filmed.key_face.latent.model)
    return replace(filmed.key_face, latent=latent)


def _steadiest(track: Track) -> int:
    """The frame to embed as a photo: the face is there and moves least, and it is near the clip's middle."""
    moves = (
        np.abs(np.gradient(track.quads.reshape(len(track.quads), 8), axis=0)).mean(axis=1)
        if len(track.quads) > 1
        else np.zeros(1)
    )
    side = np.hypot(*(track.quads[:, 3] - track.quads[:, 0]).T)
    away = np.abs(np.linspace(-1, 1, len(track.quads)))
    return int(np.argmin(moves / side + 0.02 * away + (track.present < 0.5)))


def _as_aligned(image: np.ndarray, quad: np.ndarray, size: tuple[int, int]) -> AlignedFace:
    """A frame's face as embedding takes it; its picture is its crop, for nobody looks at more of it."""
    return AlignedFace(image, image, quad, size)
