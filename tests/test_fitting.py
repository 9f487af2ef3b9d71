"""The small networks that look at faces: what they see, and how they are taught."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from facelab.checkpoints.weights import load_model
from facelab.encoder import LOOKS, Encoder, load_encode, look_closely
from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES, Judge, judge
from facelab.evaluation.portraits import Portraits
from facelab.generators.discriminator import Discriminator
from facelab.generators.stylegan2 import StyleGAN2
from facelab.identity import WIDTHS, FaceReader, load_reader, reader_distance
from facelab.pixels import as_pixels
from facelab.training import distributed, identity
from facelab.training.data import Pictures
from facelab.training.drawn import _search, draw_faces
from facelab.training.encoder import EncoderTrainer, draw_latents
from facelab.training.encoder import make_trainer as train_encoder
from facelab.training.eyes import FIRST_MAP, Eyes
from facelab.training.fitting import one_cycle
from facelab.training.identity import ReaderTrainer, Seen, SeenPictures
from facelab.training.jitter import jitter, move_landmarks
from facelab.training.judge import JudgeTrainer, Labelled, accuracy
from facelab.training.labels import Labels
from facelab.training.run import write_weights
from facelab.training.settings import EncoderSettings, FitSettings, ReaderSettings
from facelab.trunk import Trunk

CPU = torch.device("cpu")


def a_batch(count=8, seed=0):
    return torch.rand(count, 3, 128, 128, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def labelled(seed=0):
    images = a_batch(seed=seed)
    images[:4] -= 0.7  # the dark ones have every attribute
    attributes = torch.zeros(8, 40)
    attributes[:4] = 1
    return Labelled(images.clamp(-1, 1), attributes, torch.ones(40))


def test_the_trunk_takes_any_size_and_makes_maps_of_five():
    trunk = Trunk((4, 8, 8, 8, 8)).eval()
    for side in (128, 256, 64):
        maps = trunk.maps(torch.zeros(2, 3, side, side))
        assert [each.shape[-1] for each in maps] == [64, 32, 16, 8, 4]
    assert trunk.num_features == 8 * 16


def test_the_judge_learns_what_can_be_seen():
    torch.manual_seed(0)
    trainer = JudgeTrainer(Judge(), FitSettings(images=240, batch=8), device=CPU)
    losses = [trainer.step(labelled(step))["bce"] for step in range(30)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert judge(trainer.network.eval(), a_batch(5), batch=2).shape == (5, len(ATTRIBUTES))


def test_a_fitting_goes_on_exactly_where_it_was_saved():
    def trainer():
        torch.manual_seed(0)
        return JudgeTrainer(Judge(), FitSettings(images=80, batch=8), device=CPU)

    whole, first, second = trainer(), trainer(), trainer()
    for step in range(4):
        whole.step(labelled(step))
    for step in range(2):
        first.step(labelled(step))
    second.load_state(first.state())
    for step in range(2, 4):
        second.step(labelled(step))
    for name, value in whole.weights().items():
        assert torch.equal(value, second.weights()[name]), name


def test_a_resumed_fitting_decays_and_learns_as_it_is_told_now():
    def trainer(**settings):
        return JudgeTrainer(Judge(), FitSettings(images=80, batch=8, **settings), device=CPU)

    resumed = trainer(weight_decay=0.2, learning_rate=1e-4, warm_up=0.0)
    resumed.load_state(trainer(weight_decay=0.05).state())
    resumed.step(labelled())
    weights, others = resumed.optimizer.param_groups
    assert (weights["weight_decay"], others["weight_decay"]) == (0.2, 0.0)
    assert weights["lr"] == others["lr"] == pytest.approx(1e-4)


def test_what_a_small_network_s_training_would_not_heed_is_refused(monkeypatch):
    with pytest.raises(BadSetting, match="--accumulate"):
        JudgeTrainer(Judge(), FitSettings(batch=8, accumulate=2), device=CPU)
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with pytest.raises(BadSetting, match="torchrun"):
        JudgeTrainer(Judge(), FitSettings(batch=8), device=CPU)
    with pytest.raises(BadSetting, match="--flip"):
        ReaderSettings(flip=True)


def test_the_learning_rate_rises_and_falls():
    rates = [one_cycle(progress, warm_up=0.1) for progress in np.linspace(0, 1, 101)]
    assert rates[0] < 0.01 and rates[10] == pytest.approx(1, abs=0.01) and rates[-1] == pytest.approx(0, abs=1e-6)
    assert all(before >= after for before, after in pairwise(rates[10:]))


def test_the_reader_s_vectors_have_gradients_towards_the_picture():
    reader = FaceReader().eval().requires_grad_(False)
    images = a_batch(2).requires_grad_()
    reading = reader(images)
    assert reading.vectors.shape == (2, 128) and reading.landmarks.shape == (2, 68, 2)
    assert reading.attributes.shape == (2, 40) and reading.pose.shape == (2, 3)
    (gradient,) = torch.autograd.grad(reading.vectors.square().sum(), images)
    assert gradient.abs().sum() > 0
    assert torch.allclose(reader.read(a_batch(5), batch=2).vectors[:2], reading.vectors, atol=0.05)


def test_the_reader_s_distance_is_squared_and_of_each_picture():
    reader = FaceReader().eval().requires_grad_(False)
    images = a_batch(4)
    vectors = reader(images).vectors
    expected = (vectors - vectors[:1]).square().sum(dim=1)
    torch.testing.assert_close(reader_distance(reader, images[:1])(images), expected)
    assert expected[0] == 0 < expected[1]
    torch.testing.assert_close(
        reader_distance(reader, images)(images.flip(0)), (vectors - vectors.flip(0)).square().sum(1)
    )


def test_faces_that_dlib_did_not_find_teach_the_reader_no_vector():
    torch.manual_seed(0)
    trainer = ReaderTrainer(FaceReader(), ReaderSettings(images=80, batch=8), device=CPU)

    def batch(found):
        nothing = torch.zeros(8)
        return Seen(
            a_batch(),
            torch.ones(8, 128),
            torch.zeros(8, 68, 2),
            found,
            torch.zeros(8, 40),
            nothing[:, None] * torch.ones(3),
        )

    assert trainer.step(batch(torch.zeros(8)))["vector"] == 0
    assert trainer.step(batch(torch.ones(8)))["vector"] > 1


def test_landmarks_move_with_the_picture():
    images = torch.full((16, 3, 128, 128), -1.0)
    images[:, :, 50:54, 80:84] = 1.0  # a dot whose middle is at (82, 52)
    landmarks = torch.tensor([[[82 / 128, 52 / 128]]]).expand(16, 1, 2)
    moved, theta = jitter(images, generator=torch.Generator().manual_seed(3))
    expected = move_landmarks(landmarks, theta)[:, 0] * 128
    assert (expected - torch.tensor([82.0, 52.0])).abs().max() > 3
    for picture, place in zip(moved.mean(dim=1), expected, strict=True):
        weights = (picture - picture.min()).clamp(min=0) ** 2
        rows, columns = torch.meshgrid(torch.arange(128) + 0.5, torch.arange(128) + 0.5, indexing="ij")
        found = torch.stack([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
        assert (found - place).norm() < 1.5


def test_jitter_is_decided_by_its_generator():
    first, second = (jitter(a_batch(4), generator=torch.Generator().manual_seed(1))[0] for _ in range(2))
    assert torch.equal(first, second) and first.abs().max() <= 1
    assert not torch.equal(first, jitter(a_batch(4), generator=torch.Generator().manual_seed(2))[0])


@pytest.mark.parametrize(
    ("told", "refusal"),
    [({"model": "vae64", "resolution": 64}, "train inverter"), ({"resolution": 64}, "Say --resolution 128")],
)
def test_an_encoder_is_refused_a_generator_that_it_cannot_invert(told, refusal):
    with pytest.raises(BadSetting, match=refusal):
        train_encoder(EncoderSettings(**told))


def test_an_encoder_s_dearest_look_is_left_out_where_it_is_not_taken():
    torch.manual_seed(0)
    shape = {"channel_base": 128, "channel_max": 16}
    generator = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, **shape).eval().requires_grad_(False)
    critic = Discriminator(16, downsample="average", **shape).eval().requires_grad_(False)
    reader = FaceReader().eval().requires_grad_(False)
    networks = {"generator": generator, "discriminator": critic, "reader": reader}
    trainer = EncoderTrainer(Encoder(6, 8), EncoderSettings(resolution=16, batch=2, images=8), **networks, device=CPU)
    seen = [trainer.step(torch.rand(2, 3, 16, 16) * 2 - 1) for _ in range(4)]
    assert [each.get("perceptual", 0) > 0 for each in seen] == [True, False, False, True]
    assert all("perceptual" not in each for each in seen[1:3]) and set(seen[0]) == set(trainer.columns)


def test_an_encoder_begins_at_one_latent_for_every_row_and_can_be_run_alone():
    encoder = Encoder(6, 8).eval()
    rows = encoder(a_batch(3), torch.randn(3, 128))
    assert rows.shape == (3, 6, 8)
    assert torch.allclose(rows, rows[:, :1].expand_as(rows), atol=1e-6)


def test_further_looks_find_what_the_first_one_found_too_little_of():
    class Mirror:
        """A generator whose pictures say their latents."""

        def synthesize(self, ws, **_):
            return ws[:, :1, :, None].expand(-1, 3, -1, 8)

    def timid(pictures, vectors):  # as regression is: four fifths of what is there
        return 0.8 * pictures[:, 0, None, :, 0].expand(-1, 6, -1) + 0 * vectors[:, None]

    def read(pictures):
        return SimpleNamespace(vectors=pictures[:, 0, :, 0])

    ws = 0.5 * torch.randn(4, 1, 8, generator=torch.Generator().manual_seed(1)).clamp(-1, 1).expand(-1, 6, -1)
    pictures = Mirror().synthesize(ws)
    torch.testing.assert_close(timid(pictures, read(pictures).vectors), 0.8 * ws)
    torch.testing.assert_close(look_closely(timid, Mirror(), read, pictures), (1 - 0.2**LOOKS) * ws)


def test_drawn_latents_are_the_same_for_the_same_seed_and_some_are_mixed():
    generator = StyleGAN2(16, z_dim=8, w_dim=8, mapping_layers=2, channel_base=128, channel_max=8)
    generator.requires_grad_(False)
    first, second = (draw_latents(generator, 32, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second) and first.shape == (32, generator.num_layers, 8)
    mixed = (first != first[:, :1]).flatten(1).any(dim=1)
    assert 4 < mixed.sum() < 28


def test_the_judge_is_told_apart_by_whom_it_looks_at(monkeypatch):
    truth = np.zeros((5, len(ATTRIBUTES)), bool)
    blond, male = ATTRIBUTES.index("Blond_Hair"), ATTRIBUTES.index("Male")
    truth[[0, 1, 3], blond] = truth[3:, male] = True
    logits = torch.where(torch.from_numpy(truth), 1.0, -1.0)
    logits[3, blond] = -1.0  # the one blond man is not seen
    monkeypatch.setattr("facelab.training.judge.judge", lambda network, images: logits[: len(images)])
    pictures = Pictures(np.zeros((5, 8, 8, 3), np.uint8))
    figures = accuracy(Judge(), pictures, Labels(truth, np.zeros((5, 3), np.float32)))
    having = {"women": {"faces": 2, "seen": 1.0}, "men": {"faces": 1, "seen": 0.0}}
    assert figures["Blond_Hair"] == {"accuracy": 0.8, "balanced": round((1 + 2 / 3) / 2, 4), "having": having}
    assert figures["Heavy_Makeup"]["having"]["men"] == {"faces": 0, "seen": None}


def test_the_eyes_judge_every_picture_on_every_map_and_train_no_trunk():
    reader = FaceReader().eval().requires_grad_(False)
    eyes = Eyes(reader)
    assert eyes(a_batch(4)).shape == (4 * len(WIDTHS[FIRST_MAP:]), 1)
    images = a_batch(2).requires_grad_()
    eyes(images).sum().backward()
    assert images.grad.abs().sum() > 0
    assert not any("trunk" in name for name in eyes.state_dict())


def test_who_was_not_looked_at_teaches_labels_alone_and_who_has_none_the_rest_alone():
    pictures = Pictures(np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8))
    seen = Portraits(
        np.ones((4, 128), np.float32), np.ones((4, 68, 2), np.float32), np.array([True, True, False, True])
    )
    labels = Labels(np.ones((3, 40), bool), np.full((3, 3), 5.0, np.float32))
    batch = SeenPictures(pictures, seen, labels).batch(0, size=6, seed=0)
    order = torch.argsort(pictures.batch_with_indices(0, size=6, seed=0, flip=False)[1])
    found, attributes, pose = (column[order] for column in (batch.found, batch.attributes, batch.pose))
    assert found.tolist() == [1, 1, 0, 1, 0, 0] and batch.vectors[order].sum(dim=1).tolist() == [128] * 4 + [0, 0]
    assert attributes.isnan().all(dim=1).tolist() == [True] * 3 + [False] * 3 and (pose[3:] == 5).all()

    trainer = ReaderTrainer(FaceReader(), ReaderSettings(images=80, batch=6), device=CPU)
    losses = trainer.step(batch)
    assert all(np.isfinite(value) and value > 0 for value in losses.values())
    losses = trainer.step(batch._replace(attributes=batch.attributes * np.nan, pose=batch.pose * np.nan))
    assert losses["attributes"] == losses["pose"] == 0 < losses["vector"]


def test_a_reader_learns_from_drawn_faces_as_well(tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    lines = [",".join(["image", "split", "yaw", "pitch", "roll", *ATTRIBUTES])]
    for index in range(6):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / f"{index}.png")
        lines.append(",".join([f"{index}.png", "train", "0", "0", "0", *["1"] * 40]))
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    looked_at = {}

    def describe_split(images, *, cache, name):
        looked_at[name] = len(images)
        return Portraits(
            np.zeros((len(images), 128), np.float32), np.zeros((len(images), 68, 2), np.float32), np.ones(len(images))
        )

    with pytest.raises(BadSetting, match="--resolution 128"):
        identity.open_batches(tmp_path, ReaderSettings(resolution=16, generated=4), tmp_path / "cache")
    drawn = random.integers(0, 256, (4, 16, 16, 3), np.uint8)
    asked = []
    monkeypatch.setattr(identity, "find_card", lambda name: SimpleNamespace(resolution=16))
    monkeypatch.setattr(identity, "describe_split", describe_split)
    monkeypatch.setattr(identity, "draw_faces", lambda *told, cache: asked.append(told) or drawn)
    settings = ReaderSettings(resolution=16, generated=4, described=3, model="tiny")
    batches = identity.open_batches(tmp_path, settings, tmp_path / "cache")
    assert looked_at == {"train": 3, "drawn": 4} and asked[0][0] == "tiny" and asked[0][2] == 4
    assert len(batches.pictures) == 10 and (batches.pictures.images[:4] == drawn).all()
    assert batches.columns[2].tolist() == [1] * 7 + [0] * 3
    assert batches.columns[3].isnan().all(dim=1).tolist() == [True] * 4 + [False] * 6
    assert len(identity.open_batches(tmp_path, ReaderSettings(resolution=16), tmp_path / "cache").pictures) == 6


def test_drawn_faces_are_random_ones_and_likenesses_in_turn_and_are_kept(tmp_path):
    portraits = Pictures(np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8))
    drawn = draw_faces("faces128", portraits, 5, cache=tmp_path)
    assert drawn.shape == (5, 128, 128, 3) and drawn.dtype == np.uint8
    generator = load_model("faces128")[0]
    with torch.inference_mode():
        alike = generator.synthesize(load_encode(generator)(portraits.tensor(slice(0, 3))))[:2]
        random = generator.synthesize(generator.sample(3, seed=0, truncation=1.0))
    for mine, theirs in ((drawn[1::2], alike), (drawn[::2], random)):
        assert np.abs(mine.astype(int) - as_pixels(theirs)).mean() < 2  # of 255, the batch's rounding
    assert (draw_faces("faces128", None, 5, cache=tmp_path) == drawn).all()


def test_some_likenesses_are_searched_on_by_what_the_reader_sees():
    generator, reader = load_model("faces128")[0], load_reader()
    photos = generator.synthesize(generator.sample(2, seed=3)).clamp(-1, 1)
    start = generator.mean_latent()[None].expand(2, generator.num_layers, -1)
    found = _search(generator, reader, photos, start)
    assert found.shape == start.shape and not found.requires_grad

    def away(latents):
        drawn = generator.synthesize(latents).clamp(-1, 1)
        return (drawn - photos).square().mean(dim=(1, 2, 3)), reader_distance(reader, photos)(drawn)

    with torch.no_grad():
        for before, after in zip(away(start), away(found), strict=True):
            assert (after < 0.7 * before).all()


def test_a_reader_goes_on_from_a_weight_file(tmp_path):
    torch.manual_seed(5)
    reader = FaceReader()
    tensors = {key: value for key, value in reader.state_dict().items() if value.is_floating_point()}
    write_weights(tmp_path / "reader.safetensors", tensors, 64)
    trainer = identity.make_trainer(ReaderSettings(start=str(tmp_path / "reader.safetensors")))
    torch.testing.assert_close(trainer.network.vector.weight, reader.vector.weight, atol=1e-3, rtol=1e-3)
    assert not torch.equal(identity.make_trainer(ReaderSettings()).network.vector.weight, trainer.network.vector.weight)
