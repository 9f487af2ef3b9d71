"""What is trained on: each picture of the train split once an epoch, read as photos are; the unreadable is named."""

import errno
import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from pillow_heif import register_heif_opener

from facelab.errors import BadSetting
from facelab.evaluation.judge import ATTRIBUTES
from facelab.training.data import Pictures, _make_array, has_splits, names_of_split, open_pictures, read_label_rows
from facelab.training.judge import open_batches as open_judged
from facelab.training.labels import read_labels
from facelab.training.settings import FitSettings

register_heif_opener()


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail where Python's memory grows by more than `size` bytes meanwhile."""
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < size


def pack(folder: Path, path: Path) -> Path:
    """A folder's files as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def test_batches_visit_every_picture_once_an_epoch():
    pictures = Pictures(np.arange(12, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8))
    seen = [((pictures.batch(step, size=4, seed=1) + 1) * 127.5)[:, 0, 0, 0].round().int() for step in range(6)]
    first, second = torch.cat(seen[:3]).tolist(), torch.cat(seen[3:]).tolist()
    assert sorted(first) == sorted(second) == list(range(12)) and first != second


def test_half_of_a_batch_is_mirrored():
    ramp = np.tile(np.arange(8, dtype=np.uint8)[None, None, :, None], (64, 8, 1, 3))
    batch = Pictures(ramp).batch(0, size=64, seed=0)
    mirrored = (batch[:, 0, 0, 0] > batch[:, 0, 0, -1]).float().mean()
    assert 0.3 < mirrored < 0.7


def test_only_the_train_split_is_opened(tmp_path):
    (tmp_path / "images").mkdir()
    for name, value in (("1", 10), ("2", 20), ("3", 30)):
        Image.new("RGB", (20, 12), (value,) * 3).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels.csv").write_text("image,split\n1.png,train\n2.png,val\n3.png,train\n")
    opened = open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")
    assert sorted(opened.images[:, 0, 0, 0]) == [10, 30]
    assert len(open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache", split=None)) == 3


@pytest.mark.parametrize("labels", [None, "image,Smiling\n1.png,1\n2.png,-1\n"])
def test_without_splits_all_pictures_are_for_training_and_none_for_evaluating(tmp_path, labels):
    for name in "12":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    assert not has_splits(tmp_path)
    for split in ("train", None):
        assert len(open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache", split=split)) == 2
    with pytest.raises(BadSetting, match=r"labels\.csv with the columns image and split"):
        open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache", split="val")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_pictures_are_decoded_again_where_they_have_changed_and_only_there(tmp_path, kind):
    source = tmp_path / "data" if kind == "folder" else tmp_path / "data.zip"

    def put(**pictures: int) -> None:
        (tmp_path / "data").mkdir(exist_ok=True)
        for name, value in pictures.items():
            Image.new("RGB", (8, 8), (value,) * 3).save(tmp_path / "data" / f"{name}.bmp")  # all of one size
        if kind == "zip":
            with zipfile.ZipFile(source, "w") as archive:
                for name in pictures:
                    archive.write(tmp_path / "data" / f"{name}.bmp", f"{name}.bmp")

    def opened() -> list[int]:
        return open_pictures(source, resolution=8, cache=tmp_path / "cache").images[:, 0, 0, 0].tolist()

    put(a=10, b=20)
    assert opened() == opened() == [10, 20] and len(list((tmp_path / "cache").iterdir())) == 1
    put(a=10, b=30)
    assert opened() == [10, 30]
    if kind == "zip":
        source = source.rename(tmp_path / "moved.zip")
        assert opened() == [10, 30] and len(list((tmp_path / "cache").iterdir())) == 2


def test_a_run_within_the_pictures_folder_is_no_part_of_them(facelab, tmp_path):
    Image.new("RGB", (8, 8), (10,) * 3).save(tmp_path / "a.png")
    cache = tmp_path / "run"
    assert len(open_pictures(tmp_path, resolution=8, cache=cache)) == 1
    (cache / "sheets").mkdir()
    Image.new("RGB", (8, 8)).save(cache / "sheets" / "00000100.png")
    assert len(open_pictures(tmp_path, resolution=8, cache=cache)) == 1
    assert len(open_pictures(tmp_path, resolution=8, cache=tmp_path / "another")) == 1
    status, _, said = facelab("train", "vae", "--data", tmp_path, "--out", tmp_path)
    assert status == 1 and "another --out" in said


def test_training_pictures_are_read_as_photos_are(tmp_path):
    """Upright, alpha over white, 16 bit scaled to 8; and refused where they are too large to be photos."""
    exif = Image.Exif()
    exif[0x0112] = 3  # the stored picture is upside down
    halves = Image.fromarray(np.repeat(np.uint8([[[0, 0, 0]] * 16, [[255] * 3] * 16]), 8, axis=0))
    halves.save(tmp_path / "1.png", exif=exif)
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "2.png")
    Image.fromarray(np.full((16, 16), 0x8000, np.uint16)).save(tmp_path / "3.png")
    turned, clear, grey = open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache").images
    assert turned[0].mean() > 200 and turned[-1].mean() < 50
    assert (clear == 255).all() and (grey == 128).all()
    Image.new("1", (16_384, 16_384)).save(tmp_path / "4.png")
    with pytest.raises(BadSetting, match=r"4\.png .* 50 megapixels can be opened"):
        open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")


LABELLED = ",".join(["image", "split", "yaw", "pitch", "roll", *ATTRIBUTES])


@pytest.mark.parametrize(
    ("labels", "refusal"),
    [
        ("file,split\n1.png,train\n", "no column image"),
        ("image;split\n1.png;train\n", "no column image"),
        ("image,split\n1.png,train\nMüller.png,val\n".encode("latin-1"), "not in UTF-8"),
        ('image,split\n1.png,train\n"' + "2.png,train\n" * 20_000, "quotation mark too many"),
        ("image,split\n3.png,train\n", "names none of the pictures .* as train"),
        ("image,split\n1.png,val\n", "names none of the pictures .* as train"),
    ],
)
def test_labels_that_cannot_be_read_are_a_clear_error(tmp_path, labels, refusal):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "labels.csv").write_bytes(labels if isinstance(labels, bytes) else labels.encode())
    with pytest.raises(BadSetting, match=refusal):
        open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")


@pytest.mark.parametrize(
    ("pose", "split", "refusal"),
    [("0,0,left", "train", r"1\.png in labels\.csv must be numbers"), ("0,0,0", None, r"no line for 2\.png")],
)
def test_labels_that_say_too_little_are_a_clear_error(tmp_path, pose, split, refusal):
    for name in "12":
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text(f"{LABELLED}\n1.png,train,{pose}{',1' * len(ATTRIBUTES)}\n")
    with pytest.raises(BadSetting, match=refusal):
        read_labels(tmp_path, split=split, pose=True)


def test_only_who_needs_the_pose_asks_for_it(tmp_path):
    """CelebA's own labels have no pose, and are enough for a judge."""
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    values = ["1" if name == "Smiling" else "-1" for name in ATTRIBUTES]
    (tmp_path / "labels.csv").write_text(f"image,{','.join(ATTRIBUTES)}\n1.png,{','.join(values)}\n")
    batch = open_judged(tmp_path, FitSettings(resolution=8), tmp_path / "cache").batch(0, size=1, seed=0)
    assert batch.attributes.sum() == batch.attributes[0, ATTRIBUTES.index("Smiling")] == 1
    assert read_labels(tmp_path).first(1).pose is None
    with pytest.raises(BadSetting, match="no column 'yaw'"):
        read_labels(tmp_path, pose=True)


