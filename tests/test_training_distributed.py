"""Several processes, several parts and several precisions: one and the same training."""

import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from facelab.errors import BadSetting
from facelab.training.data import Pictures
from facelab.training.settings import TrainSettings
from tests.tiny_training import ROOT, SETTINGS, flatten, make_pictures, make_trainer

EXACT = replace(SETTINGS, batch=8, precision="float32", r1_interval=2, path_interval=2)
STEPS = 4
TOGETHER = """
import pathlib, sys
from dataclasses import replace
from facelab.training import distributed
from facelab.training.run import Run, train
from tests.test_training_distributed import EXACT, STEPS
from tests.tiny_training import make_pictures, make_trainer
with distributed.joined():
    trainer = make_trainer(replace(EXACT, accumulate=1))
    train(trainer, make_pictures(), Run(pathlib.Path(sys.argv[1])), steps=STEPS)
"""


def train_some(settings: TrainSettings) -> dict:
    trainer = make_trainer(settings)
    for step in range(STEPS):
        trainer.step(make_pictures().batch(step, size=settings.batch, seed=settings.seed))
    return flatten(trainer.state())


def test_two_processes_make_the_update_of_one(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = tmp_path / "together.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{TOGETHER}")
    result = subprocess.run([*command, script, tmp_path / "run"], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert result.returncode == 0, result.stderr
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    together, alone = flatten(state), train_some(replace(EXACT, accumulate=2))
    start = flatten(make_trainer(EXACT).state())
    compared = 0
    for name, value in alone.items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            torch.testing.assert_close(together[name], value, atol=2e-5, rtol=1e-3)
            compared += name in start and not torch.equal(value, start[name])
        elif name in together:
            assert together[name] == pytest.approx(value), name
    assert compared > 50  # tensors that training had moved
    assert together["augmentation.p"] > 0 and together["path_mean"] > 0


def test_shares_of_a_batch_make_the_batch():
    pictures = make_pictures()
    whole = pictures.batch(3, size=8, seed=1)
    shares = [pictures.batch(3, size=8, seed=1, share=(rank, 4)) for rank in range(4)]
    assert torch.equal(torch.cat(shares), whole)
    assert isinstance(pictures, Pictures) and len({share.sum().item() for share in shares}) == 4


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(BadSetting, match="multiple"):
        replace(SETTINGS, batch=5, accumulate=2)


def test_float16_scales_its_losses_and_learns_what_float32_learns():
    settings = replace(EXACT, precision="float16", ada_target=0.0, r1_interval=4, path_interval=4)
    trainer, exact = make_trainer(settings), make_trainer(replace(settings, precision="float32"))
    start = deepcopy(flatten(trainer.state()))
    for step in range(STEPS):
        batch = make_pictures().batch(step, size=8, seed=0)
        half, whole = trainer.step(batch), exact.step(batch)
        assert half["d_loss"] == pytest.approx(whole["d_loss"], abs=0.02)
        assert half["g_loss"] == pytest.approx(whole["g_loss"], abs=0.02)
        if "r1" in half:
            assert half["r1"] == pytest.approx(whole["r1"], rel=0.05)
            assert half["path"] == pytest.approx(whole["path"], rel=0.05)
    assert trainer.scaler.get_scale() > 1 and flatten(trainer.state())["scaler.scale"] > 1
    moved = [name for name, value in start.items() if name.startswith("generator.") and name.endswith("conv1.weight")]
    assert moved
    for name in moved:
        ours, theirs = (flatten(each.state())[name] - start[name] for each in (trainer, exact))
        assert torch.nn.functional.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.8, name


def test_overflow_in_float16_skips_the_step_and_halves_the_scale():
    trainer = make_trainer(replace(EXACT, precision="float16", ada_target=0.0))
    before, scale = deepcopy(flatten(trainer.state())), trainer.scaler.get_scale()
    trainer.step(torch.full((8, 3, 16, 16), 3e38))
    after = flatten(trainer.state())
    name = "discriminator.b8.conv0.weight"
    assert torch.equal(before[name], after[name]) and trainer.scaler.get_scale() == scale / 2
