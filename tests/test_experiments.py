"""Image2StyleGAN's experiments on a tiny generator."""

import dataclasses
import hashlib
import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from facelab.checkpoints import cards
from facelab.checkpoints.cards import Card
from facelab.checkpoints.weights import build_networks, load_model
from facelab.embedding import embed
from facelab.embedding_settings import EmbedSettings
from facelab.errors import BadSetting
from facelab.experiments import figures, paper
from facelab.experiments.batch import embed_batch
from facelab.experiments.curves import compare_ends, converged
from facelab.experiments.geometry import between_kinds
from facelab.experiments.image2stylegan import EXPERIMENTS, choose, run
from facelab.experiments.lab import Lab, Setup, plain_settings
from facelab.experiments.pictures import BUNDLED, LICENCES, Picture, bundled, collect, draw, take_photos, vary_faces
from facelab.experiments.results import Claim, Figure, Report, Result, Table
from facelab.experiments.robustness import hole, transform
from facelab.perceptual import discriminator_distance
from facelab.pixels import as_images
from facelab.template import TEMPLATE_EYES


@pytest.fixture(scope="module", autouse=True)
def shelf(tmp_path_factory):
    """A catalogue of one untrained StyleGAN2 of 16 px with its discriminator."""
    folder, patch, threads = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch(), torch.get_num_threads()
    torch.manual_seed(0)
    config = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2, "channel_base": 256, "channel_max": 8}
    known = {"alignment": "ffhq", "downsample": "average", "data": "noise", "licence": "none"}
    card = Card("tiny", "Tiny", "stylegan2", 16, ("z", "w", "w+"), sha256="", config=config, **known)
    generator, discriminator = build_networks(card)
    with torch.no_grad():
        generator.mapping.w_avg.normal_(0, 0.3)
        for name, value in generator.named_parameters():
            if name.endswith("noise_strength"):
                value.fill_(0.3)
            if "torgb.weight" in name:
                value.mul_(0.3)
    tensors = {f"g.{name}": value for name, value in generator.state_dict().items()}
    tensors |= {f"d.{name}": value for name, value in discriminator.state_dict().items()}
    data = save({name: value.contiguous() for name, value in tensors.items()})
    (folder / "tiny.safetensors").write_bytes(data)
    (folder / "tiny.json").write_text(dataclasses.replace(card, sha256=hashlib.sha256(data).hexdigest()).to_json())
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture
def lab():
    return Lab("tiny", steps=4, seed=1)


def pictures_of(lab, faces=2):
    return collect(lab.generator, faces=faces, photos=None, seed=1)


@pytest.mark.parametrize("space", ["z", "w", "w+"])
@pytest.mark.parametrize("start", ["mean", "random"])
def test_a_batch_finds_what_single_embeddings_find(space, start):
    generator, discriminator = load_model("tiny")
    images = [draw(16, seed) for seed in (1, 2, 3)]
    settings = EmbedSettings(space=space, start=start, steps=6, learning_rate=0.05, preview_every=0)
    batch = as_images(images)
    told = []
    found = embed_batch(
        generator,
        batch,
        settings,
        seeds=[4, 5, 6],
        distance=discriminator_distance(discriminator, batch),
        progress=told.append,
    )
    assert told == [1, 2, 3, 4, 5, 6]
    for number, (image, each) in enumerate(zip(images, found, strict=True)):
        single = dataclasses.replace(settings, seed=4 + number)
        steps = list(embed(generator, image, single, perceptual=partial(discriminator_distance, discriminator)))
        losses = np.array([step.losses["total"] for step in steps])
        np.testing.assert_allclose(each.curve, losses, rtol=0.03)
        assert each.loss == each.curve.min() and each.loss == pytest.approx(each.pixel + each.perceptual, rel=1e-4)
        assert each.away == pytest.approx(steps[-1].latent_distance, rel=0.02)
        assert each.away_per_row == pytest.approx(steps[-1].latent_distance_per_row, rel=0.02)
        assert each.psnr == pytest.approx(steps[-1].psnr, abs=0.2)
        assert each.rows.shape == (generator.num_layers, 8)
        np.testing.assert_allclose(each.image, steps[-1].image, atol=6)


def test_a_search_gets_nearer():
    lab = Lab("tiny", steps=60, seed=1)
    pixels = lab.draw(lab.generator.sample(1, seed=7))[0]
    found = lab.embed([Picture("own", "face", pixels)], "")[0]
    assert found.loss < 0.3 * found.curve[0]


