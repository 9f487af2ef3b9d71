"""A run becomes a model of the catalogue by one command, and the catalogue draws what the run drew."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.checkpoints import cards
from facelab.checkpoints.cards import find_card
from facelab.checkpoints.directions import record_quality
from facelab.checkpoints.weights import load_model, read_weights
from facelab.errors import BadWeights
from facelab.evaluation.judge import ATTRIBUTES
from facelab.identity import Reading, load_reader
from facelab.training import publish
from facelab.training.data import Pictures
from facelab.training.directions_command import labels_of
from facelab.training.labels import POSE, read_labels

SHIPPED = cards.checkpoint_folder()
TINY = ["--resolution", 16, "--batch", 4, "--images", 64, "--sheet-images", 32, "--z-dim", 6, "--channels", 4]
FAMILIES = {
    "vae": [],
    "vaegan": [],
    "dcgan": [],
    "began": [],
    "progan": ["--channel-base", 64, "--grow-from", 0],
}
MOVING = ("w_avg", "num_batches_tracked", "running_mean", "running_var")  # whatever the learning rate
NOTES = {
    "vaegan": "Gamma 15, similarity weight 25, r1 gamma 0.2, halve images 1,056,000.",
    "began": "Gamma 0.5.",
    "progan": "Grow images 60,000, fade images 60,000, loss wasserstein.",
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pictures(tmp_path):
    """Eight pictures with labels."""
    folder, random = tmp_path / "data", np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = [",".join(["image", "split", "yaw", "pitch", "roll", *ATTRIBUTES])]
    for index in range(8):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / "images" / f"{index}.png")
        lines.append(
            ",".join([f"{index}.png", "train", "0", "0", "0", *("1" if index % 2 else "-1" for _ in ATTRIBUTES)])
        )
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder of checkpoints."""
    (tmp_path / "shelf").mkdir()
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path / "shelf"))
    return tmp_path / "shelf"


def trained(facelab, pictures, run, family, *options):
    status, _, said = facelab("train", family, "--data", pictures, "--out", run, *TINY, *FAMILIES[family], *options)
    assert status == 0, said
    return run


@pytest.mark.parametrize("family", FAMILIES)
def test_a_published_run_draws_what_it_drew(facelab, pictures, shelf, tmp_path, family):
    run = trained(facelab, pictures, tmp_path / "run", family)
    status, out, said = facelab("publish", run, "--name", "tiny16", "--data", "noise", "--json")
    assert status == 0, said
    figures, card = json.loads(out), find_card("tiny16")
    assert figures["images"] == card.training["images"] == 64 and card.training["epochs"] == 8.0
    assert card.family == family and card.resolution == 16 and card.data == "noise" and "Non-commercial" in card.licence
    assert card.training.get("note") == NOTES.get(family)
    generator, critic = load_model("tiny16")
    assert critic is None and generator.spaces == card.spaces and not generator.training
    (sheet,) = [path for path in (run / "sheets").iterdir() if path.stem == "00000064"]
    drawn = np.asarray(Image.open(sheet)).reshape(8, 16, 8, 16, 3).swapaxes(1, 2).reshape(64, 16, 16, 3)
    with torch.inference_mode():
        again = generator.synthesize(generator.sample(64, seed=1))
    again = ((again.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert np.abs(again - drawn).mean() < 3  # of 255: what float16 costs
    rows = list(csv.DictReader((shelf / card.training["losses"]).open()))
    assert rows and int(float(rows[-1]["images"])) == 64


@pytest.mark.parametrize("family", FAMILIES)
def test_a_start_has_its_model_s_shape_and_must_see_more_than_that_has(facelab, pictures, shelf, tmp_path, family):
    first = trained(facelab, pictures, tmp_path / "first", family)
    assert facelab("publish", first, "--name", "tiny16", "--data", "noise")[0] == 0
    command = ["train", family, "--data", pictures, "--out", tmp_path / "second", "--batch", 4, "--start", "tiny16"]
    status, _, said = facelab(*command, "--images", 64)
    assert status == 1 and "tiny16 has seen 64 pictures. Say a larger --images" in said
    assert facelab(*command, "--images", 72)[0] == 0
    assert torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)["images"] == 72
    other = "vae" if family != "vae" else "dcgan"
    status, _, said = facelab("train", other, *command[2:4], "--out", tmp_path / "third", "--start", "tiny16")
    assert status == 1 and f"`train {family}`" in said


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_goes_on_from_a_published_model(facelab, pictures, shelf, tmp_path, family):
    """Long after its checkpoints are gone: pictures, losses, hours and BEGAN's balance are counted on."""
    first = trained(facelab, pictures, tmp_path / "first", family)
    assert facelab("publish", first, "--name", "tiny16", "--data", "noise")[0] == 0
    table = shelf / "tiny16-losses.csv"
    (earlier,) = csv.DictReader(table.open())
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, earlier)
        writer.writeheader()
        writer.writerow(earlier | {"seconds": "7200"} | ({"k": "0.4"} if family == "began" else {}))
    before = read_weights(sorted((first / "weights").iterdir())[-1])
    assert (shelf / "training" / "tiny16.safetensors").exists() == (family != "began"), "BEGAN has all within"

    on = ["--start", "tiny16", "--learning-rate", 1e-9, "--images", 128]
    run = trained(facelab, pictures, tmp_path / "second", family, *on)
    weights = sorted((run / "weights").iterdir())
    assert [path.stem for path in weights] == ["00000096", "00000128"]
    after = read_weights(weights[-1])
    assert set(after) == set(before)
    for name, value in after.items():
        if not name.endswith(MOVING):
            torch.testing.assert_close(value.float(), before[name].float(), atol=1e-3, rtol=1e-3)
    rows = list(csv.DictReader((run / "losses.csv").open()))
    assert [(row["step"], row["images"]) for row in rows] == [("16", "64"), ("32", "128")]
    if family == "began":
        assert abs(float(rows[1]["k"]) - 0.4) < 0.1
    assert facelab("publish", run, "--name", "tiny16", "--data", "noise", "--replace")[0] == 0
    training = find_card("tiny16").training
    assert training["images"] == 128 and training["epochs"] == 16.0 and training["hours"] == 2.0


