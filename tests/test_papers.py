"""The papers beside our models: what was kept is told, what it decides is decided, and what is missing is named."""

import csv
import io
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from facelab.checkpoints import cards
from facelab.errors import BadWeights
from facelab.evaluation.circle import EDITS
from facelab.evaluation.comparison import REAL, Comparison, Row, with_ratios
from facelab.evaluation.figures import FEWEST
from facelab.evaluation.measured import keep
from facelab.evaluation.papers import pictures
from facelab.evaluation.papers.evidence import EXPERIMENTS, collect
from facelab.evaluation.papers.report import read_page, sections, write_page
from facelab.evaluation.papers.trainers import train_model, train_part
from facelab.evaluation.papers.training import at_rest
from facelab.studio import Studio
from facelab.training.command import app
from facelab.training.families import FAMILIES
from facelab.training.settings import DCGANSettings, PaperSettings
from facelab.training.stylegan2 import NEW_GENERATOR
from tests.tiny_circle import MODEL, put_circle

DOCS = Path(__file__).parents[1] / "docs"
SHIPPED = cards.checkpoint_folder()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Tiny models of the papers' families, a circle through one of them, and nothing measured."""
    folder, threads = tmp_path / "shelf", torch.get_num_threads()
    folder.mkdir()
    put_circle(folder)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(folder))
    cards._catalogue.cache_clear()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    cards._catalogue.cache_clear()


def change_card(shelf, name, **values):
    path = shelf / f"{name}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    cards._catalogue.cache_clear()


def compare(sharpness, **more):
    """Keep a comparison in which models have these sharpnesses, real faces 1000."""
    rows = [Row(REAL, 9, face_score=1.6, sharpness=1000.0, inception_score=3.0)]
    rows += [Row(name, 5000, sharpness=value, **{"face_score": 1.2, **more}) for name, value in sharpness.items()]
    weights = {name: cards.find_card(name).sha256 for name in sharpness}
    said = {"command": "python -m facelab evaluate ALL --save", "machine": "a machine", "weights": weights}
    Comparison(samples=5000, side=16, seed=1, rows=tuple(with_ratios(rows, rows[0])), **said).save()


def claim(words, docs):
    """The one claim that says this."""
    told = [each for part in sections(collect(docs)) for each in part.claims if words in each.says]
    assert len(told) == 1, [each.says for each in told]
    return told[0]


def settings_of(line):
    """The settings that the command line makes of a command, as `train` would be given them."""
    python, m, package, train, family, *options = shlex.split(line)
    assert (python, m, package, train) == ("python", "-m", "facelab", "train")
    given = typer.main.get_command(app).commands[family].make_context(family, options).params
    known = FAMILIES[family].settings.__dataclass_fields__
    return FAMILIES[family].settings(**{name: value for name, value in given.items() if name in known})


def keep_circle(**changes):
    edit = {"faces": 100, "flipped": 0.8, "gender_held": 0.05, "gender_plain": 0.4, "kept": 0.7, "person": 0.5}
    apart = {"plain_norm": 0.8, "sphere": 0.3, "chained": 0.3, "plain": 0.1, "latents": 0.05}
    figures = {
        "edits": {f"{id} {'+' if sign > 0 else '-'}": dict(edit) for id, sign in EDITS},
        "collapse": {"32": apart, "64": apart},
        "verification": {way: {"accuracy": value} for way, value in (("raw", 0.97), ("great_circle", 0.98))},
    }
    speed = {"from_vectors": 700.0, "from_pixels": 200.0, "walk_seconds": changes.pop("walk_seconds", 0.5)}
    keep("circle-speed", MODEL, {"speed": speed}, command="evaluate tiny --circle --faces 0", using=["circle"])
    for place, value in changes.items():
        *path, last = place.split("__")
        inner = figures
        for name in path:
            inner = inner[name]
        inner[last] = value
    keep("circle", MODEL, figures, command="evaluate tiny --circle", using=["circle"])


