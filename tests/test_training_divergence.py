"""A training that diverges ends with a word of advice, and leaves what was good."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from facelab.errors import BadSetting, BadWeights
from facelab.training import stylegan2
from facelab.training.losses import path_lengths
from facelab.training.run import Run, train
from tests.tiny_training import SETTINGS, assert_same, flatten, make_pictures, make_trainer


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def spoil(trainer, numbers):
    """What a step that diverges leaves in a network."""
    with torch.no_grad():
        trainer.generator.synthesis.b8.conv0.weight[0] = math.nan


def test_a_diverged_training_keeps_the_good_checkpoint_and_goes_on_from_it_at_a_lower_rate(tmp_path):
    run, good = Run(tmp_path), make_trainer()
    train(good, make_pictures(), run, steps=2)
    state, (weights,) = copy.deepcopy(good.state()), run.weight_files()
    with pytest.raises(BadSetting, match=r"diverged: after 12 .* checkpoint of 8 .*--resume .*rate below 0\.002\.$"):
        train(good, make_pictures(), run, steps=1, report=spoil)
    assert list((tmp_path / "weights").iterdir()) == [weights], "no weights of it either"
    resumed = make_trainer(replace(SETTINGS, learning_rate=0.001))
    run.resume(resumed)
    assert_same(state["generator"], resumed.state()["generator"])
    train(resumed, make_pictures(), run, steps=1)
    assert torch.load(run.checkpoint, weights_only=True)["images"] == 12


def test_a_diverged_training_is_noticed_by_its_losses_long_before_the_next_checkpoint(tmp_path):
    trainer, run = make_trainer(), Run(tmp_path)
    with pytest.raises(BadSetting, match=r"after 64 .*no checkpoint yet: start anew"):
        train(trainer, make_pictures(), run, steps=100, report=spoil)
    assert trainer.steps == 16 and not run.checkpoint.exists() and not run.table.exists()


def test_a_loss_that_overflowed_is_no_divergence(tmp_path):
    trainer, run = make_trainer(), Run(tmp_path)
    step = trainer.step
    trainer.step = lambda batch: step(batch) | {"g_loss": math.inf}  # as beside a step that float16 skipped
    train(trainer, make_pictures(), run, steps=16)
    (row,) = run.read_table()
    assert row["g_loss"] == "inf" and run.checkpoint.exists()


def test_a_checkpoint_of_a_diverged_training_is_refused(tmp_path):
    trainer, run = make_trainer(), Run(tmp_path)
    train(trainer, make_pictures(), run, steps=1)
    spoil(trainer, {})
    torch.save({**trainer.state(), "seconds": 1.0}, run.checkpoint)  # as older versions did
    with pytest.raises(BadWeights, match="diverged; start a new run"):
        run.resume(make_trainer())


def test_path_lengths_that_overflow_skip_a_step_and_spare_their_mean(monkeypatch):
    trainer = make_trainer(replace(SETTINGS, precision="float16", path_interval=1, r1_interval=0, ada_target=0.0))
    trainer.step(make_pictures().batch(0, size=4, seed=0))
    before = copy.deepcopy(flatten(trainer.state()))
    assert before["path_mean"] > 0
    with monkeypatch.context() as patch:
        patch.setattr(stylegan2, "path_lengths", lambda *given: path_lengths(*given) * math.inf)
        trainer.step(make_pictures().batch(1, size=4, seed=0))
    after = copy.deepcopy(flatten(trainer.state()))
    assert after["path_mean"] == before["path_mean"] and after["scaler.scale"] < before["scaler.scale"]
    name = "generator.synthesis.b8.conv0.weight"
    assert torch.equal(before[name], after[name])
    numbers = trainer.step(make_pictures().batch(2, size=4, seed=0))
    assert math.isfinite(numbers["path"]) and not torch.equal(flatten(trainer.state())[name], after[name])
