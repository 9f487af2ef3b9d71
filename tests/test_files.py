"""Files that people keep: whole or not at all."""

import io
import os
import resource
from contextlib import contextmanager

import pytest

from facelab.files import read_or_make, write_file


@contextmanager
def little_room():
    """Of every file that this process writes only the first 1,000 bytes fit, as on a disk that is nearly full.

    No fixture: what pytest itself reports between fixture and test may go to a longer file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_stood_there_outlives_a_full_disk(tmp_path):
    path = tmp_path / "me.npz"
    write_file(b"the face", path)
    with pytest.raises(OSError) as error, little_room():
        write_file(bytes(5000), path)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"the face"
    assert [each.name for each in tmp_path.iterdir()] == ["me.npz"]


def test_what_does_not_fit_leaves_nothing(tmp_path):
    with pytest.raises(OSError), little_room():
        write_file(bytes(5000), tmp_path / "me.png")
    assert not list(tmp_path.iterdir())


def test_a_link_leads_to_the_file_as_before(tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "me.png").write_bytes(b"old")
    (tmp_path / "me.png").symlink_to("album/me.png")
    write_file(b"new", tmp_path / "me.png")
    assert (tmp_path / "me.png").is_symlink()
    assert (tmp_path / "album" / "me.png").read_bytes() == b"new"


def test_a_pipe_and_an_open_file_take_the_bytes_as_they_come(tmp_path):
    buffer = io.BytesIO()
    write_file(b"abc", buffer)
    assert buffer.getvalue() == b"abc"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_file(b"abc", tmp_path / "pipe")
    assert os.read(reader, 10) == b"abc"
    os.close(reader)


def test_a_face_that_does_not_fit_leaves_the_older_one(tmp_path):
    import numpy as np
    import torch

    from facelab.face import Face, Latent

    path = tmp_path / "me.npz"
    path.write_bytes(b"the older face")
    crop = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    with pytest.raises(OSError), little_room():
        Face(Latent(torch.zeros(12, 8), "w+", "tiny"), model_sha256="0" * 64, crop=crop).save(path)
    assert path.read_bytes() == b"the older face"


@pytest.mark.parametrize("before", [None, b"", b"12 and what a kill has cut o"])
def test_a_cache_that_is_missing_or_broken_is_made_anew_and_then_kept(tmp_path, before):
    path, made = tmp_path / "kept.txt", []
    if before is not None:
        path.write_bytes(before)

    def make() -> bytes:
        made.append(1)
        return b"12"

    assert read_or_make(path, int, make) == read_or_make(path, int, make) == 12
    assert len(made) == 1 and list(tmp_path.iterdir()) == [path]
