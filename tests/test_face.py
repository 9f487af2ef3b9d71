"""A face says how it was made and whether a photo is behind it, wherever its file goes."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.errors import BadFaceFile
from facelab.face import MAX_FACE_FILE_BYTES, MAX_OPERATIONS, Delta, Face, Latent, describe_step
from facelab.media import MADE_BY_AI, PHOTO_CHANGED_BY_AI, Provenance
from facelab.studio import Studio

CROP = np.zeros((512, 512, 3), np.uint8)
SMILE = {"op": "attribute", "id": "smile", "strength": 1.5}


def make_face(**more) -> Face:
    return Face(Latent(torch.zeros(2, 4), "w+", "test"), **more)


def again(face: Face) -> Face:
    buffer = io.BytesIO()
    face.save(buffer)
    buffer.seek(0)
    return Face.load(buffer)


def with_arrays(face: Face, **arrays) -> io.BytesIO:
    buffer, changed = io.BytesIO(), io.BytesIO()
    face.save(buffer)
    buffer.seek(0)
    np.savez(changed, **{**np.load(buffer), **arrays})
    changed.seek(0)
    return changed


def test_a_step_is_told_without_anybodys_name():
    assert describe_step(SMILE) == "attribute smile 1.5"
    assert describe_step({"op": "morph", "with": "Ann from work", "t": 0.25}) == "morph 0.25"
    assert describe_step({"op": "express", "neutral": "Ann", "strength": -1}) == "express -1"
    own = {"op": "attribute", "id": "own_12345678", "title": "Like Ann", "hash": "0", "strength": 2}
    assert describe_step(own) == "attribute own 2"
    assert describe_step({**SMILE, "strength": 10**400}) == "attribute smile", "which no float can hold"


def test_a_face_that_nothing_was_done_to_tells_it_by_what_it_has():
    assert make_face().operations == ["sample"] and not make_face().from_photo
    embedded = make_face(crop=CROP)
    assert embedded.operations == ["embed"] and embedded.from_photo
    assert replace(embedded, delta=Delta({})).operations == ["embed", "refine"]


def test_what_was_done_outlives_the_file():
    average = make_face().made_by({"op": "average"}, of=[make_face(crop=CROP), make_face()])
    older = again(again(average).made_by(SMILE, of=[again(average)]))
    assert older.operations == ["embed", "average", "attribute smile 1.5"]
    assert older.from_photo and older.crop is None
    assert not again(make_face()).from_photo and again(make_face()).made == ()


def test_an_edited_face_remembers_the_one_in_its_crop():
    begun = make_face(crop=CROP, delta=Delta({"b4.conv1.bias": torch.ones(3)}))
    moved = replace(begun, latent=Latent(torch.ones(2, 4), "w+", "test"), delta=None).made_by(SMILE, of=[begun])
    smiling = again(moved)
    kept = again(smiling.made_by(SMILE, of=[smiling]))
    assert kept.as_photographed.latent.values.sum() == 0 and kept.as_photographed.operations == ["embed", "refine"]
    assert kept.as_photographed.delta.values["b4.conv1.bias"].tolist() == [1, 1, 1] and kept.delta is None
    assert begun.as_photographed is begun and again(begun).unedited is None
    assert replace(moved, crop=None).made_by(SMILE, of=[moved]).unedited is None, "no crop shows it any more"


def test_of_an_edited_face_what_has_not_changed_is_stored_once():
    strength = {"b4.conv1.noise_strength": torch.tensor(0.5)}
    begun = make_face(crop=CROP, delta=Delta({"b4.conv1.bias": torch.rand(3), **strength}))
    moved = replace(begun, latent=Latent(torch.ones(2, 4), "w+", "test")).made_by(SMILE, of=[begun])
    with np.load(with_arrays(moved)) as arrays:
        assert arrays["unedited/delta/b4.conv1.bias"].size == 0 and arrays["unedited/latent"].size == 8
    assert again(moved).as_photographed.delta.values.keys() == moved.delta.values.keys()
    assert again(moved).as_photographed.delta.values["b4.conv1.noise_strength"] == 0.5
    for damage in ({"unedited/delta/b8.conv1.bias": np.zeros(0)}, {"unedited/latent": np.full((2, 4), np.nan)}):
        with pytest.raises(BadFaceFile):
            Face.load(with_arrays(moved, **damage))


def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        Face.load(tmp_path / "typo.npz")


def test_a_file_with_a_byte_changed_is_read_or_refused_and_nothing_else():
    buffer, refused = io.BytesIO(), 0
    make_face(crop=CROP, quad=np.zeros((4, 2), np.float32), photo_size=(9, 9)).save(buffer)
    data = buffer.getvalue()
    for place in np.random.default_rng(0).integers(0, len(data), 300):
        damaged = bytearray(data)
        damaged[place] ^= 0x5A
        try:
            Face.load(io.BytesIO(damaged))
        except BadFaceFile:
            refused += 1
    assert refused > 30


def test_a_file_of_nothing_but_a_table_of_contents_is_refused_unread(tmp_path):
    (tmp_path / "long.npz").write_bytes(b"PK\x03\x04" + bytes(MAX_FACE_FILE_BYTES))
    for source in (tmp_path / "long.npz", io.BytesIO((tmp_path / "long.npz").read_bytes())):
        with pytest.raises(BadFaceFile, match="larger than 8 MB"):
            Face.load(source)


@pytest.mark.parametrize("kind", [np.bool_, np.int8, np.float64, np.complex64])
def test_numbers_that_would_grow_in_memory_are_refused(kind):
    with pytest.raises(BadFaceFile):
        Face.load(with_arrays(make_face(), latent=np.zeros((2, 3), kind)))


def test_files_of_the_first_versions_are_read_as_ever():
    with np.load(with_arrays(make_face(crop=CROP))) as arrays:
        assert not {"operations", "photo_behind"} & set(arrays), "nothing is written that says nothing"
    assert again(make_face(crop=CROP)).operations == ["embed"]


def test_a_long_way_keeps_its_beginning_and_its_end():
    face = make_face(crop=CROP, delta=Delta({}))
    for count in range(MAX_OPERATIONS + 20):
        face = face.made_by({**SMILE, "strength": count}, of=[face])
    assert len(face.operations) == MAX_OPERATIONS and face.operations[:2] == ["embed", "refine"]
    assert face.operations[-1] == f"attribute smile {MAX_OPERATIONS + 19}"
    steps = [{**SMILE, "strength": count} for count in range(MAX_OPERATIONS)]
    at_once = face.made_by(*steps, of=[face])
    assert len(at_once.operations) == MAX_OPERATIONS and at_once.operations[:2] == ["embed", "refine"]
    assert at_once.operations[-1] == f"attribute smile {MAX_OPERATIONS - 1}"
    strange = face.made_by({"op": "<b>", "id": "Somebody's name"}, of=[face])
    assert strange.operations[-1] == "edit", "no more than a file may hold"


@pytest.mark.parametrize(
    "operations",
    [
        np.array(["embed"] * (MAX_OPERATIONS + 1)),
        np.array(["Anna Schmidt"]),
        np.array(["embed", "x" * 61]),
        np.array(["<script>"]),
        np.array(["morph\n"]),
        np.array("embed"),
        np.array([1.5]),
    ],
)
def test_words_that_no_edit_writes_are_refused(operations):
    with pytest.raises(BadFaceFile):
        Face.load(with_arrays(make_face(), operations=operations))


def test_every_edit_of_a_studio_says_what_it_did():
    studio = Studio("faces128", device="cpu")
    plain, other = (face for face, _ in studio.sample(2, seed=3))
    photo = replace(plain, crop=CROP)
    results = {
        "attribute smile 1.5": studio.edit(photo, {"smile": 1.5}),
        "walk smile 1": studio.walk(photo, "smile", 2, frames=2, steps=4)[1],
        "morph 0.25": studio.morph(photo, other, 0.25),
        "crossover 0.5": studio.crossover(photo, other, strength=0.5),
        "express -1": studio.express(photo, plain, other, strength=-1),
        "average": studio.average([photo, other]),
        "combine": studio.combine(photo, other),
        "mix": studio.mix("A - B", {"A": photo, "B": other}),
        "neighbour": studio.neighbours(photo, 1)[0],
    }
    for said, face in results.items():
        assert face.operations == ["embed", said]
        assert Provenance.of(again(face)).source_type.endswith("/" + PHOTO_CHANGED_BY_AI)
    assert Provenance.of(studio.average([plain, other])).source_type.endswith("/" + MADE_BY_AI)
    for edited in (results["attribute smile 1.5"], results["crossover 0.5"], results["express -1"]):
        assert edited.as_photographed is photo
    assert studio.average([other, photo]).from_photo, "whichever of them the photo is behind"
    assert studio.crossover(results["average"], other).operations == ["embed", "average", "crossover 1"]


def test_a_picture_of_several_faces_says_what_was_done_to_any():
    smiling = make_face(crop=CROP).made_by(SMILE, of=[make_face(crop=CROP)])
    said = Provenance.of(smiling, make_face(crop=CROP), then=["paste"])
    assert said.operations == ["embed", "attribute smile 1.5", "paste"] and said.from_photo
