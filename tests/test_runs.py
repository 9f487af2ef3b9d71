"""Trainings of one model beside each other."""

import json

import numpy as np
import pytest
import torch

from facelab.checkpoints import cards
from facelab.errors import BadSetting
from facelab.evaluation.judge import load_judge
from facelab.evaluation.measured import keep, load_measured
from facelab.evaluation.papers.report import read_page
from facelab.evaluation.portraits import describe
from facelab.evaluation.runs import measure_training, newest
from facelab.generators.vae import VAE
from facelab.pixels import as_images
from facelab.training.run import write_weights
from tests.tiny_models import put_models


def put_run(folder, *, family="vaegan", images=(64, 128), **settings):
    (folder / "weights").mkdir(parents=True)
    for count in images:
        write_weights(folder / "weights" / f"{count:08d}.safetensors", {"g.x": torch.zeros(1)}, count)
    (folder / "settings.json").write_text(json.dumps({"family": family, "batch": 8, **settings}))
    return folder


def test_runs_are_told_apart_by_the_settings_in_which_they_differ(tmp_path):
    one, other = put_run(tmp_path / "one", gamma=15.0), put_run(tmp_path / "other", gamma=1.5, images=(64, 96))
    told = newest([one, other])
    assert [dict(each.settings) for each in told] == [{"gamma": 15.0}, {"gamma": 1.5}]
    assert [each.images for each in told] == [128, 96] and told[1].weights.name == "00000096.safetensors"
    with pytest.raises(BadSetting, match="no weight files"):
        newest([one, put_run(tmp_path / "empty", images=())])
    with pytest.raises(BadSetting, match="no weight files"):
        newest([one, tmp_path / "typo"])
    assert not (tmp_path / "typo").exists(), "reading makes no folder"
    with pytest.raises(BadSetting, match="different families"):
        newest([one, put_run(tmp_path / "else", family="dcgan")])


def test_a_trainings_faces_are_measured_and_its_way_there_and_back(tmp_path):
    torch.manual_seed(0)
    generator = VAE(16, z_dim=8, channels=4).eval().requires_grad_(False)
    photos = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    (training, _) = newest([put_run(tmp_path / "one", gamma=15.0), put_run(tmp_path / "other", gamma=1.5)])
    real = describe(list(photos))
    row = measure_training(training, generator, load_judge(), real=real, photos=photos, count=4, seed=1)
    assert row["gamma"] == 15.0 and row["images"] == 128 and row["sharpness"] > 0 and 1 <= row["face_score"] <= 2
    images = as_images(photos)
    assert images.shape == (5, 3, 16, 16) and images.min() >= -1 and images.max() <= 1
    with torch.inference_mode():
        errors = (generator.synthesize(generator.encode(images)).clamp(-1, 1) - images).square().mean(dim=(1, 2, 3))
    assert row["psnr"] == pytest.approx(float((10 * (4 / errors).log10()).median()), abs=0.01)


def test_kept_trainings_stand_in_the_papers(tmp_path, monkeypatch):
    put_models(tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    cards._catalogue.cache_clear()
    assert "| Gamma |" not in read_page(tmp_path)[0]
    rows = [{"gamma": gamma, "images": 9, "sharpness": 2000.5, "psnr": None} for gamma in (15.0, 1.5)]
    keep("runs", "tinyvaegan", {"rows": rows}, command="evaluate tinyvaegan --run RUN --run RUN")
    assert load_measured("runs", "tinyvaegan").figures["rows"] == rows
    text, _ = read_page(tmp_path)
    assert "| Gamma | Pictures | Sharpness | Reconstruction |" in text and "| 1.5 | 9 | 2,000.5 | – |" in text
