"""Faces followed through a clip: all of them, also when they go and come back."""

import numpy as np
import pytest
from footage import ground, with_face

from facelab.detection import FoundFace
from facelab.page.examples import load_examples
from facelab.template import TEMPLATE_LANDMARKS
from facelab.tracking import CHECK_EVERY, MAX_FOLLOWED, follow_faces


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


class Parade:
    """A finder that sees one face after the other, each for a while at a place of its own; a frame is its number."""

    def __init__(self, count, frames):
        self.landmarks = [TEMPLATE_LANDMARKS * 40 + (50 * place, 0) for place in range(count)]
        self.frames = frames

    def _there(self, frame):
        return self.landmarks[int(frame[0, 0, 0]) // self.frames]

    def find(self, frame, *, detectors):
        points = self._there(frame)
        return [FoundFace(np.concatenate([points.min(axis=0), points.max(axis=0)]), points, "dlib")]

    def landmarks68(self, frame, box, roll):
        return min(self.landmarks, key=lambda points: np.abs(points.mean(axis=0) - (box[:2] + box[2:]) / 2).sum())

    def sees(self, frame, box, roll, *, patient):
        return self.landmarks68(frame, box, roll) is self._there(frame)


def test_whoever_comes_late_is_followed_however_many_were_there_before():
    count, frames = MAX_FOLLOWED + 2, 8
    clip = (np.full((40, 50 * count, 3), number, np.uint8) for number in range(count * frames))
    tracks = tracks_of(Parade(count, frames), clip)
    assert [int(track.present.sum()) for track in tracks] == [frames] * count