def test_nothing_is_embedded_twice(lab, monkeypatch):
    pictures, batches = pictures_of(lab), []

    def counted(generator, targets, *rest, **options):
        batches.append(len(targets))
        return embed_batch(generator, targets, *rest, **options)

    monkeypatch.setattr("facelab.experiments.lab.embed_batch", counted)
    first = lab.embed(pictures[:2], "")
    again = lab.embed([pictures[1], pictures[0], pictures[1]], "")
    assert batches == [2] and [again[0], again[1], again[2]] == [first[1], first[0], first[1]]
    lab.embed(pictures[:1], "", space="w")
    lab.embed(pictures[:1], "", setup=Setup(network="random"))
    assert batches == [2, 1, 1]


def test_a_random_start_is_each_pictures_own_and_does_not_hang_on_its_batch(lab):
    pictures = [Picture(str(seed), "drawing", draw(16, seed)) for seed in (1, 2, 3)]
    alone = Lab("tiny", steps=4, seed=1).embed(pictures[2:], "")[0]
    together = lab.embed(pictures, "")
    torch.testing.assert_close(together[2].rows, alone.rows, atol=0.02, rtol=0.02)
    assert (together[0].rows - together[1].rows).abs().max() > 0.5
    other = Lab("tiny", steps=4, seed=2).embed(pictures[2:], "")[0]
    assert (other.rows - alone.rows).abs().max() > 0.5


def test_setups_change_what_they_say(lab):
    trained, random, noisy = (lab.network(name) for name in ("trained", "random", "other noise"))
    weight, buffer = "synthesis.b8.conv0.weight", "synthesis.b8.conv0.noise_const"
    assert torch.equal(noisy.state_dict()[weight], trained.state_dict()[weight])
    assert not torch.equal(noisy.state_dict()[buffer], trained.state_dict()[buffer])
    assert not torch.equal(random.state_dict()[weight], trained.state_dict()[weight])
    draws = random.map(torch.randn(2000, 8, generator=torch.Generator().manual_seed(9)))
    assert (random.mean_latent() - draws.mean(dim=0)).abs().max() < 0.2 * draws.std()
    image, target = (as_images(draw(16, seed)[None]) for seed in (1, 2))
    features, goals = (lab.discriminator.features(each) for each in (image, target))
    errors = [
        ((one - two).float().square().mean() / two.float().square().mean()).item()
        for one, two in zip(features, goals, strict=True)
    ]
    assert lab.distance(target)(image).item() == pytest.approx(np.mean(errors), rel=0.02)
    assert lab.distance(target, Setup(layers=(1,)))(image).item() == pytest.approx(errors[1], rel=0.02)
    twice = [each.repeat_interleave(2, 2).repeat_interleave(2, 3) for each in (image, target)]
    near, far = lab.distance(target, Setup(side=32))(image).item(), lab.distance(twice[1])(twice[0]).item()
    assert near != pytest.approx(np.mean(errors), rel=0.01) and near == pytest.approx(far, rel=0.5)


def test_short_searches_go_faster_and_long_ones_as_the_paper():
    long, short = plain_settings(paper.STEPS, 0), plain_settings(300, 0)
    assert (long.steps, long.learning_rate, long.schedule) == (5000, paper.LEARNING_RATE, "constant")
    assert short.learning_rate > long.learning_rate and short.schedule == "cosine"


def test_faces_are_varied_draws(lab):
    faces = vary_faces(lab.generator, 3, seed=1)
    again, other = vary_faces(lab.generator, 3, seed=1), vary_faces(lab.generator, 3, seed=2)
    assert np.array_equal(faces, again) and not np.array_equal(faces, other)
    assert all(face.shape == (16, 16, 3) and face.dtype == np.uint8 for face in faces)
    before = torch.random.get_rng_state()
    vary_faces(lab.generator, 1, seed=3)
    assert torch.equal(before, torch.random.get_rng_state()), "the caller's random numbers were used up"


