"""Parts of published models: a circle, a reader or a judge takes its place beside them, whole or not at all."""

import json
import shutil

import pytest
import torch

from facelab.checkpoints import cards
from facelab.checkpoints.cards import find_card
from facelab.checkpoints.weights import load_model, read_weights
from facelab.circle import load_circle
from facelab.evaluation.judge import Judge
from facelab.identity import FaceReader
from facelab.training import publish as publishing
from facelab.training.run import Run, write_weights
from tests.tiny_circle import put_circle

SHIPPED = cards.checkpoint_folder()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder of checkpoints."""
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def test_a_run_of_the_circle_becomes_the_models_with_the_hours_that_it_took(facelab, shelf, tmp_path):
    name = put_circle(shelf)
    cards._catalogue.cache_clear()
    before = (shelf / f"{name}-circle.safetensors").read_bytes()
    trained = load_circle(load_model(name)[0])
    tensors = {key: 2 * value for key, value in trained.state_dict().items() if value.is_floating_point()}
    run = tmp_path / "run"
    (run / "weights").mkdir(parents=True)
    write_weights(run / "weights" / "00000064.safetensors", tensors, 64)
    (run / "settings.json").write_text(json.dumps({"family": "circle", "model": name}))
    (run / "losses.csv").write_text("step,images,seconds,latent\n1,32,1800,0.5\n2,64,3600,0.4\n")
    status, _, said = facelab("publish", run, "--name", "tinyvae")
    assert status == 1 and f"--name {name}" in said
    status, out, said = facelab("publish", run, "--name", name, "--json")
    assert status == 0 and json.loads(out)["name"] == f"{name}-circle", said
    cards._catalogue.cache_clear()
    told = find_card(name).companions["circle"]
    assert told["hours"] == 1.0 and told["images"] == 64
    assert (shelf / f"{name}-circle.safetensors").read_bytes() != before
    torch.testing.assert_close(load_circle(load_model(name)[0]).mean, tensors["mean"])


def test_a_publish_that_is_broken_off_leaves_file_and_card_as_they_were(shelf, tmp_path, monkeypatch):
    name = put_circle(shelf)
    cards._catalogue.cache_clear()
    files = [shelf / f"{name}-circle.safetensors", shelf / f"{name}.json"]
    before = [path.read_bytes() for path in files]
    run = Run(tmp_path / "run")
    (run.folder / "weights").mkdir(parents=True)
    tensors = {key: 2 * value for key, value in read_weights(files[0]).items()}
    write_weights(run.folder / "weights" / "00000064.safetensors", tensors, 64)
    run.settings.write_text(json.dumps({"family": "circle", "model": name}))

    def broken_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "_reach_of", broken_off)
    with pytest.raises(KeyboardInterrupt):
        publishing.publish_companion(run, shelf, name, "circle")
    assert [path.read_bytes() for path in files] == before


def test_a_companions_card_keeps_what_another_command_wrote_meanwhile(shelf):
    name = put_circle(shelf)
    before = find_card(name)
    path = shelf / f"{name}.json"
    written = json.loads(path.read_text()) | {"limits": "Small."}
    path.write_text(json.dumps(written))  # by another process: this one's catalogue knows nothing of it
    cards.write_companion(name, "directions", {"sha256": "0" * 64})
    after = find_card(name)
    assert after.limits == "Small." and after.companions["circle"] == before.companions["circle"]
    assert after.companions["directions"] == {"sha256": "0" * 64}
    assert not list(shelf.glob("*.partial"))


def test_a_circle_that_went_on_from_the_models_own_counts_both_trainings(facelab, shelf, tmp_path):
    name = put_circle(shelf)
    own = shelf / f"{name}-circle.safetensors"
    cards._catalogue.cache_clear()
    tensors = read_weights(own)
    cards.write_companion(name, "circle", {**find_card(name).companions["circle"], "images": 100, "hours": 0.5})
    for start, images, hours in ((own, 164, 1.5), (tmp_path / "another", 64, 1.0)):
        run = tmp_path / start.name
        (run / "weights").mkdir(parents=True)
        tensors = {key: 1.5 * value if value.is_floating_point() else value for key, value in tensors.items()}
        write_weights(run / "weights" / "00000064.safetensors", tensors, 64)
        (run / "settings.json").write_text(json.dumps({"family": "circle", "model": name, "start": str(start)}))
        (run / "losses.csv").write_text("step,images,seconds,latent\n1,32,1800,0.5\n2,64,3600,0.4\n")
        for _ in ("once", "once more"):
            status, _, said = facelab("publish", run, "--name", name)
            assert status == 0, said
            cards._catalogue.cache_clear()
            history = find_card(name).companions["circle"]
            assert (history["images"], history["hours"]) == (images, hours)


@pytest.mark.parametrize("family", ("identity", "judge"))
def test_what_looks_at_faces_is_trained_further_and_published_for_all_models(facelab, shelf, tmp_path, family):
    network = {"identity": FaceReader, "judge": Judge}[family]()
    run, name = tmp_path / "run", f"faces128-{family}"
    (run / "weights").mkdir(parents=True)
    tensors = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    write_weights(run / "weights" / "00000064.safetensors", tensors, 64)
    (run / "settings.json").write_text(json.dumps({"family": family}))
    for kind in ("faces128.json", "faces128.safetensors"):
        shutil.copy(SHIPPED / kind, shelf)
    cards._catalogue.cache_clear()
    status, _, said = facelab("publish", run, "--name", "other")
    assert status == 1 and "--name faces128" in said
    before = find_card("faces128").companions[family]["sha256"]
    noted = {"note": "Of old.", "val": {"accuracy": 0.9}}
    cards.write_companion("faces128", family, {**find_card("faces128").companions[family], **noted})
    status, out, said = facelab("publish", run, "--name", "faces128", "--json")
    assert status == 0 and json.loads(out)["name"] == name, said
    assert {"note", "val"} <= set(json.loads(out)["dropped"])
    assert f"no longer says {', '.join(json.loads(out)['dropped'])} of the {family}" in said
    assert "evaluate faces128 --data DATA --samples 0 --eyes" in said and said.count("\n") == 1
    cards._catalogue.cache_clear()
    told = find_card("faces128").companions[family]
    assert not noted.keys() & told.keys(), "they were of the weights before"
    assert told["sha256"] == json.loads(out)["sha256"] != before and told["images"] == 64
    put = read_weights(shelf / f"{name}.safetensors")
    torch.testing.assert_close(put["trunk.stem.weight"].float(), network.trunk.stem.weight, atol=1e-3, rtol=1e-3)
    cards.write_companion("faces128", family, {**told, **noted})
    status, out, said = facelab("publish", run, "--name", "faces128", "--json")
    assert status == 0 and not said and json.loads(out)["dropped"] == []
    cards._catalogue.cache_clear()
    assert noted.items() <= find_card("faces128").companions[family].items(), "the same weights keep what is known"