def test_without_any_figure_everything_is_named_with_the_command_that_measures_it(shelf, tmp_path):
    text, shown = read_page(tmp_path)
    for command in (
        "evaluate tinyvae tinycvae tinyvaegan tinydcgan tinybegan tinyprogan --data DATA --samples 5000",
        "evaluate tinybegan --data DATA --circle --faces 200 --save",
        "recovery tinyprogan --targets 100 --restarts 8 --save",
        "recovery tinydcgan --targets 0 --combinations 200 --save",
        "experiments image2stylegan",
    ):
        assert f"`python -m facelab {command}" in text, command
    assert all(each.holds is None for part in sections(collect(tmp_path)) for each in part.claims)
    assert "| Inception Score, VAE | 1.704 (table 4.1) | not measured | 1 |" in text
    assert {each.model for each in shown} == set(cards.catalogue())
    assert "Tiny dcgan: 16 random faces, truncation 0.7." in text
    assert "Tiny progan: 16 random faces." in text, "whose prior is normalised, so that it knows no truncation"


def test_an_empty_shelf_names_the_trainings(shelf, tmp_path):
    for path in shelf.iterdir():
        path.unlink()
    cards._catalogue.cache_clear()
    text, shown = read_page(tmp_path)
    assert not shown and "`python -m facelab train dcgan --data DATA --out RUN`, not run yet" in text
    assert "| Laplacian variance, GAN (DCGAN) | 2,506.18 (table 4.1) | not measured (no model yet) |" in text


def test_orders_are_decided_by_the_figures_and_a_broken_one_says_where_and_why(shelf, tmp_path):
    compare({"tinyvae": 200.0, "tinyvaegan": 800.0, "tinydcgan": 1200.0})
    assert claim("Sharpness", tmp_path).holds is True
    assert claim("as sharp as real ones", tmp_path).holds is True
    change_card(shelf, "tinydcgan", training={"images": 50, "wanted": 100, "epochs": 2.0})
    compare({"tinyvae": 200.0, "tinyvaegan": 1500.0, "tinydcgan": 1400.0})
    broken = claim("Sharpness", tmp_path)
    assert broken.holds is False and "VAE/GAN is not below GAN (DCGAN)." in broken.told
    meant = DCGANSettings().images  # a run that was told to see less falls short all the same
    assert f"tinydcgan has seen 50 of the {meant:,} pictures that were meant and 2 of" in broken.told
    assert claim("as sharp as real ones", tmp_path).holds is False, "1.4 of real faces"
    compare({"tinyvae": 200.0, "tinyvaegan": 1500.0})
    open_one = claim("Sharpness", tmp_path)
    assert open_one.holds is None and "Ours so far: VAE 200.0, VAE/GAN 1,500.0." in open_one.told


def test_the_least_diverse_and_the_best_are_found_whatever_their_order(shelf, tmp_path):
    compare({"tinyvae": 1.0, "tinydcgan": 1.0, "tinyvaegan": 1.0}, diversity=0.5)
    assert claim("least diverse", tmp_path).holds is False, "equal is not less"
    change_card(shelf, "tinyprogan", family="stylegan2")
    rows = [
        Row(name, 9, face_score=score, sharpness=1.0, frechet=0.2)
        for name, score in (("tinyvae", 1.3), ("tinyprogan", 1.4))
    ]
    said = {"command": "c", "machine": "m", "weights": {}}
    Comparison(samples=9, side=16, seed=1, rows=tuple(rows), **said).save()
    best = claim("best face score", tmp_path)
    assert best.holds is None and best.earlier and "Missing: VAE/GAN" in best.told, "two of six"
    assert claim("lowest Fréchet", tmp_path).holds is False, "as far as the VAE's"


