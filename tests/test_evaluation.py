"""Evaluation: the distances are what they are called, and the command tells a better model from a worse one."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.checkpoints import cards
from facelab.embedding_settings import PRESETS
from facelab.errors import BadSetting
from facelab.evaluation import figures, portraits
from facelab.evaluation.circle import measure_verification
from facelab.evaluation.copies import copies, nearest_distances
from facelab.evaluation.curve import measure_run
from facelab.evaluation.edits import Look, thresholds
from facelab.evaluation.embedding import Embedded, Phase, embed_portraits, summarise
from facelab.evaluation.figures import check_edits, spread
from facelab.evaluation.groups import by_group, group_masks
from facelab.evaluation.judge import ATTRIBUTES, features, load_judge
from facelab.evaluation.matrix import draw_matrix
from facelab.evaluation.metrics import (
    as_shapes,
    face_score,
    frechet_distance,
    laplacian_variance,
    mean_pairwise_distance,
)
from facelab.evaluation.portraits import FEW, Portraits, describe, describers
from facelab.evaluation.sizes import at_size
from facelab.recovery import RECOVERY_PRESETS
from facelab.studio import Studio
from facelab.training.direction_list import WANTED
from facelab.training.labels import POSE
from facelab.training.plot import curve
from facelab.training.run import write_weights

RANDOM = np.random.default_rng(0)


def test_frechet_distance_of_a_set_to_itself_is_zero_and_of_a_shifted_one_the_squared_shift():
    values = RANDOM.normal(size=(200, 5))
    assert frechet_distance(values, values) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(values, values + 2) == pytest.approx(5 * 4)


def test_frechet_distance_of_normals_is_the_known_one():
    first, second = RANDOM.normal(0, 1, (200_000, 2)), RANDOM.normal(0, 3, (200_000, 2))
    assert frechet_distance(first, second) == pytest.approx(2 * (3 - 1) ** 2, rel=0.03)


def test_too_few_vectors_are_refused():
    with pytest.raises(BadSetting, match="at least two"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))


def test_shapes_do_not_depend_on_place_and_size():
    landmarks = RANDOM.random((3, 68, 2))
    np.testing.assert_allclose(as_shapes(landmarks * 7 + 3), as_shapes(landmarks), atol=1e-9)
    assert np.abs(as_shapes(landmarks[:, ::-1]) - as_shapes(landmarks)).max() > 0.1


def test_the_face_score_is_1_for_faces_alike_and_2_for_clear_and_different_ones():
    assert face_score(np.full((100, 3), 9.0)) == pytest.approx(1)
    assert face_score(np.zeros((100, 3))) == pytest.approx(1), "a judge that cannot tell"
    clear = np.where(np.arange(100)[:, None] % 2, 20.0, -20.0)
    assert face_score(clear) == pytest.approx(2, abs=1e-6)
    assert face_score(np.hstack([clear, np.zeros((100, 1))])) == pytest.approx(1.5, abs=1e-6)
    with pytest.raises(BadSetting, match="two"):
        face_score(np.zeros((1, 3)))


def test_sharpness_is_the_variance_of_opencvs_laplacian():
    flat, dot = np.full((1, 9, 9, 3), 200, np.uint8), np.zeros((1, 9, 9, 3), np.uint8)
    dot[0, 4, 4] = 100  # its Laplacian: -400 at the dot, 100 at four neighbours, 0 at 76 others
    assert laplacian_variance(flat) == 0
    assert laplacian_variance(dot) == pytest.approx((400**2 + 4 * 100**2) / 81)
    edge = np.zeros((1, 3, 3, 3), np.uint8)
    edge[0, 0, 0] = 100  # borders are mirrored about the last pixel: the neighbours across count twice
    values = np.array([-400, 200, 0, 200, 0, 0, 0, 0, 0])
    values[1] = values[3] = 100
    assert laplacian_variance(edge) == pytest.approx(values.var())
    grey = np.zeros((1, 9, 9, 3), np.uint8)
    grey[0, 4, 4] = (0, 0, 100)  # blue counts 0.114
    assert laplacian_variance(grey) == pytest.approx((44**2 + 4 * 11**2) / 81)


def test_variety_is_the_mean_distance_of_pairs():
    assert mean_pairwise_distance(np.array([[0.0, 0], [3, 4], [0, 0]])) == pytest.approx((5 + 0 + 5) / 3)


def test_models_are_compared_at_a_size_that_all_have():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, ::2] = 100
    (smaller,) = at_size([image], 4)
    assert smaller.shape == (4, 4, 3) and (smaller == 50).all()
    with pytest.raises(BadSetting, match="smaller side"):
        at_size([image], 16)


def test_a_runs_quality_is_measured_once_a_file_and_plotted(tmp_path):
    with pytest.raises(BadSetting, match="no weight files"):
        measure_run(tmp_path, lambda file: {}, samples=9)
    (tmp_path / "weights").mkdir()
    asked = []

    def measure(file):
        asked.append(int(file.stem))
        return {"frechet": {"identity": 1 / asked[-1], "shape": 0.5, "judge": 0.2}, "found": 1.0}

    for images in (20, 10):
        (tmp_path / "weights" / f"{images:08d}.safetensors").touch()
        rows = measure_run(tmp_path, measure, samples=9)
    assert asked == [20, 10] and [row["identity"] for row in rows] == ["0.1", "0.05"]
    assert (tmp_path / "quality.csv").read_text().splitlines()[1] == "10,9,1,0.1,0.5,0.2,1.0"
    assert (tmp_path / "quality.png").stat().st_size > 1000
    assert len(measure_run(tmp_path, measure, samples=5)) == 2, "figures of fewer samples are others"
    assert len(measure_run(tmp_path, measure, samples=9, seed=2)) == 2, "so are those of another seed's faces"
    assert asked == [20, 10, 10, 20, 10, 20]


def test_of_a_long_run_every_so_many_files_are_measured_and_noise_has_no_distance(tmp_path):
    (tmp_path / "weights").mkdir()
    for images in range(10, 80, 10):
        (tmp_path / "weights" / f"{images:08d}.safetensors").touch()

    def measure(file):
        known = None if int(file.stem) < 30 else 0.1
        return {"frechet": {"identity": known, "shape": known, "judge": 0.2}, "found": 0.0}

    rows = measure_run(tmp_path, measure, samples=9, every=3)
    assert [row["images"] for row in rows] == ["10", "40", "70"]
    assert [row["identity"] for row in rows] == ["", "0.1", "0.1"] and rows[0]["judge"] == "0.2"
    assert len(curve(rows, "identity")) == 2, "what is unknown is not drawn"


def test_weights_of_a_size_from_which_a_training_grew_are_left_out(tmp_path, monkeypatch, capsys):
    (tmp_path / "weights").mkdir()
    for images, sides in ((8, (4, 8)), (16, (4, 8, 16)), (24, (4, 8, 16))):
        tensors = {f"g.synthesis.b{side}.conv1.weight": torch.zeros(1) for side in sides}
        write_weights(tmp_path / "weights" / f"{images:08d}.safetensors", tensors, images)
    found = {"frechet": {"identity": 0.1, "shape": 0.5, "judge": 0.2}, "found": 1.0}
    monkeypatch.setattr(figures, "measure_samples", lambda *told: found)
    monkeypatch.setattr(cards, "find_card", lambda name: SimpleNamespace(resolution=16))
    rows = figures.measure_weights(tmp_path, "mine16", tmp_path, 9, 1, 1, tmp_path)
    assert [row["images"] for row in rows] == ["16", "24"]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "1 of the weight files" in said and "draw 8 px, not the 16 px of mine16" in said
    monkeypatch.setattr(cards, "find_card", lambda name: SimpleNamespace(resolution=32))
    (tmp_path / "quality.csv").unlink()
    with pytest.raises(BadSetting, match=r"3 of .* draw 8 and 16 px.* Name a model"):
        figures.measure_weights(tmp_path, "mine32", tmp_path, 9, 1, 1, tmp_path)


def test_faces_without_their_details_lie_far_from_faces_by_the_judges_features():
    network, pictures = load_judge(), [picture for _, picture in Studio().sample(48, seed=5, truncation=0.8)]
    some, others = features(network, pictures[:24]), features(network, pictures[24:])
    blurred = [np.asarray(Image.fromarray(each).resize((12, 12)).resize(each.shape[:2])) for each in pictures[:24]]
    assert some.shape == (24, 160) and np.allclose(some[3:5], features(network, pictures[3:5]), atol=0.05)
    assert frechet_distance(features(network, blurred), others) > 1.5 * frechet_distance(some, others)


def test_copies_are_samples_nearer_to_a_training_face_than_unseen_people_are():
    trained = RANDOM.normal(size=(400, 8))
    unseen = RANDOM.normal(size=(400, 8))
    fresh = RANDOM.normal(size=(400, 8))
    figures = copies(np.concatenate([fresh[:300], trained[:100] + 1e-3]), unseen, trained)
    assert 0.25 <= figures["share"] <= 0.28
    assert copies(fresh, unseen, trained)["share"] < 0.04
    distances, indices = nearest_distances(trained[:50] + 1e-3, trained)
    assert (indices == np.arange(50)).all() and distances.max() < 0.01


def a_look(count):
    scores = {wanted.id: RANDOM.normal(size=count) for wanted in WANTED}
    return Look(scores, RANDOM.normal(size=(count, 128)), np.ones(count, bool))


def test_places_are_spread_over_all():
    assert spread(199, 100)[:3] == [0, 1, 3] and spread(199, 100)[-1] == 197
    assert spread(7, 3) == [0, 2, 4], "whole strides, as what is kept was measured by"
    assert spread(10, 5) == [0, 2, 4, 6, 8] and spread(3, 3) == spread(3, 9) == [0, 1, 2] and spread(0, 4) == []
    for total in range(1, 60):
        for count in range(1, 60):
            places = spread(total, count)
            assert len(set(places)) == min(total, count) and 0 == places[0] <= places[-1] < total
            if total >= 2 * count:
                assert places == list(range(0, total, total // count))[:count]


def test_groups_are_by_gender_age_and_skin_and_say_when_they_are_small():
    masks = group_masks(a_look(90))
    assert (masks["feminine"] ^ masks["masculine"]).all() and (masks["younger"] ^ masks["older"]).all()
    assert [masks[name].sum() for name in ("darker", "medium", "lighter")] == [30, 30, 30]
    embedded = [Embedded(None, {"latent": Phase(0.5, 20.0 + index, 1.0)}) for index in range(90)]
    figures = by_group(embedded, a_look(90))
    assert figures["darker"]["faces"] == 30 and not figures["darker"]["enough"]
    assert figures["darker"]["latent"]["same_person"] == 1


def test_what_lacks_an_attribute_and_what_has_it_is_decided_by_real_faces():
    real = a_look(300)
    limits = thresholds(real)
    assert limits["smile"] == (0, 0), "the judge says yes or no"
    low, high = limits["lips"]
    assert (real.scores["lips"] < low).mean() == pytest.approx(0.5, abs=0.01)
    assert (real.scores["lips"] > high).mean() == pytest.approx(1 / 3, abs=0.01)
    assert limits["age"] == (0, 0), "so does it of age"
    low, high = thresholds(replace(real, in_years=True))["age"]
    assert low == np.median(real.scores["age"]) < high, "years have no yes and no"


def test_the_entanglement_matrix_is_a_picture(tmp_path):
    changes = {"smile": 2.0, "age": -0.7}
    measured = {name: {"default": {"faces": 3, "changes": changes}} for name in changes}
    draw_matrix(measured, {"smile": "Smile", "age": "Age"}, tmp_path / "matrix.png")
    assert Image.open(tmp_path / "matrix.png").size[0] > 200


def test_portraits_are_embedded_once_and_figures_are_of_their_stages(tmp_path):
    portrait = Studio().sample(1, seed=4, truncation=0.5)[0][1]
    settings = replace(PRESETS["fast"], start="mean", steps=4, refine_steps=12)
    first = embed_portraits([portrait], model="faces128", settings=settings, folder=tmp_path)
    stages = summarise(first)
    assert {"latent", "refine"} <= set(stages)
    assert stages["refine"]["psnr_median"] > stages["latent"]["psnr_median"] > 5
    assert first[0].face.crop.shape == (512, 512, 3) and first[0].face.delta is not None
    again = embed_portraits([portrait], model="faces128", settings=settings, folder=tmp_path)
    assert again[0].stages == first[0].stages, "seconds and all: it was not done again"
    (kept,) = tmp_path.glob("embedded-*/*.npz")
    kept.write_bytes(kept.read_bytes()[:100])
    mended = embed_portraits([portrait], model="faces128", settings=settings, folder=tmp_path)
    assert mended[0].stages != first[0].stages, "but for what a kill has cut off"
    both = embed_portraits([portrait[:, ::-1], portrait], model="faces128", settings=settings, folder=tmp_path)
    assert both[1].stages == mended[0].stages, "a portrait is found again beside others"
    fewer = replace(settings, steps=3)
    for images, how in ([portrait[:, ::-1]], settings), ([portrait], fewer):
        other = embed_portraits(images, model="faces128", settings=how, folder=tmp_path)
        assert other[0].stages != first[0].stages


def test_portraits_are_embedded_into_models_of_one_latent_too(tmp_path):
    portrait = Studio("vae64").sample(1, seed=4, truncation=0.5)[0][1]
    (done,) = embed_portraits([portrait], model="vae64", settings=RECOVERY_PRESETS["encode"], folder=tmp_path)
    assert done.stages and done.face.latent.space == "z"


def test_what_dlib_saw_is_kept_for_the_same_pictures_alone(tmp_path, monkeypatch):
    looks = []

    def look(images, **_):
        looks.append(len(images))
        means = np.stack(images).mean(axis=(1, 2, 3))
        return Portraits(means[:, None].repeat(128, axis=1), np.zeros((len(images), 68, 2)), np.ones(len(images), bool))

    monkeypatch.setattr(portraits, "describe", look)
    monkeypatch.setattr(portraits, "PART", 4)
    some, others = RANDOM.integers(0, 256, (2, 6, 8, 8, 3), np.uint8)
    kept = {"cache": tmp_path, "name": "val"}
    first = portraits.describe_split(some, **kept)
    assert looks == [4, 2]
    other = portraits.describe_split(others, **kept)
    again = portraits.describe_split(list(some), **kept)
    assert looks == [4, 2, 4, 2], "another data set is looked at, the same one is not"
    (broken, *_) = sorted(tmp_path.glob("seen-val-8-00000-*.npz"))
    broken.write_bytes(broken.read_bytes()[:100])
    for pictures in (some, others):
        portraits.describe_split(pictures, **kept)
    assert looks == [4, 2, 4, 2, 4], "what a kill has cut off is looked at again"
    assert np.array_equal(again.vectors, first.vectors) and not np.array_equal(other.vectors, first.vectors)


@pytest.mark.parametrize(
    "options",
    [
        ["--samples", 2, "--copies"],
        ["--samples", 2, "--side", 64],
        ["--samples", 0, "--eyes"],
        ["--samples", 0, "--embed", 2],
        ["--circle"],
    ],
)
def test_evaluate_wants_pictures_that_no_training_saw(facelab, tmp_path, options):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    status, out, said = facelab("evaluate", "faces128", "--data", tmp_path, *options)
    assert status == 1 and not out and "labels.csv with the columns image and split" in said


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        (["--side", 64, "--copies", "--train", 9], "--train, --copies"),
        (["vae64", "--weights", "x.safetensors"], "--weights"),
        (["--side", 64, "--run", "runs"], "--run"),
        (["vae64", "--circle"], "--circle"),
        (["vae64", "--embed", 9, "--directions", "--matrix", "m.png"], "--embed"),
        (["--reconstruct", 9, "--eyes"], "--eyes"),
        (["--samples", 0, "--embed", 9, "--weights", "x.safetensors"], "--weights"),
        (["--run", "runs", "--weights", "x.safetensors"], "--weights"),
        (["--circle", "--copies"], "--copies"),
        (["--matrix", "m.png"], "--matrix"),
        (["--embed", 9, "--directions", "--method", "junk"], "--method must be one of"),
        (["--samples", 0, "--embed", 9, "--directions", "--matrix", "m.tiff"], "m.png"),
    ],
)
def test_evaluate_refuses_what_it_would_not_use(facelab, tmp_path, options, refused):
    status, out, said = facelab("evaluate", "faces128", *options, "--data", tmp_path)
    assert status == 1 and not out and refused in said and "labels.csv" not in said


def test_what_no_direction_can_be_is_refused_before_portraits_are_seen():
    known = Studio("cvae64").directions()
    with pytest.raises(BadSetting, match="no directions"):
        check_edits({}, "mine", "linear", None)
    with pytest.raises(BadSetting, match="--method gradient"):
        check_edits(known, "cvae64", "gradient", None)
    check_edits(known, "cvae64", "linear", None)


def test_verification_wants_two_portraits_of_somebody(monkeypatch):
    vectors = RANDOM.normal(size=(4, 128)).astype(np.float32)
    assert measure_verification(vectors, ["Ann", "Ben", "Eve", "Joe"]) == {"pairs": 0}
    assert measure_verification(vectors, ["Ann", "Ann", "Ann", "Joe"])["pairs"] == 6


def test_evaluate_command_looks_at_samples_and_at_the_val_split(tmp_path):
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    faces = [picture for _, picture in Studio().sample(24, seed=5, truncation=0.8)]
    for index, picture in enumerate(faces):
        Image.fromarray(picture).save(images / f"{index}.png")
    columns = ["image", "split", *POSE, *ATTRIBUTES]
    answers = ["0"] * 3 + ["1", "-1"] * 20
    names = [",".join([f"{index}.png", "val", *answers]) for index in range(len(faces))]
    (tmp_path / "data" / "labels.csv").write_text("\n".join([",".join(columns), *names]) + "\n")
    command = [sys.executable, "-m", "facelab", "evaluate", "faces128", "--data", tmp_path / "data", "--json"]
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, shelf)

    def run_with(*options):
        how = {"capture_output": True, "text": True, "cwd": Path(__file__).parents[1], "check": False}
        how["env"] = os.environ | {cards.FOLDER_VARIABLE: str(shelf)}
        return subprocess.run([*map(str, command), *options], **how)

    def figures_with(*options):
        run = run_with(*options)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    figures = figures_with("--samples", "24", "--eyes")
    assert figures["found"] > 0.9 and 0 < figures["frechet"]["identity"] < 1 and figures["frechet"]["shape"] > 0
    assert figures["frechet"]["judge"] > 0
    assert 0 <= figures["judge"]["accuracy"] <= 1 and len(figures["judge"]["attributes"]) == 40
    assert 0 < figures["reader"]["distance"] < 0.9, "the reader is nearer to dlib than strangers are to each other"

    real, model = figures_with("--samples", "16", "--side", "64", "--reconstruct", "3", "--save")["rows"]
    assert (real["name"], model["name"]) == ("real faces", "faces128") and (real["samples"], model["samples"]) == (
        24,
        16,
    )
    assert real["frechet"] is None and model["frechet"] > 0 and real["parameters"] is None
    assert model["images_per_second"] > 0
    assert model["sharpness_ratio"] == pytest.approx(model["sharpness"] / real["sharpness"], abs=1e-3)
    assert model["reconstructed"] == 3 and model["psnr"] > 12 and 0 < model["identity"] < 1.2
    kept = json.loads((shelf / cards.COMPARISON).read_text())
    assert kept["rows"] == [real, model] and kept["side"] == 64 and kept["weights"]["faces128"]
    assert str(tmp_path) not in json.dumps(kept) and "--reconstruct 3" in kept["command"]
    assert all(1 < row["face_score"] < 2 and row["sharpness"] > 100 and row["diversity"] > 0.3 for row in (real, model))

    kept["rows"][1] |= {"face_score": 1.777, "images_per_second": 1e6}
    (shelf / cards.COMPARISON).write_text(json.dumps(kept))
    again = figures_with("--samples", "16", "--side", "64", "--reconstruct", "3", "--save", "--add")
    slow = again["rows"][1].pop("images_per_second")
    assert slow < 1e5, "how fast a model draws is measured anew"
    expected = model | {"face_score": 1.777}
    assert again["rows"][1] == {name: expected[name] for name in again["rows"][1]}, "measured alike, it is not again"
    for path in cards.checkpoint_folder().glob("vae64*"):
        shutil.copy(path, shelf)
    command[command.index("faces128")] = "vae64"
    otherwise = run_with("--samples", "16", "--side", "64", "--save")
    assert otherwise.returncode == 1 and "is of --reconstruct 3" in otherwise.stderr, "one command tells of all rows"
    both = figures_with("--samples", "16", "--side", "64", "--reconstruct", "3", "--save")["rows"]
    assert [row["name"] for row in both] == ["real faces", "vae64", "faces128"], "what is saved of others stays"
    assert {name: both[2][name] for name in again["rows"][1]} == again["rows"][1]
    other = run_with("--samples", "8", "--side", "64", "--save")
    assert other.returncode == 1 and "16 samples at 64 px" in other.stderr and "delete comparison.json" in other.stderr


def test_processes_that_describe_faces_stay_while_they_are_needed():
    with describers() as outer:
        with describers() as inner:
            assert inner is outer
        faces = [picture for _, picture in Studio().sample(2, seed=5, truncation=0.5)]
        again = describe(faces * (FEW // 2 + 1))
        assert outer._processes, "it was this pool that looked"
    np.testing.assert_allclose(again.vectors[:2], describe(faces).vectors, atol=1e-5)
    with describers() as another:
        assert another is not outer
