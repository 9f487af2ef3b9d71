"""The same edit on every frame of a clip, and a clip's expressions on another face; both without flicker.

Three passes: the faces are followed and their quads are smoothed; every frame is embedded and the latents are smoothed;
the change is found and pasted frame by frame. One frame, the key, is embedded as a photo is. The others differ from it
by what a quick embedding (the encoder) sees change, so that its errors, alike in all frames, drop out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from facelab.alignment import align
from facelab.clips import Clip
from facelab.detail import Look, find_change, weakened
from facelab.edits.expression import REGION, THRESHOLD
from facelab.embedding import Descent, EmbedState
from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting, NoFaceFound
from facelab.face import AlignedFace, Face, Latent, Recipe
from facelab.media.marks import stamp
from facelab.media.provenance import Provenance
from facelab.media.signing import sign
from facelab.media.video import Mp4Writer
from facelab.pasting import paste
from facelab.recipes import Others, walked
from facelab.recognition import SAME_PERSON, identity_distance
from facelab.regions import placed
from facelab.tracking import Track, follow_faces, over_time

if TYPE_CHECKING:
    from facelab.detection import FaceFinder
    from facelab.recognition import Recogniser
    from facelab.studio import Studio

SMOOTHING = 0.08  # seconds: sigma of quads, latents and landmarks over time
BATCH = 8
MAX_CLIP_WALKED = 300_000  # small steps of a recipe's walks in all frames: a quarter of an hour of a device
# A frame without an encoder: a few steps from the frame before, gently, or noise would be learned.
FRAME_SETTINGS = EmbedSettings(steps=8, learning_rate=0.02, mean_weight=0.1, preview_every=0)
EDIT_PASSES = 3  # over the frames: the edit itself, and drawing the face without it and with it
# The phases of an edit, with about the time that each takes for a frame, and the key frame's embedding for all.
PHASES = {"follow": 0.05, "align": 0.01, "embed": 12.0, "encode": 0.03, "edit": 0.08, "draw": 0.06}
QuickEmbed = Callable[[AlignedFace], Face]


@dataclass(frozen=True, eq=False)
class ClipStep:
    """One short piece of work on a clip.

    phase: one of PHASES, or "done". done: pieces of this phase, of total (None where nobody knows yet). frames: of the
    clip, where total says something else. tracks: the faces, once they are followed. frame: in "draw", the next frame
    of the result, uint8 [H, W, 3]. face: the face in it. film: in "done", the MP4 as bytes. sound: whether it has the
    clip's.
    """

    phase: str
    done: int
    total: int | None
    frames: int = 0
    tracks: Sequence[Track] = ()
    frame: np.ndarray | None = None
    face: Face | None = None
    film: bytes = b""
    sound: bool = False

    def fraction(self, *, since: str = "follow") -> float:
        """About how much is done of an edit, 0 to 1, counted from the beginning of a phase."""
        names = list(PHASES)
        if self.phase not in names:
            return 1.0
        if not self.total:
            return 0.0
        cost = {name: each * (1 if name == "embed" else self.frames or self.total) for name, each in PHASES.items()}
        wanted, now = names[names.index(since) :], names.index(self.phase)
        before = sum(cost[name] for name in wanted if names.index(name) < now)
        return (before + cost[self.phase] * min(self.done / self.total, 1.0)) / sum(cost[name] for name in wanted)


@dataclass(frozen=True)
class ClipEyes:
    """What finds faces in a clip and knows them again."""

    finder: FaceFinder
    recogniser: Recogniser

    def same_person(self, first: np.ndarray, second: np.ndarray) -> bool:
        """Whether two crops, uint8 [512, 512, 3], show one person."""
        return identity_distance(self.recogniser.vector(first), self.recogniser.vector(second)) < SAME_PERSON


@dataclass
class _Filmed:
    """What is known of the face in a clip so far. images: uint8 [T, R, R, 3]. latents: float32 [T, L, D], the key's
    where the key is, and else moved from it.
    """

    track: Track
    images: list[np.ndarray]
    key_face: Face
    latents: Tensor


def find_tracks(eyes: ClipEyes, clip: Clip) -> Iterator[ClipStep]:
    """Follow all faces of a clip; the last step has their tracks, the one that is seen largest and longest first.

    Raises NoFaceFound when no frame shows a face.
    """
    for count, tracks in enumerate(follow_faces(eyes.finder, clip.frames(), same_person=eyes.same_person), 1):
        if tracks:  # after the last frame
            yield ClipStep("follow", count - 1, count - 1, tracks=tracks)
            return
        yield ClipStep("follow", count, clip.expected and max(clip.expected, count))
    raise NoFaceFound("No face was found in this clip. Choose one where the face is large and seen from the front.")


def edit_clip(
    studio: Studio,
    eyes: ClipEyes,
    clip: Clip,
    edit: Recipe | Callable[[Face], Face],
    *,
    others: Others | None = None,
    face: int = 1,
    track: Track | None = None,
    embed_frame: QuickEmbed | None = None,
    settings: EmbedSettings = PRESETS["fast"],
    smoothing: float = SMOOTHING,
) -> Iterator[ClipStep]:
    """Do an edit to one face of a clip: as many "draw" steps as the clip has frames, each with its frame.

    edit: what is done to the face, the same for every frame: a recipe, replayed step by step, or a short piece of work.
    others: what the recipe's steps name, as `recipes.replay` takes it. face: which one, 1 is seen largest and longest.
    track: the one that `find_tracks` has found, instead. embed_frame: a quick embedding; by default the model's
    encoder, or a few steps of optimisation from the frame before. settings: of the key frame's embedding. smoothing: in
    seconds. Frames in which the face is not seen stay as they are, and the edit fades there. Raises NoFaceFound when no
    frame shows a face, and BadSetting when there are not as many or the recipe walks too far for so many frames.
    """
    _check_model(studio)
    _check_walks(edit, clip.expected or 1)
    for _ in _replayed(studio, studio.random_faces(1)[0], edit, others):  # what cannot be done is said before the work
        yield ClipStep("follow" if track is None else "align", 0, None)
    frames = smoothing * clip.fps
    if track is None:
        track = yield from _chosen(eyes, clip, face)
    _check_walks(edit, len(track.quads))
    filmed = yield from _film(studio, clip, track.smoothed(frames), embed_frame, settings, frames)
    track, total = filmed.track, len(filmed.images)
    faces = [
        replace(filmed.key_face, latent=Latent(values.contiguous(), studio.generator.edit_space, studio.card.name))
        for values in filmed.latents
    ]
    edited: list[Face] = []
    for one in faces:
        edited.append(one)
        for edited[-1] in _replayed(studio, one, edit, others):
            yield ClipStep("edit", len(edited), EDIT_PASSES * total, total)
    looks: list[list[Look]] = []
    for number, states in enumerate((faces, edited), 1):
        looks.append((yield from _looks(studio, eyes.finder, states, (number, EDIT_PASSES), frames, track.scenes)))
    for index, frame in enumerate(clip.frames()):
        if index < total and track.present[index] > 0:
            change = find_change(filmed.images[index], looks[0][index], looks[1][index], whole=False)
            if change is not None:
                frame = paste(frame, [(track.quads[index], weakened(change, float(track.present[index])))])
        yield ClipStep("draw", index + 1, max(total, index + 1), frame=frame, face=edited[min(index, total - 1)])


def film_clip(steps: Iterable[ClipStep], clip: Clip, *, mark: bool = False) -> Iterator[ClipStep]:
    """Pass the steps of `edit_clip` on and put their frames, as they come, into an MP4 with the clip's sound; one more
    step, "done", has the file, which says that it was made with AI.

    mark: write "made with AI" into the frames, too.
    """
    with tempfile.TemporaryDirectory() as folder:
        sound, writer, count = Path(folder) / "sound.m4a", None, 0
        try:
            for step in steps:
                if step.frame is not None:
                    if writer is None:
                        said = Provenance(step.face.latent.model, [*step.face.operations, "clip"], from_photo=True)
                        heard = clip.write_sound(sound)
                        writer = Mp4Writer(
                            fps=clip.fps, comment=said.comment, xmp=said.xmp(), sound=sound if heard else None
                        )
                    writer.add(stamp(step.frame) if mark else step.frame)
                    count += 1
                yield step
            data = sign(writer.finish(), "video/mp4", said)
            yield ClipStep("done", count, count, film=data, sound=heard)
        finally:
            if writer is not None:
                writer.close()


def follow_clip(
    studio: Studio,
    eyes: ClipEyes,
    clip: Clip,
    target: Face,
    *,
    neutral: int = 0,
    strength: float = 1.0,
    threshold: float = THRESHOLD,
    everywhere: bool = False,
    size: int = 256,
    face: int = 1,
    embed_frame: QuickEmbed | None = None,
    smoothing: float = SMOOTHING,
) -> Iterator[ClipStep]:
    """Give a face the expressions of the one in a clip: a "draw" step for each frame, with the target's picture.

    neutral: the frame without any expression. strength: 1 is the clip's own. threshold: see `expressions`. everywhere:
    move the whole picture, and not the face alone. size: of the pictures, in pixels. The rest is as in `edit_clip`.
    """
    _check_model(studio)
    frames = smoothing * clip.fps
    track = (yield from _chosen(eyes, clip, face)).smoothed(frames)
    images = yield from _aligned(studio, clip, track)
    if not 0 <= neutral < len(images):
        raise BadSetting(f"This clip has {len(images)} frames; frame {neutral} is not one of 0 to {len(images) - 1}.")
    latents = yield from _encoded(studio, images, track, 0, embed_frame)
    latents = torch.from_numpy(over_time(latents.numpy(), frames, track.present, track.scenes))
    target = studio.spread(target)
    rows = target.latent.values
    row_norm = float((latents - studio.generator.mean_latent().cpu()).norm(dim=-1).median())
    moved = expressions(rows, latents, neutral=neutral, strength=strength, threshold=threshold * row_norm)
    for index, values in enumerate(moved):
        values, delta = placed(rows, values, target.delta, "" if everywhere else REGION)
        state = replace(target, latent=replace(target.latent, values=values), delta=delta)
        picture = studio.picture(target, state, size=size)
        yield ClipStep("draw", index + 1, len(moved), frame=picture, face=state)


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


def _check_model(studio: Studio) -> None:
    if studio.generator.edit_space != "w+":
        raise BadSetting(
            f"{studio.card.title} has no w+, in which the frames of a clip are embedded. Choose a StyleGAN, "
            "such as faces128."
        )


def _check_walks(edit: Recipe | Callable[[Face], Face], frames: int) -> None:
    steps = walked(edit.steps) if isinstance(edit, Recipe) else 0
    if steps * frames > MAX_CLIP_WALKED:
        raise BadSetting(
            f"This edit walks {steps:,} small steps, and that in each of {frames} frames; {MAX_CLIP_WALKED:,} in all "
            "are the most. Cut the clip, or edit with the method linear or mean."
        )


def _replayed(
    studio: Studio, face: Face, edit: Recipe | Callable[[Face], Face], others: Others | None
) -> Iterator[Face]:
    if isinstance(edit, Recipe):
        yield from studio.replay(face, edit, others)
    else:
        yield edit(face)


def _chosen(eyes: ClipEyes, clip: Clip, face: int) -> Iterator[ClipStep]:
    """Follow the faces; returns the track of one of them."""
    for step in find_tracks(eyes, clip):
        yield step
    if not 1 <= face <= len(step.tracks):
        raise BadSetting(f"Face {face}: this clip has {len(step.tracks)} face{'s' if len(step.tracks) > 1 else ''}.")
    return step.tracks[face - 1]


def _film(
    studio: Studio,
    clip: Clip,
    track: Track,
    embed_frame: QuickEmbed | None,
    settings: EmbedSettings,
    frames: float,
) -> Iterator[ClipStep]:
    images = yield from _aligned(studio, clip, track)
    key = _steadiest(track)
    aligned = _as_aligned(images[key], track.quads[key], clip.size)
    for step in studio.embed(aligned, replace(settings, preview_every=0)):
        yield ClipStep("embed", step.step, step.total, len(images))
    key_face = studio.spread(studio.to_face(step, aligned))
    latents = yield from _encoded(studio, images, track, key, embed_frame, key_face)
    latents = torch.from_numpy(over_time(latents.numpy(), frames, track.present, track.scenes))
    return _Filmed(track, images, key_face, key_face.latent.values + latents - latents[key])


def _aligned(studio: Studio, clip: Clip, track: Track) -> Iterator[ClipStep]:
    """The face of every frame at the generator's resolution, uint8 [R, R, 3] each; where it is not seen, the one before
    or after, which nobody will see.
    """
    images: list[np.ndarray] = []
    for quad, present, frame in zip(track.quads, track.present, clip.frames(), strict=False):
        if present > 0:
            images.append(align(frame, quad, resolution=studio.card.resolution).image)
        else:
            images.append(images[-1] if images else np.zeros(0))
        yield ClipStep("align", len(images), len(track.quads))
    seen = next(image for image in images if image.size)
    return [image if image.size else seen for image in images]


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


def _looks(
    studio: Studio,
    finder: FaceFinder,
    faces: Sequence[Face],
    part: tuple[int, int],
    frames: float,
    scenes: np.ndarray,
) -> Iterator[ClipStep]:
    """How the generator draws each frame's face, the landmarks smoothed over time. part: the k-th of n such passes."""
    pictures: list[np.ndarray] = []
    landmarks: list[np.ndarray] = []
    for first in range(0, len(faces), BATCH):
        pictures += studio.render_many(faces[first : first + BATCH])
        landmarks += [finder.landmarks_in_place(picture) for picture in pictures[first:]]
        yield ClipStep("edit", part[0] * len(faces) + len(pictures), part[1] * len(faces), len(faces))
    smooth = over_time(np.stack(landmarks), frames, scenes=scenes[: len(landmarks)])
    return [Look(picture, points) for picture, points in zip(pictures, smooth, strict=True)]


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