def test_a_score_that_needs_weights_says_which(shelf, tmp_path):
    compare({"tinyvae": 200.0})
    assert (
        "| Inception Score, VAE | 1.704 (table 4.1) | not measured (needs Inception's weights) |"
        in (read_page(tmp_path)[0])
    )
    assert "torch-fidelity" not in read_page(tmp_path)[0], "real faces have theirs: it is here"
    saved = json.loads((shelf / cards.COMPARISON).read_text())
    saved["rows"][0]["inception_score"] = None
    (shelf / cards.COMPARISON).write_text(json.dumps(saved))
    text = read_page(tmp_path)[0]
    assert "The Inception Score: Needs the package torch-fidelity" in text
    assert "--side 64 --reconstruct 100 --save`, not run yet" in text, "of models that are not compared"
    compare(dict.fromkeys(cards.catalogue(), 200.0), diversity=0.5, frechet=0.2)
    change_card(shelf, "tinyprogan", family="stylegan2")
    text = read_page(tmp_path)[0]
    assert "| not measured (needs Inception's weights) | 1 |" in text and "| 200.0 | 1 |" in text
    assert "--side 64 --reconstruct 100 --save`, not run yet" not in text, "the same command tells it"


def test_what_ships_is_trained_by_commands_that_give_its_networks_and_its_pictures():
    for card in cards.catalogue().values():
        *_, begun = lines = [settings_of(line) for line in train_model(card)]
        assert begun.images <= card.training["images"] < begun.images + begun.batch, card.name
        config = lines[0].config if isinstance(begun, PaperSettings) else NEW_GENERATOR
        assert (config, lines[0].resolution) == (card.config, card.resolution), card.name
        assert tuple(getattr(lines[0], "attributes", "").split()) == card.conditions
        for part, family in {"circle": "circle", "encoder": "inverter"}.items():
            if "images" in card.companions.get(part, {}):
                told = settings_of(train_part(family, card, part).text)
                assert (told.model, told.images) == (card.name, card.companions[part]["images"])


def test_a_training_command_says_what_card_and_losses_tell(shelf, tmp_path):
    def command(name):
        return [line.removeprefix("python -m facelab train ") for line in train_model(cards.find_card(name))]

    shape = "--resolution 16 --images 1"
    end = "--data DATA --out RUN"
    assert command("tinydcgan") == [f"dcgan {shape} --z-dim 6 --channels 4 {end}"]
    assert command("tinycvae") == [f'vae {shape} --z-dim 6 --channels 4 --attributes "Smiling Young" {end}']
    note = "Grow images 30,000, fade images 60,000, loss logistic."
    change_card(shelf, "tinyprogan", training={"images": 1, "note": note})
    grown = "--z-dim 6 --channels 4 --channel-base 64 --grow-images 30000 --loss logistic"
    assert command("tinyprogan") == [f"progan {shape} {grown} {end}"]
    note = "R1 gamma 0.5, gamma 2.5; learning rate 0.001 up to 1,024 pictures, 0.0004 since."
    change_card(shelf, "tinyvaegan", training={"images": 2048, "losses": "tinyvaegan-losses.csv", "note": note})
    (shelf / "tinyvaegan-losses.csv").write_text("step,images\n32,1024\n64,2048\n")
    batch = "--batch 32 --learning-rate 0.001"
    assert command("tinyvaegan") == [
        f"vaegan --resolution 16 --images 1024 {batch} --z-dim 6 --channels 4 --gamma 2.5 --r1-gamma 0.5 {end}",
        f"vaegan --resume --learning-rate 0.0004 --images 2048 {end}",
    ]
    meant = DCGANSettings()
    change_card(shelf, "tinydcgan", training={"images": meant.images + meant.batch - 1})
    assert "--images" not in command("tinydcgan")[0], "the last batch went beyond what is meant"
    text = read_page(tmp_path)[0]
    assert f"4. `python -m facelab train {command('tinydcgan')[0]}`\n" in text
    assert "| GAN (DCGAN) | tinydcgan |" in text and "`, then `python -m facelab train vaegan --resume" in text
    assert "7. `python -m facelab train stylegan2 --data DATA --out RUN`, not run yet" in text
    change_card(shelf, "tinydcgan", companions={"encoder": {"images": 96}})
    change_card(shelf, "tinybegan", companions={"circle": {"images": 850, "hours": 0.4}})
    text = read_page(tmp_path)[0]
    assert (
        "`python -m facelab train inverter --model tinydcgan --images 96 --data DATA --out RUN`, on a machine" in text
    )
    assert "`python -m facelab train circle --model tinybegan --images 850 --data DATA --out RUN`, on a machine" in text
    assert "names; the number is of all its runs together" in text


