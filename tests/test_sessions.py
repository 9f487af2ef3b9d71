"""Sessions: what one visitor has is theirs alone, and is freed when they leave."""

from __future__ import annotations

import gc
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from facelab.clips import Clip as OpenedClip
from facelab.edits.attributes import Direction
from facelab.embedding import EmbedStep
from facelab.embedding_settings import PRESETS
from facelab.errors import BadSetting, Busy
from facelab.face import AlignedFace, Face, Latent
from facelab.history import Result, Version
from facelab.media import Provenance
from facelab.page.film import Clip
from facelab.page.sheet import Sheet
from facelab.page.video import Footage
from facelab.sessions import MAX_DIRECTIONS, Embedding, Photo, Session
from facelab.visitors import Sessions

PICTURE = np.zeros((8, 8, 3), np.uint8)


class Clock:
    """A clock that is turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def make_face() -> Face:
    return Face(Latent(torch.zeros(1, 4), "w", "test"))


def make_embedding(name: str = "Ann") -> Embedding:
    aligned = AlignedFace(PICTURE, np.zeros((512, 512, 3), np.uint8), np.zeros((4, 2), np.float32), (8, 8))
    return Embedding(aligned, PRESETS["fast"], name)


def test_two_visitors_do_not_see_each_other() -> None:
    sessions = Sessions()
    ann, ben = sessions.of("ann"), sessions.of("ben")
    ann.photo = Photo(PICTURE, "Ann")
    kept = ann.add_face(make_face(), PICTURE, name="Ann")
    ben.delete_face(kept.id)
    ben.rename_face(kept.id, "stolen")
    assert ben.photo is None and not ben.faces
    assert [face.name for face in ann.faces.values()] == ["Ann"] and sessions.of("ann") is ann


def test_closing_the_page_frees_the_photo_and_stops_the_work() -> None:
    clock = Clock()
    sessions = Sessions(grace=60, clock=clock)
    session = sessions.of("ann")
    session.photo = Photo(PICTURE.copy(), "Ann")
    photo = weakref.ref(session.photo)
    embedding = make_embedding()
    session.begin(embedding)
    sessions.leave("ann")
    clock.now = 59
    sessions.sweep()
    assert len(sessions) == 1 and not embedding.stopping.is_set()
    clock.now = 61
    sessions.sweep()
    del session
    gc.collect()
    assert len(sessions) == 0 and photo() is None and embedding.stopping.is_set()


@pytest.mark.parametrize("noticed", [True, False])
def test_freed_without_any_further_visit(noticed: bool) -> None:
    sessions = Sessions(grace=0.05, idle=60 if noticed else 0.05)
    sessions.of("ann")
    if noticed:
        sessions.leave("ann")
    time.sleep(0.5)
    assert len(sessions) == 0 and sessions._timer is None, "and nothing waits where nobody is"


def test_a_session_that_stays_longer_is_waited_for_again() -> None:
    sessions = Sessions(idle=0.3)
    sessions.of("ann")
    time.sleep(0.2)
    sessions.stay("ann")
    time.sleep(0.25)
    assert len(sessions) == 1 and sessions._timer.daemon, "which ends with the program"
    time.sleep(0.5)
    assert len(sessions) == 0


def test_coming_back_within_the_grace_keeps_everything() -> None:
    clock = Clock()
    sessions = Sessions(grace=60, clock=clock)
    session = sessions.of("ann")
    sessions.leave("ann")
    clock.now = 50
    assert sessions.of("ann") is session
    clock.now = 200
    assert sessions.of("ann") is session


def test_an_idle_session_ends_by_time_alone() -> None:
    clock = Clock()
    sessions = Sessions(idle=100, clock=clock)
    session = sessions.of("ann")
    clock.now = 101
    assert sessions.of("ann") is not session


def test_an_open_page_keeps_its_session_whatever_became_of_its_connection() -> None:
    clock = Clock()
    sessions = Sessions(grace=60, idle=100, clock=clock)
    session = sessions.of("ann")
    sessions.leave("ann")  # the connection was lost, and the page is still there
    for clock.now in (45, 90, 135, 180, 225):
        assert sessions.stay("ann")
    assert sessions.of("ann") is session
    assert not sessions.stay("ben")
    assert len(sessions) == 1, "a page that only lies open takes nobody's place"


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


def test_photos_of_those_who_are_long_away_make_room_for_everybodys(monkeypatch) -> None:
    monkeypatch.setattr("facelab.visitors.MAX_ALL_PHOTO_BYTES", 5 * PICTURE.nbytes)
    clock = Clock()
    sessions = Sessions(clock=clock)

    def open_photos(visitor: str, count: int) -> None:
        clock.now += 1
        for _ in range(count):
            embedding = make_embedding()
            embedding.photo = Photo(PICTURE.copy(), "Ann")
            sessions.of(visitor).add_face(make_face(), PICTURE, name="Ann", embedding=embedding)

    for visitor, count in {"ann": 2, "ben": 3, "eve": 1}.items():
        open_photos(visitor, count)
    clock.now += 1
    taken = [sessions.of(visitor).photo_bytes // PICTURE.nbytes for visitor in ("eve", "ben", "ann")]
    assert taken == [1, 3, 1], "of the one who was there first, and not the newest photo"
    assert [face.photo is None for face in sessions.of("ann").faces.values()] == [True, False]


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


def test_films_and_clips_of_those_who_are_long_away_make_room(monkeypatch) -> None:
    film = Clip([PICTURE] * 4, 25.0, "morph", Provenance("faces128", [], from_photo=False), [PICTURE])
    footage = Footage(OpenedClip(bytes(500), "mov", 25.0, (64, 64)), "clip", [])
    monkeypatch.setattr("facelab.visitors.MAX_ALL_FILM_BYTES", 2 * (film.held_bytes + footage.held_bytes))
    clock = Clock()
    sessions = Sessions(clock=clock)
    for visitor in ("ann", "ben", "eve"):
        clock.now += 1
        sessions.of(visitor).clips.update(morph=film, video=footage, circle=object())
        sessions.of(visitor).made_of["morph"] = {"a face"}
    sessions.of("eve")
    assert [set(sessions.of(visitor).clips) for visitor in ("eve", "ben", "ann")] == [
        {"morph", "video", "circle"},
        {"morph", "video", "circle"},
        {"circle"},
    ]
    assert not sessions.of("ann").made_of, "and nothing looks for it when a face is deleted"


ANNS, BENS = "a" * 32, "b" * 32  # the secrets of their browsers' tabs


def test_a_page_that_is_loaded_again_keeps_what_the_one_before_it_has_left() -> None:
    sessions = Sessions()
    assert sessions.resume(ANNS, "ann") is None, "nothing was before it"
    session = sessions.of("ann")
    kept = session.add_face(make_face(), PICTURE, name="Ann")
    session.results["attributes"], session.mark = Result("Ann", "Original", kept.face, kept.history), True
    stopping = session.begin_job("crossover")
    session.embedding = make_embedding()
    assert sessions.awaits(ANNS, "ann again") and not sessions.awaits(BENS, "ben")
    sessions.leave("ann")
    assert not sessions.awaits(ANNS, "ann again") and sessions.resume(BENS, "ben") is None
    assert sessions.resume(ANNS, "ann again") is session and len(sessions) == 1
    session.begin_page()
    assert list(session.faces) == [kept.id] and not session.results and not session.mark and stopping.is_set()
    assert session.embedding is None, "which the page does not show any more"
    assert sessions.of("ann again") is session and sessions.of("ann") is not session


def test_the_copy_of_a_tab_takes_nothing_from_the_page_that_is_still_open() -> None:
    sessions = Sessions()
    sessions.resume(ANNS, "ann")
    hers = sessions.of("ann")
    assert sessions.awaits(ANNS, "copy") and sessions.resume(ANNS, "copy") is None
    copied = sessions.of("copy")
    sessions.leave("ann")
    assert sessions.resume(ANNS, "ann again") is hers
    sessions.leave("copy"), sessions.leave("ann again")
    sessions.of("copy"), sessions.of("ann again")  # their last events arrive
    assert {sessions.resume(ANNS, "third"), sessions.resume(ANNS, "fourth")} == {hers, copied}


def test_a_page_that_was_left_before_it_could_take_over_leaves_it_to_the_next_one() -> None:
    clock = Clock()
    sessions = Sessions(grace=60, clock=clock)
    sessions.resume(ANNS, "ann")
    session = sessions.of("ann")
    sessions.leave("ann"), sessions.leave("hasty")
    assert sessions.resume(ANNS, "hasty") is None
    assert sessions.resume(ANNS, "ann again") is session
    sessions.leave("ann again")
    clock.now = 61
    sessions.sweep()
    assert sessions.resume(ANNS, "too late") is None and not len(sessions) and sessions.known("ann again") is None


def test_tabs_without_faces_are_forgotten_first_and_what_is_no_secret_at_once(monkeypatch) -> None:
    monkeypatch.setattr("facelab.visitors.MAX_TABS", 2)
    sessions = Sessions()
    sessions.resume(ANNS, "ann")
    session = sessions.of("ann")
    for number in range(5):
        sessions.resume(f"{number:032x}", f"stranger {number}")
        sessions.resume("x" * 100_000, "eve")
    sessions.leave("ann")
    assert sessions.resume(ANNS, "ann again") is session


def test_a_full_house_says_so() -> None:
    sessions = Sessions(limit=2)
    sessions.of("ann"), sessions.of("ben")
    with pytest.raises(Busy, match="2 visitors"):
        sessions.of("eve")
    assert sessions.of("ann")


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
