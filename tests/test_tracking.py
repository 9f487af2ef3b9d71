"""Faces followed through a clip: all of them, also when they go and come back."""

import numpy as np
import pytest
from footage import ground, with_face

from facelab.page.examples import load_examples
from facelab.tracking import CHECK_EVERY, follow_faces


@pytest.fixture(scope="module")
def pictures(finder):
    """Two faces that a detector finds: examples, which have the same pixels on every processor."""
    found = [each.picture for each in load_examples().values() if finder.find_aligned(each.picture) is not None]
    assert len(found) > 1, "no detector finds two of the examples"
    return found[:2]


def tracks_of(finder, frames, **options):
    *_, last = follow_faces(finder, frames, **options)
    return last


def test_a_face_that_goes_and_comes_back_elsewhere_is_one_track_with_a_gap(finder, pictures):
    left, gone, right = [with_face(pictures[0], 5, 40)] * 6, [ground()] * 6, [with_face(pictures[0], 175, 60)] * 12
    frames = [*left, *gone, *right]
    [track] = tracks_of(finder, frames, same_person=lambda first, second: True)
    assert track.present[:6].all() and not track.present[6:12].any(), "missed on the very frame"
    assert track.present[12 + CHECK_EVERY :].all(), "and found again soon"
    assert len(tracks_of(finder, frames)) == 2, "strangers are not joined"


def test_all_faces_are_found_the_larger_first(finder, pictures):
    frames = []
    for number in range(6):
        frame = with_face(pictures[0], 10 + number, 60, 150).copy()
        frame[40:260, 170:390] = with_face(pictures[1], 170, 40)[40:260, 170:390]
        frames.append(frame)
    tracks = tracks_of(finder, frames)
    sides = [np.hypot(*(track.quads[0, 3] - track.quads[0, 0])) for track in tracks]
    assert len(tracks) == 2 and sides[0] > 1.2 * sides[1]
    assert all(track.present.all() and track.crop.shape == (512, 512, 3) for track in tracks)
    assert tracks[0].quads[:, :, 0].mean() > 200 > tracks[1].quads[:, :, 0].mean()


def test_a_cut_begins_another_scene(finder, pictures):
    first = [with_face(pictures[0], 20, 40)] * 4
    second = [255 - (255 - with_face(pictures[0], 150, 60)) // 3] * 4
    tracks = tracks_of(finder, first + second, same_person=lambda first, second: True)
    assert tracks[0].scenes.tolist() == [0] * 4 + [1] * 4
    assert tracks[0].present[:4].all() and tracks[0].smoothed(3).quads[3] == pytest.approx(tracks[0].quads[0], abs=2)