NAMESAKES = ("train/1.png", "val/1.png")


def put_pictures(folder: Path, names: Iterable[str], labels: str) -> Path:
    """Grey pictures of levels 10, 20 and so on in the order of their names, and lines of labels."""
    for level, name in enumerate(names, 1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (10 * level,) * 3).save(folder / name)
    (folder / "labels.csv").write_text(f"image,split\n{labels}\n")
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("order", [1, -1])
def test_pictures_of_one_name_are_told_apart_by_their_folders(tmp_path, kind, order):
    lines = ["train/1.jpg,train", "val/1.jpg,val"][::order]  # also where they were saved anew in another format
    source = put_pictures(tmp_path / "data", NAMESAKES, "\n".join(lines))
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
            for name in (*NAMESAKES, "labels.csv"):
                archive.write(source / name, f"data/{name}")
        source = tmp_path / "data.zip"
    for split, level in (("train", 10), ("val", 20)):
        opened = open_pictures(source, resolution=8, cache=tmp_path / "cache", split=split)
        assert opened.images[:, 0, 0, 0].tolist() == [level]


def test_what_could_be_of_several_pictures_is_refused(tmp_path):
    source = put_pictures(tmp_path, NAMESAKES, "1.png,train")
    with pytest.raises(BadSetting, match=r"names 1\.png, and 2 .*: train/1\.png, val/1\.png\. Write their paths"):
        names_of_split(source, "train")
    assert names_of_split(source, None) == list(NAMESAKES), "no line is needed where all are asked for"
    (source / "labels.csv").write_text("image,split\ntrain/1.png,train\ntrain/1.png,val\nval/1.png,val\n")
    with pytest.raises(BadSetting, match=r"2 lines for train/1\.png that say different things"):
        names_of_split(source, "train")