def test_a_stylegan2_of_ones_own_is_published_goes_on_and_embeds_a_face(
    facelab, pictures, shelf, tmp_path, monkeypatch
):
    from facelab.face import AlignedFace
    from facelab.studio import Studio
    from facelab.training import stylegan2

    small = {"channel_base": 64, "channel_max": 8}
    monkeypatch.setattr(stylegan2, "NEW_GENERATOR", {"z_dim": 6, "w_dim": 6, "mapping_layers": 2, **small})
    monkeypatch.setattr(stylegan2, "NEW_DISCRIMINATOR", {"downsample": "average", **small})

    where = ["--data", pictures, "--out", tmp_path / "run", "--resolution", 16, "--batch", 4, "--sheet-images", 64]
    assert facelab("train", "stylegan2", *where, "--images", 64, "--ada-target", 0, "--path-interval", 0)[0] == 0
    status, out, said = facelab("publish", tmp_path / "run", "--name", "mine", "--data", "noise", "--json")
    assert status == 0 and json.loads(out)["to_renew"] == [], said
    card = find_card("mine")
    assert (card.family, card.resolution, card.spaces) == ("stylegan2", 16, ("z", "w", "w+"))
    _, discriminator = load_model("mine")
    assert discriminator is not None
    studio = Studio("mine", device="cpu")
    grey = np.full((16, 16, 3), 127, np.uint8)
    aligned = AlignedFace(grey, np.full((512, 512, 3), 127, np.uint8), np.zeros((4, 2), np.float32), (512, 512))
    *_, last = studio.embed(aligned, replace(studio.presets["fast"], steps=2, refine_steps=1))
    assert tuple(last.latent.values.shape) == studio.generator.latent_shape("w+")

    values = json.loads((shelf / "mine.json").read_text())
    values["companions"] = {"encoder": {"sha256": "0"}, "judge": {"sha256": "1"}}
    (shelf / "mine.json").write_text(json.dumps(values))
    cards._catalogue.cache_clear()
    status, said, _ = facelab("publish", tmp_path / "run", "--name", "mine", "--data", "noise", "--replace")
    assert status == 0 and "encoder belonged to the weights before" in said
    assert list(find_card("mine").companions) == ["judge"], "the judge knows no generator"

    class Brightness:
        def read(self, images, *, batch):
            nothing = torch.zeros(len(images), 40)
            turn = images[..., 8:].mean(dim=(1, 2, 3)) - images[..., :8].mean(dim=(1, 2, 3))
            return Reading(nothing, nothing, nothing, 90 * turn[:, None].expand(-1, 3))

    monkeypatch.setattr("facelab.identity.load_reader", Brightness)
    before = read_weights(shelf / "mine.safetensors")
    assert facelab("publish", tmp_path / "run", "--name", "mine", "--data", "noise", "--replace", "--turned")[0] == 0
    after = read_weights(shelf / "mine.safetensors")
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved == {"g.mapping.fc1.bias"}, "only which latents are drawn changes"

    more = ["--data", pictures, "--out", tmp_path / "more", "--batch", 4, "--ada-target", 0, "--path-interval", 0]
    assert facelab("train", "stylegan2", *more, "--start", "mine", "--images", 128)[0] == 0
    assert facelab("publish", tmp_path / "more", "--name", "mine", "--data", "noise", "--replace")[0] == 0
    training = find_card("mine").training
    assert training["images"] == 128 and "hours" not in training, "the hours of all 128 are not in the run's table"