def test_photos_are_of_the_val_split(lab, tmp_path):
    path = tmp_path / "faces.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(6):
            with archive.open(f"images/{number}.png", "w") as file:
                Image.new("RGB", (80, 64), (40 * number, 0, 0)).save(file, "PNG")
        lines = [f"{number},{'val' if number < 2 else 'train'}" for number in range(6)]
        archive.writestr("labels.csv", "\n".join(["image,split", *lines]))
    photos = take_photos(path, 4, side=16, seed=1)
    assert sorted(int(photo.image[0, 0, 0]) for photo in photos) == [0, 40]
    assert not any(photo.shown for photo in photos) and all(photo.start == "mean" for photo in photos)
    pictures = collect(lab.generator, faces=2, photos=path, seed=1)
    assert [picture.kind for picture in pictures[:4]] == ["face", "face", "photo", "photo"]
    Image.new("RGB", (80, 64)).save(tmp_path / "alone.png")
    assert len(take_photos(tmp_path, 4, side=16, seed=1)) == 1, "all of them, where nothing says which are val"
    with pytest.raises(BadSetting, match="There is no"):
        take_photos(tmp_path / "none", 1, side=16, seed=1)


def test_bundled_pictures_have_licences_and_show_nobody():
    assert {name for _, name, *_ in BUNDLED} == set(LICENCES)
    assert not any("astronaut" in file or "lfw" in file or "camera" in file for file, *_ in BUNDLED)
    found = bundled(16)
    assert len(found) in (0, len(BUNDLED)) and all(picture.image.shape == (16, 16, 3) for picture in found)


def test_drawings_are_left_where_scikit_image_is_not(lab, monkeypatch):
    monkeypatch.setattr("facelab.experiments.pictures.find_spec", lambda name: None)
    pictures = pictures_of(lab)
    assert [picture.kind for picture in pictures] == ["face", "face", "drawing", "drawing"]
    assert not np.array_equal(pictures[2].image, pictures[3].image)
    assert [result.name for result in run(lab, pictures, ["spaces", "distances", "morphs"])]


