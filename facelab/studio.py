"""Studio: the resident models of one device, and one method per user action. Holds no user's data.

New faces begin with the studio's own model; what is asked of a face that exists is done by the model that it is of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from facelab.alignment import same_place
from facelab.allocator import keep_freed_memory
from facelab.attribute_editing import AttributeEditing
from facelab.checkpoints.cards import Card, catalogue, find_card
from facelab.checkpoints.weights import load_model
from facelab.circling import Circling
from facelab.comparing import Comparing
from facelab.detail import Look, find_change, resized
from facelab.editing import Editing, check_size
from facelab.edits.attributes import move
from facelab.embedding import EmbedState, EmbedStep, as_image, embed, signal_to_noise
from facelab.embedding_settings import PRESETS, EmbedSettings
from facelab.errors import BadSetting, NoFaceFound
from facelab.face import CROP_SIZE, AlignedFace, Face, Latent, Recipe
from facelab.generators.base import Generator
from facelab.generators.families import FAMILIES
from facelab.generators.stylegan2 import fast_dtype
from facelab.identity import FaceReader, has_reader, load_reader, reader_distance
from facelab.pasting import QUAD_OF_CROP, check_place, paste
from facelab.perceptual import Distance, Vgg16, discriminator_distance, load_vgg16, vgg16_distance
from facelab.ranges import between
from facelab.recovering import Recovering
from facelab.recovery import RECOVERY_PRESETS, RecoverySettings, RecoveryState, recover
from facelab.refinement import Edit
from facelab.regions import FACIAL
from facelab.renewing import Renewing
from facelab.routing import by_its_model
from facelab.styling import Styling

if TYPE_CHECKING:
    from torch import nn

    from facelab.clips import Clip
    from facelab.detection import FaceFinder, FoundFace
    from facelab.encoder import Encode
    from facelab.recognition import Recogniser
    from facelab.video import ClipEyes, ClipStep

MAX_RANDOM = 100_000  # faces of one call
IDENTITY_EVERY = 50  # steps; one distance costs about as much as five steps


class Studio(AttributeEditing, Circling, Comparing, Editing, Recovering, Renewing, Styling):
    """The models of one device, loaded at their first use and shared by every thread that calls.

    model: a name of the catalogue. device: "cpu", "cuda", "mps", or "auto" for the best that there is. beside: a studio
    whose device and resident models this one shares; `of` makes such.
    Raises UnknownModel for a model without a card and BadSetting for a device that is not here.
    """

    def __init__(self, model: str = "faces128", *, device: str = "auto", beside: Studio | None = None) -> None:
        keep_freed_memory()
        self.card = find_card(model)
        self._first: str = model if beside is None else beside._first  # what this one was asked beside
        self._lock: threading.RLock = threading.RLock() if beside is None else beside._lock
        self._resident: dict[tuple[str, str], object] = {} if beside is None else beside._resident
        if beside is not None:
            self.device = beside.device
        else:
            self.device = best_device() if device == "auto" else torch.device(device)
            there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
            if not there.get(self.device.type, lambda: True)():
                raise BadSetting(f"This machine has no {self.device.type}. Choose the device auto or cpu.")
        self._looks: WeakKeyDictionary[Face, Look] = WeakKeyDictionary()

    def models(self) -> list[Card]:
        """The cards of all known models."""
        return list(catalogue().values())

    def of(self, model: str) -> Studio:
        """The studio of another model on the same device. What belongs to no model, such as detectors, is loaded once.

        Raises UnknownModel for a model without a card.
        """
        if model == self.card.name:
            return self
        return self._keep(f"studio of {model}", lambda: Studio(model, beside=self), shared=True)

    @property
    def has_layers(self) -> bool:
        """Whether the model has w+, a latent for each layer; the papers' models have one for the whole picture."""
        return "w+" in self.card.spaces

    @property
    def presets(self) -> dict[str, EmbedSettings] | dict[str, RecoverySettings]:
        """The ways to embed a face with this model, by name; the first one is what `embed` does by default."""
        if self.has_layers:
            return dict(PRESETS)
        return {name: each for name, each in RECOVERY_PRESETS.items() if each.steps or self.has_encoder}

    def warm_up(self) -> None:
        """Load everything from detection to embedding and run it once, so that the first visitor does not wait."""
        picture = np.full((self.card.resolution, self.card.resolution, 3), 127, np.uint8)
        short = {"steps": 2, "refine_steps": 2} if self.has_layers else {"steps": 2}
        for _ in self._search(picture, replace(next(iter(self.presets.values())), **short), None):
            pass
        self._finder.find(picture)
        self._recogniser.vector(picture)

    def find_faces(self, photo: np.ndarray, *, landmarks: str = "dlib") -> list[FoundFace]:
        """The faces of a photo, uint8 [H, W, 3], largest first. landmarks: "dlib" (68 points) or "mtcnn" (5 points).

        Raises NoFaceFound when there is none.
        """
        faces = self._finder.find(photo, landmarks=landmarks)
        if not faces:
            height, width = photo.shape[:2]
            raise NoFaceFound(
                f"No face was found in this photo ({width} x {height}). Click the two eyes to align it by hand, "
                "or try a photo where the face is larger than about 40 pixels."
            )
        return faces

    def turns_upright(self, photo: np.ndarray) -> int:
        """How many quarter turns to the right, 0 to 3, make the faces of a photo, uint8 [H, W, 3], stand upright."""
        return self._finder.turns_upright(photo)

    def align(self, photo: np.ndarray, face: FoundFace | np.ndarray) -> AlignedFace:
        """Cut a face out of its photo: a face that `find_faces` found, or a quad, float [4, 2] in the photo's pixels
        (see alignment.quad_from_eyes and alignment.adjust_quad for aligning by hand).
        """
        from facelab.alignment import align, quad_from_landmarks

        if isinstance(face, np.ndarray):
            return align(photo, face, resolution=self.card.resolution)
        quad = quad_from_landmarks(face.landmarks)
        return align(photo, quad, resolution=self.card.resolution, landmarks=face.landmarks, detector=face.detector)

    def embed(
        self,
        aligned: AlignedFace,
        settings: EmbedSettings | RecoverySettings | None = None,
        *,
        resume: EmbedState | RecoveryState | None = None,
    ) -> Iterator[EmbedStep]:
        """Embed a face: `embedding.embed`, or with models of one latent `recovery.recover`, with this studio's models,
        and identity distance where it is measured.

        settings: of `presets`, or like them; the first of them by default. The distance is dlib's between the photo's
        crop and the step's picture: at the end of each phase, where the picture is the best one's, and on some
        previews in between. Closing the iterator stops. A model without an encoder starts without it.
        Raises BadSetting for settings of the other kind of model.
        """
        steps = self._search(self.fitted(aligned), settings or next(iter(self.presets.values())), resume)
        return self._with_identity(steps, aligned)

    def _search(
        self,
        picture: np.ndarray,
        settings: EmbedSettings | RecoverySettings,
        resume: EmbedState | RecoveryState | None,
    ) -> Iterator[EmbedStep]:
        if isinstance(settings, EmbedSettings) != self.has_layers:
            raise BadSetting(f"{self.card.name} embeds by {' or '.join(self.presets)}. Choose one of these presets.")
        if settings.start == "encoder" and not self.has_encoder:
            settings = replace(settings, start="mean" if self.has_layers else "random")
        encode = self._encode if settings.start == "encoder" else None
        if isinstance(settings, RecoverySettings):
            return recover(self.generator, picture, settings, encode=encode, resume=resume)
        if settings.identity_weight and not has_reader():
            settings = replace(settings, identity_weight=0.0)
        perceptual = self._perceptual(settings.perceptual)
        return embed(
            self.generator,
            picture,
            settings,
            perceptual=perceptual,
            identity=self._identity,
            encode=encode,
            edits=self._edits if settings.refine and settings.edit_weight else (),
            resume=resume,
        )

    def fitted(self, aligned: AlignedFace) -> np.ndarray:
        """An aligned face at the model's size, also where it was cut out for another model: uint8 [R, R, 3]."""
        side = self.card.resolution
        return aligned.image if len(aligned.image) == side else resized(aligned.crop, side)

    def encode(self, aligned: AlignedFace) -> Face:
        """Embed a face by the model's encoder alone: near at once, a likeness rather than the person.

        Raises UnknownModel for a model that ships without an encoder.
        """
        rows = self._encode(as_image(self.fitted(aligned), self.generator))[0]
        return Face(
            latent=Latent(rows.cpu(), self.generator.edit_space, self.card.name),
            crop=aligned.crop,
            quad=aligned.quad,
            photo_size=aligned.photo_size,
            model_sha256=self.card.sha256,
        )

    @property
    def has_encoder(self) -> bool:
        """Whether the model ships with an encoder, or is one itself."""
        return "encoder" in self.card.companions or FAMILIES[self.card.family].encodes

    def _with_identity(self, steps: Iterator[EmbedStep], aligned: AlignedFace) -> Iterator[EmbedStep]:
        target = self._recogniser.vector(aligned.crop)
        unmeasured = 0
        for step in steps:
            unmeasured += 1
            if step.image is not None and (step.phase_done or unmeasured >= IDENTITY_EVERY):
                unmeasured = 0
                step = replace(step, identity_distance=self._distance(step.image, target))
            yield step

    @by_its_model
    def identity_distance(self, face: Face) -> float | None:
        """dlib's distance between a face's picture and the photo's crop behind it (the same person below 0.6), or None
        where no photo is behind it.
        """
        return None if face.crop is None else self._distance(self.render(face), self._recogniser.vector(face.crop))

    @by_its_model
    def signal_to_noise(self, face: Face) -> float | None:
        """PSNR in dB of a face's picture, at the model's size, against the photo's crop behind it; None without one."""
        if face.crop is None:
            return None
        side = self.card.resolution
        difference = self.render(face).astype(np.float32) - resized(face.crop, side)
        return signal_to_noise(float(np.square(difference / 127.5).mean()))

    def _distance(self, picture: np.ndarray, target: np.ndarray) -> float:
        from facelab.recognition import identity_distance

        return identity_distance(self._recogniser.vector(picture), target)

    def to_face(self, step: EmbedStep, aligned: AlignedFace) -> Face:
        """What an embedding has found so far, as a face to edit and save."""
        model = self.of(step.latent.model)
        return Face(
            latent=step.latent,
            delta=step.delta,
            crop=aligned.crop,
            quad=aligned.quad,
            photo_size=aligned.photo_size,
            model_sha256=model.card.sha256,
        )

    @by_its_model
    def render(self, face: Face, size: int | None = None) -> np.ndarray:
        """The generator's picture of a face, its delta applied: uint8 [size, size, 3], by default at the model's size.

        Raises LatentMismatch for a face of another model or of another version of it, BadFaceFile for a delta that
        does not fit, and BadSetting for a size out of range.
        """
        return self.render_many([face], size)[0]

    @by_its_model
    def picture(
        self, face: Face, edited: Face | None = None, *, detail: bool = True, size: int = CROP_SIZE
    ) -> np.ndarray:
        """What a face is shown as: the photo's crop with the edit made to it, uint8 [size, size, 3].

        face: the embedded one, or one that was saved with edits. edited: what further edits have made of it. Where the
        face looks as it was photographed, the picture is the crop, untouched. detail: False shows the generator's own
        picture instead, enlarged, as it is for a face that no photo is behind. Raises what `render` raises.
        """
        check_size(size)
        shown = edited or face
        if not detail or face.crop is None:
            return self.render(shown, size)
        before = face.as_photographed
        self.generator.check(shown.latent)
        change = None if shown is before else find_change(face.crop, self._look(before), self._look(shown))
        crop = paste(face.crop, [(QUAD_OF_CROP, change)] if change else [])
        return crop if size == len(crop) else resized(crop, size)

    @by_its_model
    def paste(self, photo: np.ndarray, pairs: Sequence[tuple[Face, Face]]) -> np.ndarray:
        """The photo with its faces edited, uint8 [H, W, 3], at the photo's own resolution.

        photo: uint8 [H, W, 3], the upright photo that the faces were cut out of. pairs: for each face the embedded one
        and what edits have made of it. What no edit reaches keeps its pixels exactly.
        Raises BadSetting for a face that was not cut out of a photo of this size and for two edits of one
        face, LatentMismatch for an edit of another model's, and what `render` raises.
        """
        changes = []
        for face, edited in pairs:
            check_place(photo, face)
            self.of(face.latent.model).generator.check(edited.latent)
            change = find_change(face.crop, self._look(face.as_photographed), self._look(edited), whole=False)
            if change is None:
                continue
            if any(same_place(face.quad, quad) for quad, _ in changes):  # the second would edit what the first has made
                raise BadSetting("Two of these edits are of one face of the photo. Paste one of them.")
            changes.append((face.quad, change))
        return paste(photo, changes)

    def find_tracks(self, clip: Clip) -> Iterator[ClipStep]:
        """Follow all faces of a clip: see `video.find_tracks`."""
        from facelab.video import find_tracks

        return find_tracks(self._clip_eyes, clip)

    def edit_clip(self, clip: Clip, edit: Recipe | Callable[[Face], Face], **options: Any) -> Iterator[ClipStep]:
        """Do the same edit, a recipe or a function, to one face of a clip, frame by frame and without flicker: see
        `video.edit_clip`.
        """
        from facelab.video import edit_clip

        return edit_clip(self, self._clip_eyes, clip, edit, **options)

    @by_its_model
    def follow_clip(self, target: Face, clip: Clip, **options: Any) -> Iterator[ClipStep]:
        """Give a face the expressions of the one in a clip: see `video.follow_clip`."""
        from facelab.video import follow_clip

        return follow_clip(self, self._clip_eyes, clip, target, **options)

    def _look(self, face: Face) -> Look:
        """A face's generated picture and its landmarks; remembered as long as somebody keeps the face itself."""
        with self._lock:
            known = self._looks.get(face)
        if known is None:
            picture = self.render(face)
            known = Look(picture, self._finder.landmarks_in_place(picture))
            with self._lock:
                self._looks[face] = known
        return known

    def sample(self, count: int, *, seed: int = 0, truncation: float = 0.7) -> list[tuple[Face, np.ndarray]]:
        """`count` random faces with their pictures, uint8 [R, R, 3]: those of `random_faces`."""
        faces = self.random_faces(count, seed=seed, truncation=truncation)
        return list(zip(faces, self.render_many(faces), strict=True))

    def random_faces(self, count: int, *, seed: int = 0, truncation: float = 0.7) -> list[Face]:
        """`count` random faces without their pictures; the same for the same seed.

        truncation: 0 is the mean face, 1 the full variety. Raises BadSetting for a number out of range.
        """
        between("The number of faces", count, 1, MAX_RANDOM)
        truncation = between("truncation", truncation, 0, 1)
        latents = self.generator.sample(count, seed=seed, truncation=truncation)
        space, sha256 = self.generator.edit_space, self.card.sha256
        return [Face(Latent(each.cpu(), space, self.card.name), model_sha256=sha256) for each in latents]

    @property
    def generator(self) -> Generator:
        """The generator, resident and frozen."""
        return self._networks[0]

    @property
    def _networks(self) -> tuple[Generator, nn.Module | None]:
        def load() -> tuple[Generator, nn.Module | None]:
            generator, discriminator = load_model(self.card.name, device=self.device)
            if discriminator is not None:
                discriminator.compute_dtype = fast_dtype(self.device)
            return generator, discriminator

        return self._keep("networks", load)

    @property
    def _encode(self) -> Encode:
        """What carries pictures to latents: the encoder that ships with the model, or the model's own."""
        from facelab.encoder import load_encode

        return self._keep("encode", lambda: load_encode(self.generator, self._reader if self.has_layers else None))

    @property
    def _edits(self) -> list[Edit]:
        """What the sliders can do to a face, each at the strength at which it shows; but for its features, where a
        delta gives way of itself (regions.delta_left).
        """

        def load() -> list[Edit]:
            nothing = torch.zeros(self.generator.latent_shape("w+"))
            known = [each for each in self.directions().values() if each.region not in FACIAL]
            return [Edit(move(nothing, each, each.strength), each.region) for each in known]

        return self._keep("edits", load)

    @property
    def _reader(self) -> FaceReader:
        return self._keep("reader", lambda: load_reader(device=self.device), shared=True)

    @property
    def _finder(self) -> FaceFinder:
        from facelab.detection import FaceFinder

        return self._keep("finder", FaceFinder, shared=True)

    @property
    def _recogniser(self) -> Recogniser:
        from facelab.recognition import Recogniser

        return self._keep("recogniser", lambda: Recogniser(self._finder), shared=True)

    @property
    def _clip_eyes(self) -> ClipEyes:
        from facelab.video import ClipEyes

        return ClipEyes(self._finder, self._recogniser)

    @property
    def _vgg16(self) -> Vgg16:
        return self._keep("vgg16", lambda: load_vgg16(device=self.device), shared=True)

    def _perceptual(self, name: str) -> Callable[[Tensor], Distance]:
        if name == "vgg16":
            return lambda target: vgg16_distance(self._vgg16, target)
        return lambda target: discriminator_distance(self._networks[1], target)

    def _identity(self, target: Tensor) -> Distance:
        return reader_distance(self._reader, target)

    def _keep(self, name: str, load: Callable[[], object], *, shared: bool = False):  # noqa: ANN202
        """What `load` returns, kept for this model, or shared with the studios of all others."""
        key = ("" if shared else self.card.name, name)
        with self._lock:
            if key not in self._resident:
                with torch.inference_mode(False):  # what is loaded by a rendering may be asked for gradients later
                    self._resident[key] = load()
            return self._resident[key]


def best_device() -> torch.device:
    """CUDA or MPS where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