def test_a_conditional_model_says_what_its_last_numbers_mean(facelab, pictures, shelf, tmp_path):
    run = trained(facelab, pictures, tmp_path / "run", "vae", "--attributes", "Male Smiling")
    assert facelab("publish", run, "--name", "ctiny", "--data", "noise")[0] == 0
    card = find_card("ctiny")
    assert card.conditions == ("Male", "Smiling") and card.title.startswith("Conditional VAE")
    assert load_model("ctiny")[0].latent_shape("z") == (1, 8)


def test_the_table_of_losses_counts_millions_of_pictures_exactly():
    assert publish._mean(["1408896", "1409408"]) == "1409152" and publish._mean(["0.1234567"]) == "0.123457"


def test_only_a_stylegan2_is_turned(facelab, pictures, shelf, tmp_path):
    run = trained(facelab, pictures, tmp_path / "run", "dcgan")
    status, _, said = facelab("publish", run, "--name", "tiny", "--data", "noise", "--turned")
    assert status != 0 and "--turned needs a StyleGAN2's mapping" in said
    assert not (shelf / "tiny.json").exists()


def test_a_run_of_a_version_with_other_settings_is_published(facelab, pictures, shelf, tmp_path):
    run = trained(facelab, pictures, tmp_path / "run", "dcgan")
    settings = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps(settings | {"of_another_version": 1}))
    assert facelab("publish", run, "--name", "tiny", "--data", "noise")[0] == 0


def test_a_run_whose_pictures_changed_says_so_and_its_epochs_are_of_those_it_saw_last(
    facelab, pictures, shelf, tmp_path
):
    command = ["train", "dcgan", "--data", pictures, "--out", tmp_path / "run", "--resume"]
    run = trained(facelab, pictures, tmp_path / "run", "dcgan")
    (before,) = run.glob("pictures-*.npy")
    assert "have changed" not in facelab(*command, "--images", 72)[2]
    for index in range(4):
        (pictures / "images" / f"{index}.png").unlink()
    status, _, said = facelab(*command, "--images", 128)
    (now,) = set(run.glob("pictures-*.npy")) - {before}
    assert status == 0 and f"this run saw {before.name}, now it sees {now.name}" in said
    before.touch()  # the newest is not the last seen
    assert facelab("publish", run, "--name", "tiny16", "--data", "noise")[0] == 0
    assert find_card("tiny16").training["epochs"] == 128 / 4
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    del state["data"]  # as of an older version
    torch.save(state, run / "checkpoint.pt")
    status, _, said = facelab(*command, "--images", 132)
    assert status == 0 and "have changed" not in said
    assert torch.load(run / "checkpoint.pt", weights_only=True)["data"] == now.name