def test_transforms_are_the_papers():
    image = np.arange(64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    right, left = transform(image, "right by 140 px"), transform(image, "left by 160 px")
    assert np.array_equal(right[:, 9:], image[:, :-9]) and not right[:, :9].any()  # 140 of 1024 px
    assert np.array_equal(left[:, :-10], image[:, 10:]) and not left[:, -10:].any()
    out = transform(np.full_like(image, 200), "zoom out 2 x")
    assert out[16:48, 16:48].min() == 200 and out.sum() == 200 * 32 * 32 * 3
    assert transform(image, "zoom in 2 x").shape == image.shape
    turned = transform(transform(image, "turned by 90°"), "turned by 90°")
    assert np.array_equal(turned, transform(image, "turned by 180°"))
    assert all(transform(image, name).shape == image.shape for name in paper.TRANSFORMS)
    with pytest.raises(ValueError, match="knows"):
        transform(image, "upside down")


def test_holes_cover_their_parts():
    eyes, both = hole(128, ["eyes"]), hole(128, ["eyes", "mouth"])
    for x, y in TEMPLATE_EYES:
        assert eyes[round(y * 128), round(x * 128)]
    assert not eyes[round(0.755 * 128), 64] and both[round(0.755 * 128), 64] and (both | eyes == both).all()
    assert 0.02 < eyes.mean() < 0.15


def test_a_curve_converges_where_it_stays_near_its_lowest():
    assert converged(np.array([4.0, 1.05, 2.0, 1.0, 1.02])) == 4
    assert converged(np.ones(5)) == 1
    assert converged(np.array([3.0, 2.0, 1.0])) == 3


def test_drawn_faces_and_photos_are_each_compared_with_what_is_no_face():
    def table(photo, drawing):
        losses = {"face": 0.07, "photo": photo, "cat": 0.16, "drawing": drawing}
        rows = [(kind, 4, 1.0, low, 110 + at, None) for at, (kind, low) in enumerate(losses.items())]
        return Table(
            ("kind", "pictures", "first loss", "lowest loss", "converged at", "converged at, paper"), tuple(rows)
        )

    def verdicts(of, **how):
        return {claim.text: claim.holds for claim in compare_ends(of, **how)}

    first, lowest = ("Drawn faces converge first.", "Photos of faces converge first."), "Photos of faces end lowest."
    told = verdicts(table(0.09, 0.08), constant=False)
    assert told == dict.fromkeys(first) | {"Drawn faces end lowest.": True, lowest: False}
    assert "plain shapes" in compare_ends(table(0.09, 0.08), constant=False)[-1].told
    assert verdicts(table(0.09, 0.2), constant=True) == dict.fromkeys([*first, "Drawn faces end lowest.", lowest], True)
    assert "plain shapes" not in compare_ends(table(0.17, 0.2), constant=True)[-1].told, "the cat ends lower, too"
    lone = Table(table(1, 1).columns, table(1, 1).rows[:1])
    assert verdicts(lone, constant=True) == {"Drawn faces converge first.": None, "Drawn faces end lowest.": None}


def test_the_kept_report_claims_of_its_curves_what_its_numbers_say():
    folder = Path(__file__).parents[1] / "docs" / "image2stylegan"
    kept = Result.of_dict(json.loads((folder / "image2stylegan.json").read_text())["experiments"]["loss-curves"])
    assert kept.claims == compare_ends(kept.tables[0], constant=False)
    assert kept.markdown() in (folder / "image2stylegan.md").read_text()


def test_distances_are_means_between_kinds():
    apart = np.array([[0, 2, 5.0], [2, 0, 7], [5, 7, 0]])
    table = between_kinds(apart, ["face", "face", "cat"])
    assert table.columns == ("", "face", "cat") and table.rows == (("face", 2.0, 6.0), ("cat", 6.0, None))


def test_reports_round_trip_and_keep_what_was_not_run(tmp_path):
    claim = Claim("Water is wet.", False, "1 against 2", why="It rained.")
    assert (
        claim.markdown().endswith("1 against 2. It rained.")
        and "rained" not in dataclasses.replace(claim, holds=True).told
    )
    table = Table(("a", "b"), (("x", 1.5), ("y", None)), "Two rows:")
    one = Result("one", "One", "Fig. 1", "Text.", (table,), (claim,), (Figure("one.jpg", "A figure.", b"jpg"),))
    empty = Report("study", "# Head\n", ("one", "two"), "command 1", "machine 1", "9fecdae29ebe")
    first = empty.with_result(one)
    assert [path.name for path in first.save(tmp_path)] == ["study.md", "study.json", "one.jpg"]
    assert "Not run yet: two. `python -m facelab experiments study --only two`" in (tmp_path / "study.md").read_text()
    second = dataclasses.replace(empty, command="command 2").with_earlier(tmp_path)
    second = second.with_result(Result("two", "Two", "Fig. 2", "More."))
    second.save(tmp_path)
    text, saved = (tmp_path / "study.md").read_text(), json.loads((tmp_path / "study.json").read_text())
    assert text.index("## One") < text.index("## Two") and "Not run" not in text
    assert "By `command 1`, 0 s of processor time, of weights 9fecdae2." in text and "By `command 2`" in text
    assert "| x | 1.5 |" in text and "| y | – |" in text and "| --- | --: |" in text
    assert "Water is wet. **Does not hold here**: 1 against 2." in text
    assert set(saved) == {"machine", "command", "experiments"} and list(saved["experiments"]) == ["one", "two"]
    assert saved["experiments"]["one"]["command"] == "command 1"
    assert (tmp_path / "one.jpg").read_bytes() == b"jpg", "a figure of an earlier run was overwritten"
    assert dataclasses.replace(empty, weights="newer").with_earlier(tmp_path).results == {}
    (tmp_path / "study.json").write_text("[]")
    with pytest.raises(BadSetting, match="no report"):
        empty.with_earlier(tmp_path)


def test_experiments_are_chosen_by_name():
    assert choose(None) == list(EXPERIMENTS)
    assert choose("noise, spaces") == ["spaces", "noise"]
    for wrong in ("nose", "", ","):
        with pytest.raises(BadSetting, match="the experiments are spaces"):
            choose(wrong)


def test_every_experiment_gives_tables_and_figures_without_photos(lab, monkeypatch):
    seen = set()

    def watched(rows, **_):
        seen.update(image.tobytes() for _, images in rows for image in images)
        return np.zeros((128, 128, 3), np.uint8)

    monkeypatch.setattr(figures, "labelled_sheet", watched)
    photos = [Picture(f"photo {number}", "photo", draw(16, 10 + number)) for number in (1, 2)]
    pictures = [*pictures_of(lab), *photos]
    results = {result.name: result for result in run(lab, pictures, list(EXPERIMENTS))}
    assert list(results) == list(EXPERIMENTS)
    embedded = [each.image for each in lab.embed(photos, "")]
    assert pictures[0].image.tobytes() in seen, "nothing was drawn"
    assert not seen & {image.tobytes() for image in [*(photo.image for photo in photos), *embedded]}
    assert any("photo" in str(table) for table in results["spaces"].tables)
    for result in results.values():
        assert result.figures and all(len(figure.data) > 1000 for figure in result.figures)
        assert all(len(row) == len(table.columns) for table in result.tables for row in table.rows)
        assert Result.of_dict(json.loads(json.dumps(result.as_dict()))).markdown() == result.markdown()
    rows = results["spaces"].tables[0].rows
    assert {row[1] for row in rows} >= {"z, mean", "w, mean", "w+, random", "w+, random weights"}
    assert all(row[3] == 1 for row in rows if row[1] == "w+, mean")
    printed = {row[0]: row for row in results["transforms"].tables[0].rows}
    assert printed["right by 140 px"][3] == pytest.approx(0.782 / 0.309, abs=0.01)
    assert [row[0] for row in results["defects"].tables[0].rows] == list(paper.DEFECTS)
    assert len(results["iterated"].tables[0].rows) == paper.ROUNDS
    losses = [row[0] for row in results["ablation"].tables[0].rows]
    assert losses == ["pixels only", "8 px only", "4 px only", "pixels and 4 px", "all layers", "pixels and all layers"]
    assert len({tuple(row[1:]) for row in results["ablation"].tables[0].rows}) == len(losses), (
        "two losses gave the same"
    )


def test_the_command_writes_a_report_and_one_json_object(facelab, tmp_path):
    options = ["--model", "tiny", "--out", tmp_path / "out", "--steps", 2, "--faces", 2]
    status, out, said = facelab("experiments", "image2stylegan", *options, "--only", "transforms,walk", "--json")
    assert status == 0, said
    answer = json.loads(out)
    assert set(answer["experiments"]) == {"transforms", "walk"} and "(2 of 2)" in said
    assert answer["command"].startswith("python -m facelab experiments image2stylegan --only transforms,walk --steps 2")
    [harder, _] = answer["experiments"]["transforms"]["claims"]
    assert harder["text"].endswith("in the mean."), "some of them may be easier"
    assert str(tmp_path) not in (tmp_path / "out" / "image2stylegan.md").read_text()
    assert {path.rsplit("/", 1)[1] for path in answer["files"]} >= {"image2stylegan.md", "image2stylegan.json"}
    picture = Image.open(tmp_path / "out" / "transforms.jpg")
    assert "Made with AI" in picture.getexif()[0x010E]
    Image.new("RGB", (64, 64), (90, 60, 30)).save(tmp_path / "somebody.png")
    options += ["--photos", tmp_path]
    assert facelab("experiments", "image2stylegan", *options, "--only", "loss-curves")[0] == 0
    saved = json.loads((tmp_path / "out" / "image2stylegan.json").read_text())
    assert "--photos DATA" in saved["command"], "whatever the folder is called here"
    assert set(saved["experiments"]) == {
        "loss-curves",
        "transforms",
        "walk",
    }


def test_stopping_leaves_what_is_finished(facelab, tmp_path, monkeypatch):
    def stop(lab, pictures):
        raise KeyboardInterrupt

    monkeypatch.setitem(EXPERIMENTS, "noise", stop)
    options = ["--model", "tiny", "--out", tmp_path, "--steps", 2, "--faces", 2, "--only", "loss-curves,noise,walk"]
    status, _, said = facelab("experiments", "image2stylegan", *options)
    assert status == 130 and "Stopped" in said
    saved = json.loads((tmp_path / "image2stylegan.json").read_text())
    assert list(saved["experiments"]) == ["loss-curves"] and (tmp_path / "loss-curves.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "nose"], "the experiments are"),
        (["--photos", "nowhere.zip"], "There is no nowhere.zip"),
        (["--model", "vae64"], "no model"),
        (["--perceptual", "vgg16"], "weights of VGG-16"),
    ],
)
def test_bad_input_is_one_line(facelab, tmp_path, options, words, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    given = ["--model", "tiny", "--out", tmp_path / "x", *options]
    status, out, said = facelab("experiments", "image2stylegan", *given)
    assert status == 1 and words in said and not out and said.count("facelab:") == 1
    assert not (tmp_path / "x").exists()


def test_an_unknown_paper_is_refused(facelab):
    assert facelab("experiments", "stylegan9")[0] == 2
