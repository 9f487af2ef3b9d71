"""Models beside each other: what is measured is shown, what is missing says why, and the report holds all of it."""

import csv
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.checkpoints import cards
from facelab.comparing import MAP_TRUNCATION
from facelab.errors import BadSetting, BadWeights, UnknownModel
from facelab.evaluation.comparison import REAL, Comparison, Row, load_comparison, with_ratios
from facelab.evaluation.inception import inception_score, score_of_logits
from facelab.evaluation.reconstruction import reconstruct
from facelab.evaluation.report import Report, write_report
from facelab.evaluation.table import FIGURES, best_of, build_table, in_words, markdown
from facelab.studio import Studio
from tests.tiny_models import put_models

MODELS = ["tinyvae", "tinydcgan"]
BY_KEY = {figure.key: figure for figure in FIGURES}


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The shipped model and tiny ones of each family, one with a table of losses."""
    folder, threads = tmp_path / "shelf", torch.get_num_threads()
    folder.mkdir()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_models(folder)
    with (folder / "tinyvae-losses.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["step", "images", "seconds", "reconstruction", "kl"])
        writer.writerows([[step, 32 * step, step, 1 / (step + 1), 0.1 * step] for step in range(20)])
    values = json.loads((folder / "tinyvae.json").read_text())
    values["training"] = {"images": 640, "hours": 0.25, "losses": "tinyvae-losses.csv"}
    (folder / "tinyvae.json").write_text(json.dumps(values))
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)


def a_comparison(**more):
    rows = [
        Row(REAL, 9, face_score=1.5, sharpness=1000.0),
        Row("tinyvae", 20, face_score=1.2, sharpness=250.0, frechet=0.3),
    ]
    weights = {"tinyvae": cards.find_card("tinyvae").sha256}
    said = {"command": "python -m facelab evaluate tinyvae --save", "machine": "a machine", "weights": weights}
    return Comparison(samples=20, side=16, seed=1, rows=tuple(with_ratios(rows, rows[0])), **(said | more))


def cell(lines, key, place=0):
    return next(line for line in lines if line.figure.key == key).cells[place]


def test_what_was_saved_is_shown_and_the_catalogue_takes_it_for_no_model(shelf):
    a_comparison().save()
    assert set(MODELS) <= set(cards.catalogue()) and "comparison" not in cards.catalogue()
    assert load_comparison() == a_comparison()
    lines = Studio("tinyvae").compare(MODELS)
    assert cell(lines, "frechet").value == 0.3 and cell(lines, "sharpness_ratio").value == 0.25
    assert cell(lines, "frechet", 1).value is None
    why = {line.figure.key: line.why for line in lines}
    assert "photos" in why["frechet"] and "--reconstruct" in why["psnr"] and "torch-fidelity" in why["inception_score"]
    assert (cell(lines, "training_images").value, cell(lines, "training_hours").value) == (640, 0.25)
    (shelf / cards.COMPARISON).write_text("[]")
    with pytest.raises(BadWeights, match="damaged"):
        load_comparison()


def test_figures_of_other_weights_count_for_nothing():
    a_comparison(weights={"tinyvae": "0" * 64}).save()
    assert cell(Studio("tinyvae").compare(["tinyvae"]), "face_score").value is None


def test_figures_of_another_judge_or_encoder_count_for_nothing():
    card = cards.find_card("tinyvae")
    known = {"tinyvae": card.sha256}
    assert a_comparison(weights=known).row(card) is not None
    for other in (cards.JUDGE, "tinyvae-encoder"):
        assert a_comparison(weights=known | {other: "0" * 64}).row(card) is None


def test_a_model_is_measured_here_and_shown_beside_what_was_saved():
    a_comparison().save()
    studio = Studio("tinyvae")
    for model in MODELS:
        *before, last = studio.of(model).measure(samples=4, side=16)
        assert last.row.name == model and last.row.samples == 4 and last.done == last.total == 8
        assert [step.done for step in before] == sorted(step.done for step in before) and len(before) == 5
    lines = studio.compare(MODELS)
    saved, fresh = cell(lines, "face_score"), cell(lines, "face_score", 1)
    assert saved.value == 1.2 and not saved.here and 1 <= saved.other <= 2
    assert fresh.here and 1 <= fresh.value <= 2
    assert cell(lines, "images_per_second").here and cell(lines, "images_per_second").value > 0
    parameters = sum(each.numel() for each in studio.generator.parameters())
    assert cell(lines, "parameters").value == parameters
    ratio = cell(lines, "sharpness_ratio", 1)
    assert ratio.here and ratio.value == pytest.approx(cell(lines, "sharpness", 1).value / 1000, abs=1e-3)
    assert cell(studio.compare(MODELS, side=8), "sharpness", 1).value is None, "measured at another size"


def test_numbers_and_models_that_cannot_be_are_refused():
    studio = Studio("tinyvae")
    with pytest.raises(UnknownModel, match="Known models"):
        studio.compare(["nobody"])
    with pytest.raises(BadSetting, match="at least one"):
        studio.compare([])
    for wrong in (
        lambda: next(studio.measure(samples=1)),
        lambda: studio.draw(0),
        lambda: next(studio.map_latents(count=2)),
    ):
        with pytest.raises(BadSetting, match="must be between"):
            wrong()


def test_the_best_is_what_is_told_to_be_best():
    assert best_of([1.2, 1.31, 1.3], BY_KEY["face_score"]) == {1}
    assert best_of([0.3, None, 0.2], BY_KEY["frechet"]) == {2}, "less is better"
    assert best_of([1.2001, 1.2002], BY_KEY["face_score"]) == set(), "alike, as far as it is told"
    assert best_of([5, 9], BY_KEY["parameters"]) == set() and best_of([1.0, None], BY_KEY["face_score"]) == set()
    assert in_words(3414531, BY_KEY["parameters"]) == "3,414,531" and in_words(None, BY_KEY["psnr"]) == "–"


def test_the_markdown_table_has_a_column_for_each_model_and_one_for_real_faces():
    shown = [cards.find_card(model) for model in MODELS]
    here = {"tinydcgan": Row("tinydcgan", 6, face_score=1.4, sharpness=200.0)}
    text = markdown(shown, build_table(shown, a_comparison(), here, side=16))
    assert text.splitlines()[0] == "|  | Tiny vae | Tiny dcgan | Real faces |"
    assert "| Face score | 1.200 | **1.400 *** | 1.500 |" in text
    assert "| Fréchet distance | 0.300 | – | – |" in text


def test_drawn_faces_are_those_of_sample():
    studio = Studio("tinyvae")
    drawn = studio.draw(5, seed=3, truncation=0.5)
    for picture, (_, sampled) in zip(drawn, studio.sample(5, seed=3, truncation=0.5), strict=True):
        assert np.abs(picture.astype(int) - sampled).max() <= 2


def test_a_map_is_drawn_once_for_all_and_its_faces_can_be_edited():
    studio = Studio("faces128").of("tinyvae")
    *before, last = studio.map_latents(count=40)
    assert [step.done for step in before] == [16, 32, 40] and last.map.seen.shape == (40, 40)
    again = list(studio.map_latents(count=40))
    assert len(again) == 1 and again[0].map is last.map
    expected = studio.generator.sample(40, seed=1, truncation=MAP_TRUNCATION)
    assert torch.equal(last.map.latents, expected)
    assert studio.render(last.map.face(7)).shape == (16, 16, 3)
    assert studio.morph(last.map.face(7), last.map.face(9), 0.5).latent.model == "tinyvae"


def test_reconstruction_is_better_by_recovery_than_by_an_untrained_encoder_and_says_its_budget():
    studio = Studio("tinydcgan")
    pictures = studio.draw(1, seed=5, truncation=1.0)
    long = reconstruct(studio, pictures, side=16, steps=40)
    short = reconstruct(studio, pictures, side=16, steps=1)
    assert long.psnr > short.psnr + 3 and long.faces == 1 and "8 restarts of 40 steps" in long.by
    assert reconstruct(Studio("tinyvae"), pictures, side=8).by == "encoder, one pass"
    assert Row("tinydcgan", 1, 1.0, 1.0).with_reconstruction(long).psnr == long.psnr


def test_the_inception_score_is_the_number_of_classes_that_are_seen_clearly():
    clear = torch.eye(5).repeat(20, 1) * 50
    assert score_of_logits(clear) == pytest.approx(5, abs=1e-6)
    assert score_of_logits(torch.zeros(10, 5)) == pytest.approx(1)

    class Bright(torch.nn.Module):
        def forward(self, images):
            assert images.dtype == torch.uint8 and images.shape[1] == 3
            light = images.float().mean(dim=(1, 2, 3)) > 127
            return (torch.stack([light, ~light], dim=1).float() * 50,)

    pictures = [np.full((8, 8, 3), 255 * (index % 2), np.uint8) for index in range(40)]
    assert inception_score(Bright(), pictures, batch=7) == pytest.approx(2, abs=1e-6)


def test_a_report_has_a_table_and_pictures_that_open(tmp_path):
    a_comparison().save()
    made, studio = Report(), Studio("tinyvae")
    steps = list(write_report(studio, MODELS, made, mapped=20, attribute="Young"))
    assert len(steps) > 6 and all(0 <= step.done <= step.total for step in steps)
    text = made.files["report.md"].decode()
    assert "Tiny vae" in text and "20 faces of each model at 16 px" in text and "No table of losses" in text
    pictures = {
        "sheet-tinyvae.png",
        "losses-tinyvae.png",
        "map-tinyvae.png",
        "sheet-tinydcgan.png",
        "map-tinydcgan.png",
    }
    assert set(made.files) == {*pictures, "report.md"}
    for name in pictures:
        assert f"]({name})" in text
        assert np.asarray(Image.open(io.BytesIO(made.files[name]))).std() > 1
    names = zipfile.ZipFile(io.BytesIO(made.as_zip())).namelist()
    assert sorted(names) == sorted(f"comparison/{name}" for name in made.files)
    assert sorted(path.name for path in made.save(tmp_path / "out")) == sorted(made.files)
    with pytest.raises(BadSetting, match="no attribute"):
        next(write_report(studio, MODELS, Report(), attribute="Wings"))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["--method", "foo"], "A map is made by pca or tsne"),
        (["--attribute", "foo"], "is no attribute"),
        (["--measure", 1], "between 2 and"),
    ],
)
def test_a_report_that_cannot_be_is_refused_before_the_work(facelab, tmp_path, monkeypatch, option, words):
    monkeypatch.setattr(Studio, "map_latents", lambda *_, **__: pytest.fail("a map was drawn first"))
    status, out, said = facelab("report", "--models", "tinyvae", *option, "--out", tmp_path / "out")
    assert status == 1 and not out and words in said and not list(tmp_path.glob("out/*"))


def test_the_report_command_measures_and_writes(facelab, tmp_path):
    options = ["--models", "tinyvae", "--models", "tinydcgan", "--measure", 2, "--mapped", 0, "--out", tmp_path / "out"]
    status, out, said = facelab("report", *options, "--json")
    assert status == 0, said
    figures = json.loads(out)
    assert figures["models"] == MODELS and figures["figures"]["face_score"]["here"] == MODELS
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.md",
        "sheet-tinyvae.png",
        "sheet-tinydcgan.png",
        "losses-tinyvae.png",
    }
    assert "measured at 16 px" in (tmp_path / "out" / "report.md").read_text()
    status, _, said = facelab("report", "--models", "nobody", "--out", tmp_path / "none")
    assert status == 1 and "no model 'nobody'" in said


def test_rows_are_compared_with_real_faces():
    real, row = with_ratios([Row(REAL, 9, 1.5, 500.0), Row("a", 9, 1.2, 1000.0)], Row(REAL, 9, 1.5, 500.0))
    assert (real.sharpness_ratio, row.sharpness_ratio) == (1, 2)