def test_what_cannot_be_published_is_refused_kindly(facelab, pictures, shelf, tmp_path):
    status, _, said = facelab("publish", tmp_path / "none", "--name", "tiny", "--data", "noise")
    assert status == 1 and "no run" in said
    run = trained(facelab, pictures, tmp_path / "run", "dcgan")
    status, _, said = facelab("publish", run, "--name", "../tiny", "--data", "noise")
    assert status == 1 and "small letters" in said
    status, _, said = facelab("publish", run, "--name", "comparison", "--data", "noise")
    assert status == 1 and "comparison.json holds" in said and not (shelf / "comparison.json").exists()
    assert facelab("publish", run, "--name", "tiny", "--data", "noise")[0] == 0
    before = (shelf / "tiny.json").read_text()
    status, _, said = facelab("publish", run, "--name", "tiny", "--data", "other")
    assert status == 1 and "--replace" in said and (shelf / "tiny.json").read_text() == before
    for settings in ({"family": "encoder"}, {"family": ["dcgan"]}):
        (stranger := tmp_path / "stranger").mkdir(exist_ok=True)
        (stranger / "settings.json").write_text(json.dumps(settings))
        assert facelab("publish", stranger, "--name", "empty", "--data", "noise")[0] == 1
    for path in (run / "weights").iterdir():
        path.unlink()
    status, _, said = facelab("publish", run, "--name", "empty", "--data", "noise")
    assert status == 1 and "no weights yet" in said and not (shelf / "empty.json").exists()


def test_a_card_that_its_weights_do_not_fit_is_refused(facelab, pictures, shelf, tmp_path):
    run = trained(facelab, pictures, tmp_path / "run", "dcgan")
    facelab("publish", run, "--name", "tiny", "--data", "noise")
    values = json.loads((shelf / "tiny.json").read_text())
    for name, config in {
        "wider": {"z_dim": 6, "channels": 8},
        "vague": {"channels": 4},
        "odd": {"z_dim": "x", "channels": 4},
    }.items():
        (shelf / f"{name}.json").write_text(json.dumps({**values, "name": name, "config": config}))
        (shelf / f"{name}.safetensors").write_bytes((shelf / "tiny.safetensors").read_bytes())
    for name, words in (("wider", "do not fit"), ("vague", "does not say"), ("odd", "does not say")):
        with pytest.raises(BadWeights, match=words):
            load_model(name)


def test_an_inverter_is_trained_published_and_used(facelab, pictures, shelf, tmp_path):
    from facelab.face import AlignedFace
    from facelab.studio import Studio

    assert facelab("publish", trained(facelab, pictures, tmp_path / "run", "dcgan"), "--name", "tiny")[0] == 1
    assert facelab("publish", tmp_path / "run", "--name", "tiny", "--data", "noise")[0] == 0
    assert not Studio("tiny", device="cpu").has_encoder
    options = ["--batch", 4, "--images", 16, "--resolution", 16, "--sheet-images", 8]
    run = ["--data", pictures, "--out", tmp_path / "inverse"]
    status, _, said = facelab("train", "inverter", "--model", "tiny", *run, *options)
    assert status == 0, said
    assert Image.open(tmp_path / "inverse" / "sheets" / "00000016.png").size == (64, 64)
    status, _, said = facelab("publish", tmp_path / "inverse", "--name", "other")
    assert status == 1 and "--name tiny" in said
    status, out, said = facelab("publish", tmp_path / "inverse", "--name", "tiny", "--json")
    assert status == 0 and json.loads(out)["images"] == 16, said
    cards._catalogue.cache_clear()
    studio = Studio("tiny", device="cpu")
    assert list(studio.presets) == ["encode", "recover"]
    grey = np.full((16, 16, 3), 127, np.uint8)
    aligned = AlignedFace(grey, np.full((512, 512, 3), 127, np.uint8), np.zeros((4, 2), np.float32), (512, 512))
    assert studio.encode(aligned).latent.values.shape == (1, 6)


def test_an_inverter_needs_a_generator_of_its_kind_and_size(facelab, pictures, shelf, tmp_path):
    run = ["--data", pictures, "--out", tmp_path / "run", "--images", 8]
    status, _, said = facelab("train", "inverter", *run)
    assert status == 1 and "--model NAME" in said
    trained(facelab, pictures, tmp_path / "dcgan", "dcgan")
    facelab("publish", tmp_path / "dcgan", "--name", "tiny", "--data", "noise")
    status, _, said = facelab("train", "inverter", *run, "--model", "tiny")
    assert status == 1 and "--resolution 16" in said


