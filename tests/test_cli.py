import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facelab import cli
from facelab.face import Face

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def test_align_writes_every_face_and_prints_one_json_object(facelab, shared_photos, tmp_path):
    status, out, _ = facelab("align", shared_photos / "several_faces.jpg", "--out", tmp_path / "faces", "--json")
    answer = json.loads(out)
    assert status == 0 and len(answer["faces"]) == len(answer["files"]) == 6
    face = answer["faces"][0]
    assert set(face) == {"box", "landmarks", "quad", "detector"}
    assert len(face["box"]) == 4 and len(face["landmarks"]) == 68 and len(face["quad"]) == 4
    assert {Image.open(path).size for path in answer["files"]} == {(512, 512)}


def test_align_takes_one_face_by_its_number(facelab, shared_photos, tmp_path):
    photo = shared_photos / "several_faces.jpg"
    status, out, _ = facelab("align", photo, "--out", tmp_path, "--face", 2, "--landmarks", "mtcnn", "--json")
    answer = json.loads(out)
    assert status == 0 and [Path(path).name for path in answer["files"]] == ["face-2.png"]
    assert len(answer["faces"][0]["landmarks"]) == 5
    status, _, err = facelab("align", shared_photos / "astronaut.png", "--out", tmp_path, "--face", 7)
    assert status == 1 and "--face 7" in err and "one face" in err


def test_embed_writes_a_face_and_its_picture(facelab, shared_photos, tmp_path):
    target = tmp_path / "new" / "face.npz"
    status, out, err = facelab(
        "embed", shared_photos / "astronaut.png", "--out", target, "--steps", 4, "--no-refine", "--json"
    )
    answer = json.loads(out)
    assert status == 0 and out.count("\n") == 1
    assert set(answer) == {"steps", "loss", "psnr", "identity_distance", "latent_distance", "seconds", "files"}
    assert answer["steps"] == 4 and 0 < answer["identity_distance"] < 1.5
    assert "4/4" in err, "progress belongs on stderr"
    face = Face.load(target)
    assert face.latent.space == "w+" and face.delta is None and face.crop.shape == (512, 512, 3)
    picture = Image.open(target.with_suffix(".png"))
    assert picture.size == (128, 128)
    assert "AI" in picture.text["Comment"] and picture.text["Software"].startswith("FaceLab")
    assert SOURCE_TYPE + "compositeWithTrainedAlgorithmicMedia" in picture.text["XML:com.adobe.xmp"]
    assert "astronaut" not in str(picture.text)


@pytest.mark.parametrize("group", [(), ("project",), ("models",)])
def test_without_a_command_there_is_help(facelab, group):
    status, out, said = facelab(*group)
    assert status == 2 and not out and said.startswith("Usage: ") and len(said.splitlines()) > 5


def test_embed_never_writes_over_the_photo(facelab, shared_photos, tmp_path):
    photo = tmp_path / "me.png"
    with Image.open(shared_photos / "astronaut.png") as picture:
        picture.save(photo)
    before = photo.read_bytes()
    status, _, said = facelab("embed", photo, "--out", tmp_path / "me.npz", "--steps", 2, "--no-refine")
    assert status == 1 and "over me.png, which this command reads" in said
    assert photo.read_bytes() == before and not (tmp_path / "me.npz").exists()


def test_embed_never_replaces_a_picture_that_nobody_named(facelab, shared_photos, tmp_path):
    out, beside = tmp_path / "e.npz", tmp_path / "e.png"
    Image.new("RGB", (8, 8)).save(beside)
    before = beside.read_bytes()
    embed = ("embed", shared_photos / "astronaut.png", "--out", out, "--steps", 2, "--no-refine")
    status, _, said = facelab(*embed)
    assert status == 1 and "would replace e.png" in said and beside.read_bytes() == before and not out.exists()
    beside.unlink()
    assert facelab(*embed)[0] == 0 and facelab(*embed)[0] == 0, "an older picture of ours is replaced"


def test_align_never_writes_over_the_photo(facelab, shared_photos, tmp_path):
    photo = tmp_path / "face-1.png"
    with Image.open(shared_photos / "astronaut.png") as picture:
        picture.save(photo)
    before = photo.read_bytes()
    status, _, said = facelab("align", photo, "--out", tmp_path)
    assert status == 1 and "over face-1.png, which this command reads" in said and len(said.splitlines()) == 1
    assert photo.read_bytes() == before
    status, _, _ = facelab("align", photo, "--out", tmp_path / "faces")
    assert status == 0 and [path.name for path in (tmp_path / "faces").iterdir()] == ["face-1.png"]


@pytest.mark.parametrize("command", ["sample", "neighbours", "embed"])
def test_a_seed_that_no_generator_takes_is_one_line(facelab, tmp_path, command):
    status, _, said = facelab(command, *([] if command == "sample" else ["x"]), "--out", "x.png", "--seed", 2**70)
    assert status == 2 and "seed" in said and len(said.splitlines()) == 1


