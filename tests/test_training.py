"""Training: what is resumed is what would have been, and the losses are what they say."""

import signal
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from facelab.errors import BadSetting, BadWeights
from facelab.identity import FaceReader
from facelab.training.augmentation import AdaptiveAugmentation, augment
from facelab.training.eyes import Eyes
from facelab.training.losses import path_lengths, r1_penalty
from facelab.training.plot import plot_losses
from facelab.training.run import Run, images_seen, train, write_weights
from facelab.training.settings import RunSettings, TrainSettings
from facelab.training.stylegan2 import make_trainer as stylegan2_trainer
from tests.tiny_training import ROOT, SETTINGS, assert_same, flatten, make_pictures, make_trainer

KILLED_RUN = """
import sys, pathlib
from tests.tiny_training import make_trainer, make_pictures
from facelab.training.run import Run, train
trainer, run = make_trainer(), Run(pathlib.Path(sys.argv[1]))
train(trainer, make_pictures(), run, steps=10)
def report(trainer, numbers):
    print(trainer.steps, flush=True)
train(trainer, make_pictures(), run, steps=1000, report=report)
"""


@pytest.fixture(autouse=True)
def threads():
    before, handlers = torch.get_num_threads(), [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    torch.set_num_threads(before)
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == handlers, "whoever trained in a notebook can still press Ctrl-C"


def test_a_killed_run_resumes_bit_for_bit(tmp_path):
    whole = make_trainer()
    train(whole, make_pictures(), Run(tmp_path / "whole"), steps=20)

    command = [sys.executable, "-c", KILLED_RUN, str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    while int(process.stdout.readline()) < 13:  # three steps beyond the checkpoint
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()

    resumed, run = make_trainer(), Run(tmp_path / "killed")
    seconds = run.resume(resumed)
    assert resumed.steps == 10
    train(resumed, make_pictures(), run, seconds=seconds, steps=10)
    assert_same(whole.state(), resumed.state())
    assert whole.augmentation.p > 0  # or augmentation was not part of the test


def test_a_training_goes_on_from_a_runs_own_weights(tmp_path):
    shipped = stylegan2_trainer(TrainSettings(start="faces128", eyes_weight=1.0))
    changed = ("g.mapping.fc0.bias", "e.heads.0.4.bias")
    run = {name: value + 1 if name in changed else value for name, value in shipped.weights().items()}
    write_weights(tmp_path / "run.safetensors", run, 12_345)
    start = {"start": "faces128", "start_weights": str(tmp_path / "run.safetensors")}
    again = stylegan2_trainer(TrainSettings(**start, eyes_weight=1.0))
    assert again.images == 12_345
    assert again.eyes.heads[0][4].bias - shipped.eyes.heads[0][4].bias > 0.9, "the second discriminator goes on as well"
    assert stylegan2_trainer(TrainSettings(**start)).eyes is None
    moved = again.generator.mapping.fc0.bias - shipped.generator.mapping.fc0.bias
    assert torch.allclose(moved, torch.ones_like(moved), atol=1e-2), "the run's weights, not the shipped ones"
    with pytest.raises(BadSetting, match="--start"):
        TrainSettings(start_weights="run.safetensors")
    with pytest.raises(BadSetting, match="train began"):
        stylegan2_trainer(TrainSettings(start="began64"))
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadWeights):
        images_seen(tmp_path / "broken.safetensors")


def test_a_resumed_stylegan2_learns_at_the_rate_that_it_is_given():
    before = make_trainer(eyes=Eyes(FaceReader()))
    resumed = make_trainer(replace(SETTINGS, learning_rate=0.0005), eyes=Eyes(FaceReader()))
    resumed.load_state(before.state())
    lazy = 0.0005 * 4 / 5
    for optimizer, rate in (("generator", lazy), ("discriminator", lazy), ("eyes", 0.0005)):
        (group,) = getattr(resumed, f"{optimizer}_optimizer").param_groups
        assert group["full_lr"] == pytest.approx(rate), optimizer


def test_training_moves_both_networks_and_the_average_follows():
    trainer = make_trainer()
    before = deepcopy(flatten(trainer.state()))
    for step in range(3):
        numbers = trainer.step(make_pictures().batch(step, size=4, seed=0))
    assert all(np.isfinite(value) for value in numbers.values())
    after = flatten(trainer.state())
    for name in ("generator.synthesis.b8.conv0.weight", "discriminator.b8.conv0.weight", "average.synthesis.b4.const"):
        assert not torch.equal(before[name], after[name]), name
    assert trainer.images == 12


def test_what_a_run_without_a_checkpoint_leaves_is_not_mixed_into_the_next(tmp_path):
    run = Run(tmp_path)
    run.log({"step": 16, "images": 64, "seconds": 1.0}, ())
    run.refuse_another()
    train(make_trainer(), make_pictures(), run, seconds=run.begin(make_trainer()), steps=16)
    assert len(run.read_table()) == 1, "its rows do not stand before those of the new one"
    with pytest.raises(BadSetting, match="--resume"):
        run.refuse_another()
    run.checkpoint.unlink()
    with pytest.raises(BadSetting, match="holds sheets and weights of a run without a checkpoint"):
        run.refuse_another()


def test_weights_that_the_checkpoint_has_not_come_to_are_left_out(tmp_path):
    run = Run(tmp_path)
    train(make_trainer(), make_pictures(), run, steps=2)
    write_weights(run.folder / "weights" / "00000012.safetensors", {"g.x": torch.zeros(1)}, 12)
    assert [path.stem for path in run.weight_files()] == ["00000008"]
    run.checkpoint.unlink()
    assert [path.stem for path in run.weight_files()] == ["00000008", "00000012"]
    run.checkpoint.write_bytes(b"no checkpoint")
    with pytest.raises(BadWeights, match="damaged"):
        run.weight_files()


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text('{"batch": 4')])
def test_without_its_settings_a_run_goes_on_with_those_in_its_checkpoint(tmp_path, spoil):
    run = Run(tmp_path)
    train(make_trainer(), make_pictures(), run, steps=1)
    told = run.read_settings()
    assert told["family"] == "stylegan2" and told["r1_interval"] == SETTINGS.r1_interval
    spoil(run.settings)
    assert run.read_settings() == told
    run.checkpoint.unlink()
    assert run.read_settings() == {}