def test_directions_are_found_by_labels_and_published(facelab, pictures, shelf, tmp_path):
    from facelab.studio import Studio

    run = trained(facelab, pictures, tmp_path / "run", "vae")
    assert facelab("publish", run, "--name", "tiny", "--data", "noise")[0] == 0
    file = tmp_path / "found.safetensors"
    where = ["--data", pictures, "--cache", tmp_path / "seen", "--out", file, "--model", "tiny"]
    status, _, said = facelab("train", "directions", *where)
    assert status == 0, said
    assert facelab("publish", file, "--name", "tiny")[0] == 0
    cards._catalogue.cache_clear()
    studio = Studio("tiny", device="cpu")
    smile = studio.directions()["smile"]
    assert "skin" not in studio.directions() and set(smile.held) <= set(studio.directions())
    face = studio.sample(1, seed=1)[0][0]
    moved = studio.edit(face, {"smile": 1.0}, method="mean", keep=[])
    torch.testing.assert_close(moved.latent.values - face.latent.values, smile.difference, atol=1e-3, rtol=1e-2)
    images, labels = read_split(pictures)
    with torch.no_grad():
        latents = studio.generator.encode(images)
    expected = latents[labels].mean(dim=0) - latents[~labels].mean(dim=0)
    torch.testing.assert_close(smile.difference, expected, atol=5e-3, rtol=2e-2)
    seen = {"faces": 3, "strength": 1.0, "flipped": 0.5, "kept": 0.25, "both": 0.25, "identity_median": 0.4}
    seen |= {"skin_drift": 1.0, "changes": {"gender": -0.1}}
    record_quality("tiny", {"smile": {"default": seen}, "bald": {"default": {"faces": 0}}})
    again = Studio("tiny", device="cpu").directions()
    assert again["smile"].quality["flipped"] == 0.5 and again["smile"].quality["gender_drift"] == -0.1
    assert not again["bald"].quality and torch.equal(again["smile"].normal, smile.normal)
    other = trained(facelab, pictures, tmp_path / "other", "dcgan", "--z-dim", 5)
    assert facelab("publish", other, "--name", "small", "--data", "noise")[0] == 0
    cards._catalogue.cache_clear()
    status, _, said = facelab("publish", file, "--name", "small")
    assert status == 1 and "another model" in said


def test_where_the_reader_is_it_tries_how_far_directions_of_one_latent_go(
    facelab, pictures, shelf, tmp_path, monkeypatch
):
    from facelab.checkpoints.directions import read_directions
    from facelab.training.direction_reach import STRENGTHS

    for name in ("faces128.json", "faces128-identity.safetensors"):
        shutil.copy(SHIPPED / name, shelf)
    run = trained(facelab, pictures, tmp_path / "run", "vae")
    assert facelab("publish", run, "--name", "tiny", "--data", "noise")[0] == 0
    file = tmp_path / "found.safetensors"
    monkeypatch.setattr("facelab.training.direction_reach.FEWEST", 0.0)
    status, _, said = facelab(
        "train", "directions", "--data", pictures, "--cache", tmp_path / "seen", "--out", file, "--model", "tiny"
    )
    assert status == 0, said
    strengths = {each.strength for each in read_directions(file).values()}
    assert strengths == {STRENGTHS[0]}, "in noise it sees nobody change: then the least is far enough"


def test_without_labels_the_reader_says_who_has_what(pictures, tmp_path):
    from facelab.studio import Studio

    faces = [picture for _, picture in Studio().sample(6, seed=2)]
    for index, face in enumerate(faces):
        Image.fromarray(face).save(pictures / "images" / f"{index}.png")
    told = labels_of(pictures, Pictures(np.stack(faces)))
    assert np.array_equal(told.attributes, read_labels(pictures).attributes[:6]), "labels.csv comes first"
    table = [line.split(",") for line in (pictures / "labels.csv").read_text().splitlines()]
    kept = [place for place, name in enumerate(table[0]) if name not in POSE]
    (pictures / "labels.csv").write_text("\n".join(",".join(line[place] for place in kept) for line in table))
    unposed = labels_of(pictures, Pictures(np.stack(faces)))
    assert np.array_equal(unposed.attributes, told.attributes) and unposed.pose.shape == (6, 3), "poses are read"
    (pictures / "labels.csv").unlink()
    labels = labels_of(pictures, Pictures(np.stack(faces)))
    reading = load_reader().read(Pictures(np.stack(faces)).tensor(slice(None)))
    assert np.array_equal(labels.attributes, reading.attributes.numpy() > 0) and labels.pose.shape == (6, 3)


def read_split(folder):
    """The pictures [8, 3, 16, 16] in [-1, 1], and who has the attributes, bool [8]."""
    paths = sorted((folder / "images").iterdir())
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in paths]))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, torch.tensor([int(path.stem) % 2 == 1 for path in paths])