def test_a_line_is_of_the_picture_whose_path_is_most_like_its_own(tmp_path):
    pictures = ("1.png", "1.webp", "a/2.png", "a/3.png", "b/3.png", "more/4.png", "more/old/4.png", "c/5.png")
    rows = ("1.png", "1.webp", "old/2.jpg", "a/3.png", "elsewhere/b/3.png", "gone/3.png", "4.png", "d/5.png", "c/5.png")
    source = put_pictures(tmp_path, pictures, "\n".join(f"{row},train" for row in rows))
    (source / "labels.csv").rename(source / "more" / "labels.csv")  # 4.png is beside it
    found = {name: row["image"] for name, row in read_label_rows(source).items()}
    assert found == {
        "1.png": "1.png",
        "1.webp": "1.webp",
        "a/2.png": "old/2.jpg",  # the only one called so: its folder was renamed
        "a/3.png": "a/3.png",
        "b/3.png": "elsewhere/b/3.png",
        "more/4.png": "4.png",
        "c/5.png": "c/5.png",
    }


def test_every_format_of_photos_is_trained_on(tmp_path):
    endings = ("avif", "bmp", "gif", "heic", "jpg", "png", "tif", "webp")
    for level, ending in enumerate(endings, 1):
        Image.new("RGB", (16, 16), (25 * level,) * 3).save(tmp_path / f"{level}.{ending}")
    frames = [Image.new("L", (16, 16), level) for level in (75, 255)]  # an animation gives its first frame
    frames[0].save(tmp_path / "3.gif", save_all=True, append_images=frames[1:])
    opened = open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")
    levels = opened.images[:, 0, 0, 0].astype(int)
    assert np.abs(levels - 25 * np.arange(1, len(endings) + 1)).max() <= 3