def test_sigterm_saves_the_step_under_way(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    while int(process.stdout.readline()) < 12:
        pass
    process.terminate()
    rest = process.communicate(timeout=60)[0].split()
    assert process.returncode == 0
    trainer = make_trainer()
    Run(tmp_path).resume(trainer)
    assert trainer.steps >= 12 and (not rest or trainer.steps == int(rest[-1]))
    assert any((tmp_path / "weights").iterdir()) and any((tmp_path / "sheets").iterdir())


def test_r1_is_half_the_squared_gradient():
    weight = torch.randn(1, 3 * 4 * 4)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(48, 1))
    critic[1].weight.data = weight
    real = torch.randn(5, 3, 4, 4, requires_grad=True)
    torch.testing.assert_close(r1_penalty(critic(real), real), weight.square().sum() / 2)


def test_path_length_of_a_linear_generator_is_the_norm_of_its_projected_rows():
    matrix = torch.randn(3 * 4 * 4, 6)
    ws = torch.randn(2, 1, 6, requires_grad=True)
    noise = torch.randn(2, 3, 4, 4)
    images = (ws[:, 0] @ matrix.t()).reshape(2, 3, 4, 4)
    expected = (noise.flatten(1) @ matrix).norm(dim=1) / 4
    torch.testing.assert_close(path_lengths(images, ws, noise), expected)


def test_augmentation_with_probability_0_changes_nothing_and_has_gradients_at_1():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(augment(images, 0.0), images, atol=1e-5, rtol=0)
    images.requires_grad_(True)
    augmented = augment(images, 1.0)
    assert (augmented - images).abs().mean() > 0.1
    augmented.sum().backward()
    assert torch.isfinite(images.grad).all() and images.grad.abs().sum() > 0


def test_controller_raises_p_when_the_discriminator_is_sure_and_lowers_it_again():
    controller = AdaptiveAugmentation(target=0.6, images=1000)
    for logit, direction in ((1.0, 1), (-1.0, -1)):
        before = controller.p
        for _ in range(8):
            controller.observe(logit)
            controller.update(4)
        assert (controller.p - before) * direction > 0