def test_figures_of_earlier_weights_say_so(shelf, tmp_path):
    compare({"tinyvae": 200.0})
    keep_circle()
    assert "of earlier weights" not in read_page(tmp_path)[0].lower()
    change_card(shelf, "tinyvae", sha256="0" * 64)
    assert "| Laplacian variance, VAE | 251.79 (table 4.1) | 200.0 (of earlier weights) |" in read_page(tmp_path)[0]
    change_card(shelf, MODEL, companions={"circle": {"sha256": "0" * 64}})
    assert claim("faces a second from vectors", tmp_path).earlier


def test_the_circles_goals_and_the_papers_claims_are_decided(shelf, tmp_path):
    keep_circle()
    says = ("from vectors", "from pixels", "500 steps", "each of the ten edits", "flip the gender", "great circle")
    assert all(claim(each, tmp_path).holds for each in (*says, "plain means"))
    assert "By the plain walk: Beard: bearded 40 %, Beard: shaved 40 %" in claim("flip the gender", tmp_path).told
    keep_circle(**{"edits__makeup +__gender_held": 0.2, "edits__eyes +__flipped": 0.7, "walk_seconds": 1.5})
    assert "Outside: Make-up: with." in claim("flip the gender", tmp_path).told
    assert "Outside: Eyes: wider." in claim("each of the ten edits", tmp_path).told
    assert claim("500 steps", tmp_path).holds is False and claim("from vectors", tmp_path).holds is True
    keep_circle(collapse__64__latents=0.25, verification__great_circle__accuracy=0.97)
    assert (
        claim("plain means", tmp_path).holds is False and "of 64 are 0.250 apart" in claim("plain means", tmp_path).told
    )
    assert claim("great circle", tmp_path).holds is False, "no better"
    text = read_page(tmp_path)[0]
    row = "| Smile: smiling | 100 | 80 % | 5 % | 40 % | 70 % |"
    assert f"{row} – | – | – | – | – | – | – | – | – | – | – |" in text, "measured before those ways were"
    until = {"flipped": 0.9, "arrived": 0.99, "steps": 120.0, "gender_held": 0.07, "kept": 0.6}
    keep_circle(**{"edits__smile +__until": until})
    assert f"{row} – | – | – | – | – | – | 90 % | 99 % | 120 | 7 % | 60 % |" in read_page(tmp_path)[0]
    preset = {"strength": 1.5, "flipped": 0.74, "gender_held": 0.1, "kept": 0.6, "person": 0.2}
    keep_circle(**{"edits__smile +__preset": preset, "edits__beard -__preset": preset | {"gender_held": 0.11}})
    text = read_page(tmp_path)[0]
    assert f"{row} 1.5 | 74 % | 10 % | – | 60 % | 20 % | – | – | – | – | – |" in text
    assert "| still the decoded face's person there | still the photo's person there |" in text
    assert "Outside: Smile: smiling, Beard: shaved." in claim("each of the ten edits", tmp_path).told
    assert "Outside: Beard: shaved." in claim("flip the gender", tmp_path).told, "what people see counts"
    keep_circle(**{"edits__beard -__preset": preset | {"gender_plain": 0.9}})
    assert "Beard: shaved 90 %" in claim("flip the gender", tmp_path).told, "as far as the held one"
    keep_circle(**{"edits__beard -__gender_held": 0.5, "edits__beard -__faces": FEWEST - 1})
    assert claim("flip the gender", tmp_path).holds, "of too few faces a share says nothing"
    assert f"| Beard: shaved | {FEWEST - 1} (too few) |" in read_page(tmp_path)[0]
    assert "| faces a second from vectors, 16 px, tinybegan | 100 (GTX 1080, section 6.1) | 700 |" in text


