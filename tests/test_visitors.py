"""Visitors: what one has is theirs alone, and is freed when they leave."""

from __future__ import annotations

import gc
import time
import weakref

import pytest

from facelab.clips import Clip as OpenedClip
from facelab.errors import Busy
from facelab.history import Result
from facelab.media import Provenance
from facelab.page.film import Clip
from facelab.page.video import Footage
from facelab.sessions import Photo
from facelab.visitors import Sessions
from tests.faces_of_visitors import PICTURE, make_embedding, make_face


class Clock:
    """A clock that is turned by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


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
