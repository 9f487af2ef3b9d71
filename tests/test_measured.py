"""Figures that commands keep: what is written is what is printed, and those of other weights are known as such."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from facelab.checkpoints import cards
from facelab.checkpoints.directions import write_directions
from facelab.edits.attributes import Direction
from facelab.errors import BadSetting, BadWeights
from facelab.evaluation.measured import Measured, embedding_kind, keep, load_measured
from tests.tiny_circle import MODEL, put_circle


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    put_circle(tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    cards._catalogue.cache_clear()
    return tmp_path


def change_card(shelf, name, change):
    card = json.loads((shelf / f"{name}.json").read_text())
    change(card)
    (shelf / f"{name}.json").write_text(json.dumps(card))
    cards._catalogue.cache_clear()


def test_figures_are_of_earlier_weights_once_the_model_or_what_took_part_has_changed(shelf):
    keep("circle", MODEL, {"speed": {"walk_seconds": 0.5}}, command="evaluate tiny --circle", using=["circle", "judge"])
    kept = load_measured("circle", MODEL)
    assert (
        kept.figures == {"speed": {"walk_seconds": 0.5}} and kept.command == "python -m facelab evaluate tiny --circle"
    )
    assert set(kept.weights) == {MODEL, f"{MODEL}-circle"} and not kept.earlier
    change_card(shelf, MODEL, lambda card: card["companions"]["circle"].update(sha256="0" * 64))
    assert load_measured("circle", MODEL).earlier, "another circle"
    keep("circle", MODEL, {}, command="evaluate", using=["circle"])
    assert not load_measured("circle", MODEL).earlier
    change_card(shelf, MODEL, lambda card: card.update(sha256="0" * 64))
    assert load_measured("circle", MODEL).earlier, "another model"
    shutil.copy(Path(cards.__file__).parents[2] / "checkpoints" / "faces128.json", shelf)
    shutil.copy(shelf / f"{MODEL}.safetensors", shelf / "faces128.safetensors")
    cards._catalogue.cache_clear()
    keep("circle", MODEL, {}, command="evaluate", eyes=[cards.JUDGE])
    assert not load_measured("circle", MODEL).earlier
    change_card(shelf, "faces128", lambda card: card["companions"]["judge"].update(sha256="0" * 64))
    assert load_measured("circle", MODEL).earlier, "another judge"
    assert list(cards.catalogue()) == sorted(cards.catalogue()), "kept figures are no cards"


def test_what_is_damaged_or_of_no_kind_is_told(shelf):
    assert load_measured("recovery", MODEL) is None
    path = Measured("recovery", MODEL, "", "", {}, {}).save()
    path.write_text("{")
    with pytest.raises(BadWeights, match=r"recovery-tinybegan\.json is damaged"):
        load_measured("recovery", MODEL)
    with pytest.raises(BadSetting, match="not of 'mood'"):
        keep("mood", MODEL, {}, command="")
    assert embedding_kind("w+") == "embedding-wplus"


def test_recovery_keeps_what_it_prints(facelab):
    told = ("--steps", 20, "--restarts", 2, "--json", "--save")
    status, out, said = facelab("recovery", "tinyvae", "--targets", 2, *told)
    assert status == 0, said
    kept, printed = load_measured("recovery", "tinyvae"), json.loads(out)
    assert kept.figures["recovered"] == printed["recovered"] and kept.figures["restarts"] == 2
    budget = "--targets 2 --restarts 2 --steps 20 --start random --learning-rate 0.1"
    assert kept.command == f"python -m facelab recovery tinyvae {budget} --seed 0 --save"
    assert load_measured("combinations", "tinyvae") is None
    status, out, said = facelab("recovery", "tinyvae", "--targets", 0, "--combinations", 3, *told)
    assert status == 0, said
    assert load_measured("combinations", "tinyvae").figures == json.loads(out)["combinations"]
    assert load_measured("recovery", "tinyvae") == kept, "the other kind stays"


def test_only_the_model_as_it_ships_is_kept(facelab, tmp_path):
    status, _, said = facelab("evaluate", MODEL, "--data", tmp_path, "--circle", "--save", "--weights", tmp_path / "x")
    assert status == 1 and "Leave out --weights" in said
    otherwise = ("--samples", 0, "--embed", 9, "--directions", "--method", "mean", "--save")
    status, _, said = facelab("evaluate", MODEL, "--data", tmp_path, *otherwise)
    assert status == 1 and "Leave out --save or --method" in said, "the shipped figures are the default method's"


def test_evaluate_keeps_each_kind_with_the_command_that_measures_it(facelab, tmp_path, monkeypatch):
    from facelab.evaluation import circle_report, command

    told = {"space": "z", "embedded": 9, "embedding": {"latent": {}}, "groups": {}}
    told |= {"method": "linear", "directions": {}}
    monkeypatch.setattr(circle_report, "evaluate_circle", lambda model, data, count, **more: {"faces": count})
    monkeypatch.setattr(command, "measure_weights", lambda *more: [{"images": "8", "judge": "1.5"}])
    monkeypatch.setattr(command, "measure_embeddings", lambda *more: dict(told))
    drawn = {
        "samples": 30,
        "frechet": {"judge": 0.5},
        "train": 20,
        "found": 0.9,
        "found_val": 1.0,
        "copies": {"share": 0},
    }
    monkeypatch.setattr(command, "measure_samples", lambda *more: dict(drawn))
    data = ("evaluate", MODEL, "--data", tmp_path, "--save")
    embed = ["--samples", 0, "--embed", 9, "--directions"]
    sampled = ["--samples", 30, "--train", 20, "--copies"]
    for options in (["--circle", "--faces", 17], ["--run", tmp_path, "--samples", 30], embed, sampled):
        status, _, said = facelab(*data, *options)
        assert status == 0, said
    kept = {kind: load_measured(kind, MODEL) for kind in ("circle", "run", "embedding-z", "directions", "samples")}
    begins = f"python -m facelab evaluate {MODEL} --data DATA"
    assert kept["circle"].figures == {"faces": 17} and kept["circle"].command == f"{begins} --circle --faces 17 --save"
    assert kept["run"].figures == {"rows": [{"images": "8", "judge": "1.5"}]}
    assert kept["run"].command == f"{begins} --samples 30 --seed 1 --run RUN --save", "no path of this machine"
    assert kept["embedding-z"].command == f"{begins} --samples 0 --embed 9 --space z --save"
    assert kept["directions"].command.endswith("--space z --directions --method linear --save")
    assert kept["samples"].command == f"{begins} --samples 30 --seed 1 --train 20 --copies --save"
    assert kept["samples"].figures == drawn
    monkeypatch.setattr(command, "measure_samples", lambda *more: {"samples": 30, "frechet": {"judge": 0.5}})
    assert facelab(*data, "--samples", 30, "--embed", 9)[0] == 0
    said = load_measured("samples", MODEL).command
    assert said == f"{begins} --samples 30 --seed 1 --embed 9 --space z --save", "alone, it would compare models"
    assert f"{MODEL}-circle" in kept["circle"].weights and f"{MODEL}-circle" not in kept["run"].weights


def test_directions_alone_embed_two_hundred(facelab, shelf, tmp_path, monkeypatch):
    from facelab.evaluation import command

    counts = []
    monkeypatch.setattr(command, "measure_embeddings", lambda model, data, count, *more: counts.append(count) or {})
    for options in (["--directions"], ["--embed", 9, "--directions"], ["--embed", 9], []):
        status, _, said = facelab("evaluate", MODEL, "--data", tmp_path, "--samples", 0, *options)
        assert status == 0, said
    assert counts == [200, 9, 9]


def test_figures_are_of_the_weights_that_were_measured_though_others_are_published_meanwhile(
    facelab, shelf, tmp_path, monkeypatch
):
    from facelab.evaluation import command

    vector = torch.ones(6)
    direction = Direction("smile", "Smile", "less", "more", "expression", (0, 1), (), 1.0, vector, vector)
    write_directions([direction], shelf / f"{MODEL}-directions.safetensors")
    found = hashlib.sha256((shelf / f"{MODEL}-directions.safetensors").read_bytes()).hexdigest()
    for part, sha256 in (("encoder", "old"), ("directions", found)):
        cards.write_companion(MODEL, part, {"sha256": sha256})
    quality = dict.fromkeys(("faces", "strength", "flipped", "kept", "both", "identity_median", "skin_drift"), 1.0)
    told = {"space": "z", "embedded": 9, "embedding": {}, "groups": {}, "method": "linear"}

    def measure(*_):
        path = shelf / f"{MODEL}.json"  # by another process: this one's catalogue knows nothing of it
        path.write_text(path.read_text().replace('"old"', '"new"'))
        return told | {"directions": {"smile": {"default": quality | {"changes": {}}}}}

    monkeypatch.setattr(command, "measure_embeddings", measure)
    options = ("--samples", 0, "--embed", 9, "--directions", "--save")
    status, _, said = facelab("evaluate", MODEL, "--data", tmp_path, *options)
    assert status == 0, said
    assert cards.find_card(MODEL).companions["encoder"] == {"sha256": "new"}
    for kind in ("embedding-z", "directions"):
        kept = load_measured(kind, MODEL)
        assert kept.weights[f"{MODEL}-encoder"] == "old" and kept.earlier, kind
    now = hashlib.sha256((shelf / f"{MODEL}-directions.safetensors").read_bytes()).hexdigest()
    assert kept.weights[f"{MODEL}-directions"] == now != found, "the directions' file has its figures now"
