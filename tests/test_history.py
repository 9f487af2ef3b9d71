"""History: every state of a face has a name, none is lost, and an edit is a step on the latent."""

from __future__ import annotations

import numpy as np
import torch

from facelab.face import Face, Latent
from facelab.history import MAX_VERSIONS, History, Result, Version

PICTURE = np.zeros((8, 8, 3), np.uint8)
SMILE = {"op": "attribute", "id": "smile", "strength": 1.5}


def make_face(value: float = 0.0, *, crop: bool = False) -> Face:
    return Face(Latent(torch.full((2, 4), value), "w+", "test"), crop=PICTURE if crop else None)


def make_version(number: int) -> Version:
    return Version(f"Edit {number}", ({**SMILE, "strength": number},), make_face(number), PICTURE)


def test_undo_and_redo_walk_through_named_versions() -> None:
    history = History.begin(make_face(), PICTURE)
    history.record(make_version(1))
    history.record(make_version(2))
    assert [each.title for each in history.versions] == ["Original", "Edit 1", "Edit 2"]
    assert history.go(history.at - 1).title == "Edit 1" and history.go(history.at - 1).title == "Original"
    assert history.go(history.at - 1).title == "Original", "nothing lies before the original"
    assert history.go(history.at + 1).title == "Edit 1" and history.go(99).title == "Edit 2"
    assert history.recipe.steps == ({**SMILE, "strength": 2},)


def test_an_edit_after_undo_forgets_what_was_undone() -> None:
    history = History.begin(make_face(), PICTURE)
    history.record(make_version(1))
    history.record(make_version(2))
    history.go(history.at - 1)
    history.record(make_version(3))
    assert [each.title for each in history.versions] == ["Original", "Edit 1", "Edit 3"]


def test_a_long_history_keeps_the_original() -> None:
    history = History.begin(base := make_face(), PICTURE)
    for number in range(MAX_VERSIONS + 20):
        history.record(make_version(number))
    assert len(history.versions) == MAX_VERSIONS and history.base is base
    assert history.now.title == f"Edit {MAX_VERSIONS + 19}"


def test_a_result_goes_on_from_its_source_and_leaves_it_alone() -> None:
    source = History.begin(make_face(crop=True), PICTURE)
    source.record(Version("Smile +1.5", (SMILE,), make_face(1, crop=True), PICTURE))
    style, step = make_face(2), {"op": "crossover", "with": "Ben", "strength": 1.0}
    result = Result("Ann", "Style of Ben", make_face(3, crop=True), source, step, {"Ben": style})
    history = result.history(PICTURE)
    assert [each.title for each in history.versions] == ["Original", "Smile +1.5", "Style of Ben"]
    assert history.now.steps == (SMILE, step) and history.now.others["Ben"] is style
    assert len(source.versions) == 2 and result.before is source.base


def test_a_face_that_no_photo_is_left_of_is_compared_with_nothing() -> None:
    source = History.begin(make_face(crop=True), PICTURE)
    morph = Result("Both", "Morph", make_face(1), source, {"op": "morph", "with": "Ben", "t": 0.5})
    assert morph.before is None


def test_a_name_that_means_another_face_by_now_is_told_apart() -> None:
    source = History.begin(make_face(), PICTURE)
    one, other, third = make_face(1), make_face(2), make_face(3)
    step = {"op": "average", "with": ["Ben", "Cleo"], "weights": [1, 1, 2]}
    first = Result("Ann", "Average", make_face(4), source, step, {"Ben": one, "Cleo": third}).history(PICTURE)
    step = {"op": "mix", "face": "A", "faces": {"B": "Ben", "C": "Cleo"}, "expression": "A + B - C"}
    second = Result("Ann", "A + B - C", make_face(5), first, step, {"Ben": other, "Cleo": third}).history(PICTURE)
    assert second.now.steps[0]["with"] == ["Ben", "Cleo"] and second.now.steps[0]["weights"] == [1, 1, 2]
    assert second.now.steps[1]["faces"] == {"B": "Ben (2)", "C": "Cleo"}
    assert second.now.steps[1]["expression"] == "A + B - C"
    assert second.now.others == {"Ben": one, "Cleo": third, "Ben (2)": other}


def test_edits_are_moved_onto_a_better_original() -> None:
    history = History.begin(make_face(), PICTURE)
    history.record(make_version(1))
    history.record(make_version(2))
    history.go(history.at - 1)

    def redo(version: Version) -> tuple[Face, np.ndarray]:
        return make_face(10 + version.steps[0]["strength"]), PICTURE + 2

    moved = history.rebase(make_face(10), PICTURE + 1, redo)
    assert [each.title for each in moved.versions] == ["Original", "Edit 1", "Edit 2"] and moved.at == 1
    assert [each.face.latent.values.max().item() for each in moved.versions] == [10, 11, 12]
    assert [each.picture.max() for each in moved.versions] == [1, 2, 2]
    assert history.base.latent.values.max() == 0, "the old history is left alone"


def test_a_result_is_made_again_of_a_better_source() -> None:
    source = History.begin(make_face(), PICTURE)
    source.record(make_version(1))
    better = source.rebase(make_face(10), PICTURE, lambda version: (make_face(11), PICTURE))
    seen: list[Version] = []

    def redo(version: Version) -> tuple[Face, np.ndarray]:
        seen.append(version)
        return make_face(12), PICTURE

    step, ben = {"op": "morph", "with": "Ben", "t": 0.5}, make_face(5)
    morph = Result("Both", "Morph", make_face(3), source, step, {"Ben": ben}).rebase(better, redo)
    assert morph.face.latent.values.max() == 12 and morph.source is source
    assert seen[0].steps == (*source.now.steps, step) and seen[0].others["Ben"] is ben
    assert Result("Ann", "Edit 1", make_face(1), source).rebase(better, redo).face is better.now.face
    assert len(seen) == 1 and len(source.versions) == 2