def test_train_command_makes_a_run_refuses_to_overwrite_it_and_resumes_it_with_its_own_settings(tmp_path):
    data = tmp_path / "pictures"
    data.mkdir()
    for index in range(4):
        Image.new("RGB", (16, 16), (60 * index,) * 3).save(data / f"{index}.png")
    options = ["--data", data, "--out", tmp_path / "run"]
    command = [sys.executable, "-m", "facelab", "train", "stylegan2", *map(str, options)]

    def run(*more: str) -> subprocess.CompletedProcess:
        return subprocess.run([*command, *more], capture_output=True, text=True, cwd=ROOT)

    first = run("--resolution", "16", "--images", "8", "--batch", "4", "--path-interval", "0", "--r1-interval", "1")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == str(tmp_path / "run" / "checkpoint.pt") and (tmp_path / "run/checkpoint.pt").exists()
    again = run()
    assert again.returncode == 1 and "--resume" in again.stderr and len(again.stderr.splitlines()) == 1
    resumed = run("--resume", "--images", "12")
    assert resumed.returncode == 0, resumed.stderr
    settings = Run(tmp_path / "run").read_settings()
    kept = {"resolution": 16, "batch": 4, "path_interval": 0, "r1_interval": 1}
    assert kept.items() <= settings.items() and settings["images"] == 12
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["images"] == 12


def test_an_unknown_family_is_one_line_that_names_it():
    command = [sys.executable, "-m", "facelab", "train", "nonsense", "--data", ".", "--out", "x"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 2 and "nonsense" in result.stderr and len(result.stderr.splitlines()) == 1


def test_data_that_are_not_there_leave_no_folder(facelab, tmp_path):
    status, _, said = facelab("train", "vae", "--data", tmp_path / "nope", "--out", tmp_path / "run")
    assert status == 1 and "nope" in said and not (tmp_path / "run").exists()


def test_another_family_plugs_into_the_run(tmp_path):
    class Counter:
        """The smallest trainer that keeps the protocol."""

        columns = ("sum",)

        def __init__(self) -> None:
            self.settings, self.steps, self.images, self.sum = RunSettings(resolution=16, batch=4), 0, 0, 0.0

        def step(self, batch):
            self.steps, self.images, self.sum = self.steps + 1, self.images + 4, self.sum + batch.mean().item()
            return {"sum": self.sum}

        def state(self):
            return {"steps": self.steps, "images": self.images, "sum": self.sum}

        def load_state(self, state):
            self.steps, self.images, self.sum = state["steps"], state["images"], state["sum"]

        def sheet(self):
            return None

        def weights(self):
            return None

    whole, resumed, run = Counter(), Counter(), Run(tmp_path / "parts")
    train(whole, make_pictures(), Run(tmp_path / "whole"), steps=40)
    train(Counter(), make_pictures(), run, steps=20)
    train(resumed, make_pictures(), run, seconds=run.resume(resumed), steps=20)
    assert resumed.state() == whole.state()
    assert [row["step"] for row in run.read_table()] == ["16", "32"]
    assert Image.open(run.plot).size == (1200, 260)  # one row of panels
    assert float(run.read_table()[1]["sum"]) == pytest.approx(float(Run(tmp_path / "whole").read_table()[1]["sum"]))


def test_every_step_tells_the_layers_that_their_weights_changed():
    trainer = make_trainer()
    weight = trainer.discriminator.b8.conv0.weight
    before = weight._version, weight.detach().clone()
    trainer.step(make_pictures().batch(0, size=4, seed=0))
    assert not torch.equal(weight, before[1]) and weight._version > before[0]


def test_the_plot_has_a_panel_for_each_column_with_numbers(tmp_path):
    rows = [{"images": str(n), "loss": str(1 / (n + 1)), "rare": "" if n % 4 else "2", "never": ""} for n in range(40)]
    rows += [{"images": "40", "loss": "nan"}]
    plot_losses(rows, ("loss", "rare", "never"), tmp_path / "losses.png")
    pixels = np.asarray(Image.open(tmp_path / "losses.png").convert("RGB")).astype(int)
    blue = pixels[..., 2] - pixels[..., 0] > 60  # the curves' colour
    assert blue[:, :400].any() and blue[:, 440:800].any()
    assert pixels[:, 825:].min() == 255  # no empty panel
    plot_losses(rows, ("never",), tmp_path / "nothing.png")
    assert not (tmp_path / "nothing.png").exists()
