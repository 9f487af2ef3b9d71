"""Sessions: the library of one visitor, and what becomes of it while embeddings go on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.edits.attributes import Direction
from facelab.embedding import EmbedStep
from facelab.errors import BadSetting, Busy
from facelab.face import Face
from facelab.history import Result, Version
from facelab.page.sheet import Sheet
from facelab.sessions import MAX_DIRECTIONS, Photo, Session
from tests.faces_of_visitors import PICTURE, make_embedding, make_face


def test_a_library_has_room_or_says_how_much(monkeypatch) -> None:
    monkeypatch.setattr("facelab.sessions.MAX_FACES", 2)
    session = Session()
    session.check_room(2)
    session.add_face(make_face(), PICTURE, name="Ann")
    with pytest.raises(Busy, match="1 more fit, not 2"):
        session.check_room(2)
    session.add_face(make_face(), PICTURE, name="Ben")
    with pytest.raises(Busy, match="at most"):
        session.add_face(make_face(), PICTURE, name="Eve")


def test_only_so_many_bytes_of_photos_are_kept_the_newest_first(monkeypatch) -> None:
    monkeypatch.setattr("facelab.sessions.MAX_PHOTO_BYTES", 2 * PICTURE.nbytes)
    session, photos = Session(), [Photo(PICTURE.copy(), str(number)) for number in range(3)]
    faces = []
    for photo in (photos[0], photos[0], photos[1], photos[2]):
        embedding = make_embedding()
        embedding.photo = photo
        faces.append(session.add_face(make_face(), PICTURE, name="Ann", embedding=embedding))
    assert [face.photo for face in faces] == [None, None, photos[1], photos[2]]
    assert faces[0].embedding.photo is None and faces[3].embedding.photo is photos[2]


def test_photos_on_the_desk_and_in_embed_count_as_those_of_faces_do() -> None:
    session, photo = Session(), Photo(PICTURE, "Ann")
    session.photo, session.embedding = photo, make_embedding()
    session.embedding.photo = photo
    assert session.photo_bytes == PICTURE.nbytes, "one photo is one, whoever holds it"
    session.embedding.photo = Photo(PICTURE, "Ben")
    assert session.photo_bytes == 2 * PICTURE.nbytes


def test_a_film_or_sheet_of_a_face_that_was_deleted_meanwhile_is_not_kept() -> None:
    session = Session()
    one, other = (session.add_face(make_face(), PICTURE, name=name) for name in ("Ann", "Ben"))
    session.keep_film("morph", object(), [one.id, other.id])
    session.let_films_go()
    session.delete_face(other.id)
    assert not session.clips and not session.made_of
    with pytest.raises(BadSetting, match="deleted meanwhile"):
        session.keep_film("morph", object(), [one.id, other.id])
    with pytest.raises(BadSetting, match="deleted meanwhile"):
        session.keep_sheet("mix", Sheet("Neighbours", 1, [], [], lambda index: None, of=[other]))
    session.keep_sheet("mix", Sheet("Neighbours", 1, [], [], lambda index: None, of=[one]))
    assert not session.clips and set(session.sheets) == {"mix"}


def test_what_an_embedding_still_takes_counts_that_refining_is_slower() -> None:
    embedding = make_embedding()

    def record(count: int, phase: str, seconds: float) -> None:
        latent = make_face().latent
        step = EmbedStep(phase, count, 300, {"total": 1.0}, 20.0, 1.0, 1.0, latent, None, None, None, False, False)
        embedding.record(step, seconds)

    record(1, "latent", 9.0)
    for count in range(2, 12):
        record(count, "latent", 0.1)
    assert embedding.seconds == pytest.approx(10) and embedding.seconds_left == pytest.approx(0.1 * (39 + 1.8 * 250))
    embedding.settings = replace(embedding.settings, refine=False)
    assert embedding.seconds_left == pytest.approx(0.1 * 289)
    record(51, "refine", 5.0)
    record(52, "refine", 0.4)
    assert embedding.seconds_left == pytest.approx(0.4 * 248)


def test_names_are_kept_apart_and_short() -> None:
    session = Session()
    first = session.add_face(make_face(), PICTURE, name="Ann")
    second = session.add_face(make_face(), PICTURE, name="  Ann ")
    assert (first.name, second.name) == ("Ann", "Ann 2")
    assert session.add_face(make_face(), PICTURE, name="Ann 2").name == "Ann 3"
    assert session.add_face(make_face(), PICTURE, name="Photo 2019").name == "Photo 2019"
    assert session.add_face(make_face(), PICTURE, name="Photo 2019").name == "Photo 2019 2"
    session.rename_face(second.id, "x" * 500)
    assert len(second.name) <= 40
    session.rename_face(second.id, "   ")
    assert second.name.startswith("x")
    session.delete_face(first.id)
    assert first.id not in session.faces and second.id in session.faces


def test_going_on_with_an_embedding_updates_its_face() -> None:
    session = Session()
    embedding = make_embedding()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=embedding)
    history, better = kept.history, make_face()
    session.results["attributes"] = Result("Ann", "Original", kept.face, history)
    session.results["morph"] = Result("Ann and Ben", "Morph", make_face(), history, {"op": "morph", "with": "Ben"})
    session.results["mix"] = other = Result("Random", "Random", make_face())
    assert session.rebase(kept, better, PICTURE + 1, lambda version: (better if version.steps else None, PICTURE))
    assert len(session.faces) == 1 and kept.picture.max() == 1 and kept.face is better
    assert kept.history is history, "what tabs show is still of this face"
    assert [session.results[tab].face for tab in ("attributes", "morph")] == [better, better]
    assert session.results["mix"] is other


def test_a_result_of_an_earlier_state_gets_the_better_original_and_no_later_edit() -> None:
    session = Session()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=make_embedding())
    began, better = kept.history.branch(), make_face()
    session.results["mix"] = Result("Ann 1", "Neighbour 1", make_face(), began, {"op": "neighbour"})
    kept.history.record(Version("Smile", ({"op": "attribute"},), make_face(), PICTURE))
    assert session.rebase(kept, better, PICTURE + 1, lambda version: (better, PICTURE))
    mixed = session.results["mix"]
    assert mixed.face is better and mixed.source.base is better
    assert [version.title for version in mixed.history(PICTURE).versions] == ["Original", "Neighbour 1"]


def test_what_was_kept_of_a_face_during_its_embedding_gets_the_better_original() -> None:
    session = Session()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=make_embedding())
    stranger = session.add_face(make_face(), PICTURE, name="Ben")
    smiling = kept.history.branch()
    smiling.record(Version("Smile", ({"op": "attribute"},), make_face(), PICTURE))
    copy = session.add_history(smiling, name="Ann 2", saved=True)
    session.results["morph"] = Result("Ann 2", "Morph", make_face(), copy.history, {"op": "morph"})
    better, edited = make_face(), make_face()
    assert session.rebase(kept, better, PICTURE + 1, lambda version: (edited, PICTURE + 2))
    assert (copy.history.base, copy.face, copy.saved) == (better, edited, False) and copy.history is smiling
    assert session.results["morph"].face is edited and session.results["morph"].source is smiling
    assert [version.title for version in copy.history.versions] == ["Original", "Smile"]
    assert stranger.history.base is not better and len(kept.history.versions) == 1


def test_what_is_kept_while_edits_are_moved_is_not_left_behind() -> None:
    session = Session()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=make_embedding())
    kept.history.record(Version("Smile", ({"op": "attribute"},), make_face(), PICTURE))
    better = make_face()

    def redo(version: Version) -> tuple[Face, np.ndarray]:
        if len(session.faces) == 1:
            session.add_history(kept.history.branch(), name="Ann 2")
        return make_face(), PICTURE

    assert not session.rebase(kept, better, PICTURE + 1, redo) and session.rebase(kept, better, PICTURE + 1, redo)
    assert [each.history.base for each in session.faces.values()] == [better, better]


def test_an_edit_of_a_kept_one_made_while_edits_are_moved_is_not_lost() -> None:
    session = Session()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=make_embedding())
    copy = session.add_history(kept.history.branch(), name="Ann 2")
    session.results["mix"] = Result("Ann 1", "Neighbour 1", make_face(), copy.history, {"op": "neighbour"})

    def redo(version: Version) -> tuple[Face, np.ndarray]:
        if len(copy.history.versions) == 1:
            copy.history.record(Version("Age", ({"op": "attribute"},), make_face(), PICTURE))
        return make_face(), PICTURE

    assert not session.rebase(kept, make_face(), PICTURE + 1, redo)
    assert session.rebase(kept, make_face(), PICTURE + 1, redo) and copy.history.now.title == "Age"


def test_as_many_directions_are_taken_as_fit() -> None:
    session, vector = Session(), torch.zeros(4)
    words = {"low": "less", "high": "more", "group": "own", "rows": (0, 2), "held": (), "strength": 1.0}

    def some(*numbers: int) -> list[Direction]:
        return [Direction(f"d{each}", "D", **words, difference=vector, normal=vector) for each in numbers]

    assert session.add_directions(some(*range(MAX_DIRECTIONS - 1))) == 0
    assert session.add_directions(some(0, 97, 98, 99)) == 2 and "d97" in session.directions
    assert session.add_directions(some(100)) == 1 and len(session.directions) == MAX_DIRECTIONS


def test_a_face_that_is_deleted_stops_its_embedding_until_it_is_begun_again() -> None:
    session, embedding = Session(), make_embedding()
    session.begin(embedding)
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=embedding)
    session.delete_face(kept.id)
    assert embedding.dropped and embedding.stopping.is_set() and session.delete_face(kept.id) is None
    session.begin(embedding)
    assert not embedding.dropped and not embedding.stopping.is_set()


def test_a_new_embedding_asks_the_one_before_to_stop() -> None:
    session = Session()
    first, second = make_embedding(), make_embedding()
    session.begin(first)
    session.begin(second)
    assert first.stopping.is_set() and not second.stopping.is_set()
    session.stop()
    assert second.stopping.is_set()


def test_a_face_that_was_edited_during_its_embedding_keeps_its_edits() -> None:
    session, embedding = Session(), make_embedding()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=embedding)
    assert session.face_of(embedding) is kept and session.face_of(make_embedding()) is None
    kept.history.record(Version("Smile", ({"op": "attribute"},), make_face(), PICTURE))
    assert session.rebase(kept, make_face(), PICTURE + 1, lambda version: (make_face(), PICTURE + 2))
    assert [version.picture.max() for version in kept.history.versions] == [1, 2]
    assert kept.history.now.title == "Smile"


def test_an_edit_made_while_edits_are_moved_is_not_lost() -> None:
    session, embedding = Session(), make_embedding()
    kept = session.add_face(make_face(), PICTURE, name="Ann", embedding=embedding)
    kept.history.record(Version("Smile", ({"op": "attribute"},), make_face(), PICTURE))

    def redo(version: Version) -> tuple[Face, np.ndarray]:
        if len(kept.history.versions) == 2:
            kept.history.record(Version("Age", ({"op": "attribute"},), make_face(), PICTURE))
        return make_face(), PICTURE + 2

    assert not session.rebase(kept, make_face(), PICTURE + 1, redo)
    assert session.rebase(kept, make_face(), PICTURE + 1, redo)
    assert [version.title for version in kept.history.versions] == ["Original", "Smile", "Age"]