def test_a_table_by_excel_and_a_zip_by_a_mac_are_read(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(tmp_path / "1.png", "1.png")
        archive.writestr("__MACOSX/._1.png", b"\0\5\x16\7")
        archive.writestr("labels.csv", "\ufeffimage,split\r\n1.png,val\r\n")
    assert len(open_pictures(tmp_path / "data.zip", resolution=8, cache=tmp_path / "cache", split="val")) == 1


def test_labels_larger_than_any_photo_are_not_inflated(tmp_path, monkeypatch):
    monkeypatch.setattr("facelab.photo.MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", "image,split\n" + "1.png,val\n" * 1000)
    with pytest.raises(BadSetting, match=r"labels\.csv .* cannot be read"):
        open_pictures(tmp_path / "data.zip", resolution=8, cache=tmp_path / "cache", split="val")


def test_a_damaged_member_of_a_zip_is_named(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.write(tmp_path / "1.png", "1.png")
    data = bytearray((tmp_path / "data.zip").read_bytes())
    data[45] ^= 255
    (tmp_path / "data.zip").write_bytes(data)
    with pytest.raises(BadSetting, match=r"1\.png in .* is damaged"):
        open_pictures(tmp_path / "data.zip", resolution=8, cache=tmp_path / "cache")
    assert not [*(tmp_path / "cache").iterdir()], "nothing half made stays"


def test_nothing_to_train_on_is_a_clear_error(tmp_path):
    with pytest.raises(BadSetting, match="no pictures"):
        open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")
    (tmp_path / "a.png").write_bytes(b"not a picture")
    with pytest.raises(BadSetting, match=r"a\.png"):
        open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_all_that_cannot_be_read_is_found_in_one_pass(tmp_path, kind):
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "good.png")
    for number in range(7):
        (folder / f"{number}.png").write_bytes(b"not a picture" if number else b"")
    if kind == "zip":
        pack(folder, tmp_path / "data.zip")
    source = folder if kind == "folder" else tmp_path / "data.zip"
    refusal = r"7 of the 8 pictures .*: 0\.png, 1\.png, 2\.png, 3\.png, 4\.png and 2 more\. .* Of 0\.png: .* is empty"
    with pytest.raises(BadSetting, match=refusal):
        open_pictures(source, resolution=8, cache=tmp_path / "cache")
    assert not [*(tmp_path / "cache").iterdir()], "nothing half made stays"


@pytest.mark.parametrize("kind", ["folder", "zip", "lying zip"])
def test_a_file_larger_than_any_photo_is_neither_read_nor_inflated(tmp_path, monkeypatch, kind):
    for module in ("photo", "training.data"):
        monkeypatch.setattr(f"facelab.{module}.MAX_BYTES", 2**20)
    source, size = tmp_path / "data", 32 * 2**20
    source.mkdir()
    with (source / "large.png").open("wb") as file:
        file.truncate(size)
    if kind != "folder":
        source = pack(source, tmp_path / "data.zip")
    if kind == "lying zip":
        source.write_bytes(source.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with (
        pytest.raises(BadSetting, match=r"large\.png .* is (32 MB|damaged)"),
        at_most(8 * 2**20),
    ):
        open_pictures(source, resolution=8, cache=tmp_path / "cache")


def test_few_files_are_in_memory_at_once(tmp_path):
    for number in range(64):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.bmp")
        with (tmp_path / f"{number}.bmp").open("ab") as file:
            file.truncate(2**20)  # behind the picture, where decoders do not look
    with at_most(24 * 2**20):
        assert len(open_pictures(tmp_path, resolution=8, cache=tmp_path / "cache")) == 64


def test_a_disk_without_room_is_a_clear_error(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    refusal = r"take 3 MB, .* has {} MB free.* Make room"
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2_000_000))
        with pytest.raises(BadSetting, match=refusal.format(2)):
            open_pictures(tmp_path, resolution=1024, cache=tmp_path / "cache")

    def refuse(*_) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr("os.posix_fallocate", refuse, raising=False)
    with pytest.raises(BadSetting, match=refusal.format("[0-9,]+")):
        open_pictures(tmp_path, resolution=1024, cache=tmp_path / "cache")
    assert not [*(tmp_path / "cache").iterdir()], "nothing half made stays"


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system gives a file its bytes as they are written")
def test_the_disk_gives_room_before_anything_is_decoded(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (made,) = _make_array(tmp_path / "array", (1, 1024, 1024, 3))
    assert (tmp_path / "array").stat().st_blocks * 512 >= made.size == 3 * 2**20


def test_the_labels_of_a_zipped_folder_are_found_and_of_several_none_is_guessed(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for number in (1, 2, 3):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8)).save(picture, "PNG")
            archive.writestr(f"data/{number}.png", picture.getvalue())
        archive.writestr("data/labels.csv", "image,split\n1.png,train\n2.png,val\n3.png,train\n")
        archive.writestr("__MACOSX/data/labels.csv", "junk")
    assert names_of_split(tmp_path / "data.zip", "train") == ["data/1.png", "data/3.png"]
    with zipfile.ZipFile(tmp_path / "data.zip", "a") as archive:
        archive.writestr("more/labels.csv", "image,split\n1.png,val\n")
    with pytest.raises(BadSetting, match="2 files labels"):
        names_of_split(tmp_path / "data.zip", "train")