def test_recovery_is_held_to_its_goal_and_three_latents_are_tested(shelf, tmp_path):
    found = {"restarts": 8, "steps": 1000, "targets": 100, "recovered": 0.93, "psnr_median": 33.0, "steps_median": 200}
    keep("recovery", "tinyprogan", found, command="recovery tinyprogan")
    keep("recovery", "tinydcgan", found | {"recovered": 0.4, "targets": 10}, command="recovery tinydcgan")
    assert claim("PGGAN: 90 % of 100", tmp_path).holds is True
    missed = claim("GAN (DCGAN): 90 % of 100", tmp_path)
    assert missed.holds is False and "Of 10 pictures by 8 restarts, not as the goal has it." in missed.told
    keep("recovery-encoder", "tinydcgan", found | {"start": "encoder"}, command="recovery tinydcgan --start encoder")
    reached = claim("GAN (DCGAN): 90 % of 100", tmp_path)
    assert reached.holds is True and "begins where its encoder points" in reached.told
    shares = {"pairs": 9, "draws": 0.9, "of_1": 0.6, "of_3": 0.9}
    for name in ("tinyprogan", "tinydcgan"):
        keep("combinations", name, shares, command=f"recovery {name} --combinations 9")
    assert claim("needs the mean of 3", tmp_path).holds is True
    assert claim("does without the mean of 3", tmp_path).holds is False
    keep("combinations", "tinydcgan", shares | {"of_1": 0.88}, command="recovery")
    assert claim("needs the mean of 3", tmp_path).holds is False


def test_an_unseen_face_is_compared_by_recovery_not_by_an_encoder_that_one_model_has(shelf, tmp_path):
    for name, far, by_encoder in (("tinyprogan", 0.7, 0.9), ("tinydcgan", 0.8, 0.6)):
        stages = {"encoder": {"identity_median": by_encoder}, "recover": {"identity_median": far, "psnr_median": 20.0}}
        keep("embedding-z", name, {"space": "z", "embedded": 9, "embedding": stages}, command=f"evaluate {name}")
    assert claim("draws an unseen face better", tmp_path).holds is True
    stages = {"recover": {"identity_median": 0.9, "psnr_median": 20.0}}
    command = "evaluate tinyprogan --embed 9 --steps 300"
    keep("embedding-z", "tinyprogan", {"space": "z", "embedded": 9, "embedding": stages}, command=command)
    why = claim("draws an unseen face better", tmp_path)
    assert why.holds is False and "has seen 1 pictures" in why.told and "searched for" not in why.told
    stages = {"recover": {"identity_median": 0.8, "psnr_median": 20.0}}
    command = "evaluate tinydcgan --embed 9 --steps 300"
    keep("embedding-z", "tinydcgan", {"space": "z", "embedded": 9, "embedding": stages}, command=command)
    assert "searched for in both alike, in 300 steps" in claim("draws an unseen face better", tmp_path).told


def test_experiments_of_image2stylegan_stand_with_their_verdicts(shelf, tmp_path):
    path = tmp_path / EXPERIMENTS
    path.parent.mkdir()
    told = {"text": "Noise kept constant is better.", "holds": True, "numbers": "30.1 against 28.4 dB"}
    of = {
        "title": "Noise",
        "source": "Fig. 16",
        "claims": [told],
        "command": "python -m facelab experiments x",
        "machine": "m",
        "weights": cards.find_card("tinydcgan").sha256,
    }
    path.write_text(json.dumps({"machine": "m", "command": "c", "experiments": {"noise": of}}))
    text = read_page(tmp_path)[0]
    assert "- **Noise kept constant is better** (Fig. 16): holds. 30.1 against 28.4 dB. [1]" in text
    change_card(shelf, "tinydcgan", sha256="0" * 64)
    assert "30.1 against 28.4 dB. Of earlier weights. [1]" in read_page(tmp_path)[0]
    assert "(image2stylegan/image2stylegan.md)" in text and "`python -m facelab experiments x`, on m" in text
    path.write_text("{")
    with pytest.raises(BadWeights, match="experiments image2stylegan"):
        read_page(tmp_path)


