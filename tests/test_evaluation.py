"""Evaluation: the distances are what they are called, and the command tells a better model from a worse one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelab.errors import BadSetting
from facelab.evaluation.metrics import as_shapes, frechet_distance
from facelab.studio import Studio

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


def test_evaluate_command_looks_at_samples_and_at_the_val_split(tmp_path):
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    faces = [picture for _, picture in Studio().sample(24, seed=5, truncation=0.8)]
    for index, picture in enumerate(faces):
        Image.fromarray(picture).save(images / f"{index}.png")
    names = [f"{index}.png,val" for index in range(len(faces))]
    (tmp_path / "data" / "labels.csv").write_text("\n".join(["image,split", *names]) + "\n")
    command = [sys.executable, "-m", "facelab", "evaluate", "faces128", "--data", tmp_path / "data", "--samples", "24"]
    run = subprocess.run(
        [*map(str, command), "--json"], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False
    )
    assert run.returncode == 0, run.stderr
    figures = json.loads(run.stdout)
    assert figures["found"] > 0.9 and 0 < figures["frechet"]["identity"] < 1 and figures["frechet"]["shape"] > 0
