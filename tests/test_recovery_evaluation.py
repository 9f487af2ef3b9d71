"""The figures of recovery, and the claim about averaging three latents."""

import json

import numpy as np
import pytest
import torch

from facelab.checkpoints import cards
from facelab.checkpoints.weights import load_model
from facelab.evaluation.recovery import combine_draws, recover_drawn, summarise_recovery
from facelab.recovery import RecoverySettings
from tests.tiny_models import put_models


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    put_models(tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_search_ends_at_its_goal():
    generator = load_model("tinyvae")[0]
    settings = RecoverySettings(steps=200, restarts=4, learning_rate=0.1, goal=30.0, preview_every=0)
    found = recover_drawn(generator, 3, settings)
    assert all(psnr >= 29.5 and 1 < steps < 200 for psnr, steps in found)
    never = recover_drawn(generator, 1, RecoverySettings(steps=3, restarts=1, goal=99.0, preview_every=0))
    assert never[0][1] == 3
    figures = summarise_recovery([(31.0, 10), (29.0, 1000), (35.0, 20)])
    assert figures == {"targets": 3, "recovered": 0.6667, "psnr_median": 31.0, "psnr_worst": 29.0, "steps_median": 20}


@pytest.mark.parametrize("name", ["tinydcgan", "tinyprogan", "tinycvae"])
def test_operands_are_means_of_draws_that_look_alike(name):
    generator = load_model(name)[0]
    single, mean = (combine_draws(generator, 4, operands, seed=1) for operands in (1, 3))
    pool = generator.sample(512, seed=1)[:, 0]
    dims = generator.sphere_dims
    total = pool[0] + pool[4]
    if dims:
        unit = total[:dims] / total[:dims].norm()
        torch.testing.assert_close(single[0, :dims] / single[0, :dims].norm(), unit)
        lengths = pool[:, :dims].norm(dim=1)
        assert mean[:, :dims].norm(dim=1).min() > 0.5 * lengths.min(), "means of three are not shorter than draws"
    torch.testing.assert_close(single[0, dims:], (total / 2)[dims:])
    assert mean.shape == single.shape and not torch.allclose(mean, single)


def test_the_command_prints_its_budget(facelab):
    status, out, said = facelab("recovery", "tinyvae", "--targets", 2, "--steps", 30, "--restarts", 2, "--json")
    assert status == 0, said
    figures = json.loads(out)
    assert (figures["restarts"], figures["steps"], figures["goal"]) == (2, 30, 30.0)
    assert figures["targets"] == 2 and 0 <= figures["recovered"] <= 1 and np.isfinite(figures["psnr_median"])


def test_a_recovery_may_begin_at_the_encoder_and_only_where_there_is_one(facelab, tmp_path, monkeypatch):
    budget = ["--targets", 2, "--steps", 1, "--restarts", 1, "--json"]
    figures = {}
    monkeypatch.delenv(cards.FOLDER_VARIABLE)  # those that ship have learned something
    for start in ("random", "encoder"):
        status, out, said = facelab("recovery", "vae64", *budget, "--start", start)
        assert status == 0, said
        figures[start] = json.loads(out)
        assert figures[start]["start"] == start
    assert figures["encoder"]["psnr_median"] > figures["random"]["psnr_median"] + 3
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    status, _, said = facelab("recovery", "tinydcgan", *budget, "--start", "encoder")
    assert status == 1 and "no encoder" in said