def test_losses_are_at_rest_where_they_stay():
    falls = [{"images": str(n), "loss": str(100.0 if n < 50 else 1.0), "flat": "3"} for n in range(200)]
    assert 50 <= at_rest(falls) <= 60, "but for smoothing"
    assert at_rest([{"images": str(n), "loss": str(n)} for n in range(100)]) is None, "one that never ends"
    found = []
    for noise in np.random.default_rng(0).normal(size=(9, 400)):
        values = np.exp(-np.arange(400) / 8) + 0.3 * noise
        found.append(at_rest([{"images": str(n), "loss": str(each)} for n, each in enumerate(values)]) or len(values))
    assert np.median(found) < 60, "swings at the end are no way to go"
    steered = [{**row, "k": str(n), "real_sign": str(n)} for n, row in enumerate(falls)]
    assert at_rest(steered) == at_rest(falls), "what steers a training is no loss"
    assert at_rest([]) is None and at_rest([{"images": "1", "flat": "2"}] * 9) is None


def test_every_picture_is_drawn_by_its_model_and_says_that_it_was_made(shelf, tmp_path, monkeypatch):
    for name in ("faces128.json", "faces128-judge.safetensors", "faces128.safetensors"):
        shutil.copy(SHIPPED / name, shelf)
    cards._catalogue.cache_clear()
    with (shelf / "tinyvae-losses.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "images", "seconds", "kl"], *([n, 32 * n, n, n / 9] for n in range(20))])
    change_card(shelf, "tinyvae", training={"images": 640, "losses": "tinyvae-losses.csv"})
    quality = [{"images": str(n), "samples": "9", "judge": str(1 / n), "identity": "", "found": "1"} for n in (1, 2, 3)]
    keep("run", "tinyvae", {"rows": quality}, command="evaluate tinyvae --run RUN")
    for name, value in {"GROUPS": (2, 3), "MAPPED": 40}.items():
        monkeypatch.setattr(pictures, name, value)
    monkeypatch.setattr(pictures, "RECOVERY", pictures.replace(pictures.RECOVERY, steps=20, preview_every=10))
    shown = [each for each in read_page(tmp_path)[1] if each.model != "faces128"]
    kinds = {each.name.partition("-")[0] for each in shown}
    assert kinds == set(pictures.KINDS) and len(shown) == len({each.name for each in shown})
    studio = Studio("tinyvae", device="cpu")
    for each in shown:
        with Image.open(io.BytesIO(each.draw(studio.of(each.model)))) as picture:
            assert picture.format == ("PNG" if each.name.endswith("png") else "JPEG") and min(picture.size) > 40
            if picture.format == "JPEG":
                assert b"trainedAlgorithmicMedia" in picture.info["xmp"], each.name


def test_the_command_writes_page_and_pictures_and_clears_only_its_own(facelab, shelf, tmp_path):
    for path in [*shelf.glob("tiny*")]:
        if not path.name.startswith("tinydcgan"):
            path.unlink()
    cards._catalogue.cache_clear()
    docs = tmp_path / "docs"
    (docs / "papers").mkdir(parents=True)
    for name in ("sheet-older.jpg", "my-own.jpg"):
        (docs / "papers" / name).write_bytes(b"")
    status, out, said = facelab("papers", "--out", docs, "--no-pictures", "--json")
    assert status == 0 and json.loads(out)["files"] == [str(docs / "papers.md")], said
    assert (docs / "papers" / "sheet-older.jpg").exists(), "pictures are left alone"
    drawn = {"sheet-tinydcgan.jpg": b"1"}
    write_page(docs, "text", drawn)
    assert {path.name for path in (docs / "papers").iterdir()} == {"sheet-tinydcgan.jpg", "my-own.jpg"}


def test_the_page_in_the_repository_is_what_the_command_writes():
    text, shown = read_page(DOCS)
    again = "Write it anew: python -m facelab papers"
    assert (DOCS / "papers.md").read_text(encoding="utf-8") == text, again
    files = list((DOCS / "papers").iterdir())
    assert {path.name for path in files} == {each.name for each in shown}, again
    assert sum(path.stat().st_size for path in files) < 2_000_000