def test_embed_takes_its_settings(facelab, shared_photos, tmp_path, monkeypatch):
    seen = {}
    plain = cli._embed
    monkeypatch.setattr(cli, "_embed", lambda *args: seen.update(settings=args[2]) or plain(*args))
    target = tmp_path / "face.npz"
    command = ("embed", shared_photos / "astronaut.png", "--out", target, "--steps", 2)
    assert facelab(*command, "--preset", "paper", "--space", "w", "--seed", 7)[0] == 0
    assert (seen["settings"].learning_rate, seen["settings"].space, seen["settings"].seed) == (0.01, "w", 7)
    assert not seen["settings"].refine and Face.load(target).latent.space == "w"


def test_sample_draws_a_grid_that_its_seed_decides(facelab, tmp_path):
    for name, seed in (("a.png", 1), ("b.png", 1), ("c.png", 2)):
        status, _, _ = facelab("sample", "--count", 4, "--seed", seed, "--out", tmp_path / name)
        assert status == 0
    first, again, other = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "abc")
    assert first.shape == (260, 260, 3)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    xmp = Image.open(tmp_path / "a.png").text["XML:com.adobe.xmp"]
    assert SOURCE_TYPE + "trainedAlgorithmicMedia" in xmp


def test_models_are_listed_with_their_licence(facelab):
    status, out, _ = facelab("models", "list", "--json")
    models = {model["name"]: model for model in json.loads(out)["models"]}
    assert status == 0 and "Non-commercial" in models["faces128"]["licence"]
    assert "faces128" in facelab("models", "list")[1]


def test_a_models_card_is_printed(facelab):
    status, out, _ = facelab("models", "card", "faces128")
    assert status == 0 and out.startswith("# Model card: faces128") and "| Smile | " in out
    assert json.loads(facelab("models", "card", "faces128", "--json")[1])["family"] == "stylegan2"
    status, _, said = facelab("models", "card", "nobody")
    assert status == 1 and "no model 'nobody'" in said


@pytest.fixture
def no_face(tmp_path):
    path = tmp_path / "wall.png"
    Image.new("RGB", (300, 200), "grey").save(path)
    return path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["align", "missing.jpg", "--out", "{folder}"], "missing.jpg"),
        (
            ["align", "{photo}", "--out", "{folder}/faces"],
            "No face was found in this photo (300 x 200). Turn",
        ),
        (["align", "{photo}", "--out", "{photo}"], "folder"),
        (["align", "{photo}", "--out", "{folder}", "--landmarks", "eyes"], "eyes"),
        (["align", "{photo}"], "--out"),
        (["embed", "{photo}", "--out", "{folder}/face.npz"], "No face"),
        (["embed", "{photo}", "--out", "{folder}/face.npz", "--steps", "0"], "steps"),
        (["embed", "{photo}", "--out", "{folder}/face.npz", "--space", "q"], "q"),
        (["embed", "{photo}", "--out", "{folder}/face.npz", "--model", "faces9"], "faces128"),
        (["embed", "{photo}", "--out", "{folder}/face.jpg"], ".npz"),
        (["embed", "{photo}", "--out", "{photo}/face.npz"], "folder"),
        (["sample", "--out", "{folder}", "--count", "1"], "must end in .png or .npz"),
        (["sample", "--out", "{photo}/sheet.png", "--count", "1"], "{photo}"),
        (["sample", "--out", "{folder}/a.png", "--count", "0"], "--count"),
        (["sample", "--out", "{folder}/a.png", "--bogus"], "--bogus"),
        (["paint"], "paint"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_a_failure(facelab, no_face, tmp_path, command, said):
    names = {"photo": no_face, "folder": tmp_path}
    status, out, err = facelab(*(part.format(**names) for part in command))
    assert status not in (0, None)
    assert out == "" and err.count("\n") == 1
    assert said.format(**names) in err and "Traceback" not in err


def test_ctrl_c_keeps_the_best_so_far(facelab, shared_photos, tmp_path, monkeypatch):
    from facelab.studio import Studio

    plain = Studio.embed

    def interrupted(self, *args, **kwargs):
        for step in plain(self, *args, **kwargs):
            yield step
            if step.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Studio, "embed", interrupted)
    target = tmp_path / "face.npz"
    status, out, err = facelab("embed", shared_photos / "astronaut.png", "--out", target, "--json")
    assert status == 0 and json.loads(out)["steps"] == 2
    assert json.loads(out)["identity_distance"] > 0
    assert "Stopped at step 2" in err and Face.load(target).latent.space == "w+"
    kept = Studio().signal_to_noise(Face.load(target))  # of what was kept, which a step's own picture is not
    assert json.loads(out)["psnr"] == pytest.approx(kept, abs=0.01)


def test_it_runs_as_a_module_and_keeps_stdout_to_itself(no_face):
    done = subprocess.run(
        [sys.executable, "-m", "facelab", "models", "list", "--json"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["models"] and done.stderr == ""
