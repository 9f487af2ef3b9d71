"""Latents of other programs come in as faces of the model they fit, and of no other."""

import io

import numpy as np
import pytest
import torch

from facelab.errors import BadFaceFile, LatentMismatch
from facelab.importing import import_latents
from facelab.studio import Studio


@pytest.fixture(scope="module")
def studio():
    return Studio(device="cpu")


@pytest.fixture(scope="module")
def rows(studio):
    return studio.sample(1, seed=2)[0][0].latent.values


def npy(values: np.ndarray) -> io.BytesIO:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return io.BytesIO(buffer.getvalue())


def pt(values: object) -> io.BytesIO:
    buffer = io.BytesIO()
    torch.save(values, buffer)
    return io.BytesIO(buffer.getvalue())


def test_every_published_form_gives_the_same_face(studio, rows, tmp_path):
    array = rows.numpy()
    (tmp_path / "latent.npy").write_bytes(npy(array[None]).getvalue())
    forms = [npy(array), npy(array[None].astype(np.float64)), tmp_path / "latent.npy", pt(rows), pt(rows[None])]
    forms += [pt({"one.jpg": rows}), pt([rows])]
    for form in forms:
        (face,) = import_latents(form, studio.generator)
        assert torch.equal(face.latent.values, rows)
    assert np.array_equal(studio.render(face), studio.sample(1, seed=2)[0][1])


def test_a_batch_gives_a_face_each(studio, rows):
    faces = import_latents(npy(np.stack([rows.numpy(), -rows.numpy()])), studio.generator)
    assert [face.latent.values[0, 0].item() for face in faces] == [rows[0, 0].item(), -rows[0, 0].item()]


@pytest.mark.parametrize("shape", [(18, 512), (1, 18, 512), (12, 512), (12,), (1, 1, 12, 256)])
def test_latents_of_another_shape_are_told_apart(studio, shape):
    for form in (npy(np.zeros(shape, np.float32)), pt(torch.zeros(shape))):
        with pytest.raises(LatentMismatch, match=r"rows|18"):
            import_latents(form, studio.generator)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_hostile_and_damaged_files_are_refused(studio, rows, capsys):
    whole = pt(rows).getvalue()
    stretched = pt(torch.zeros(1).expand(100_000, 12, 256))
    cases = [
        pt(Evil()),
        npy(np.array([Evil()], dtype=object)),
        io.BytesIO(b""),
        io.BytesIO(b"hello"),
        io.BytesIO(whole[: len(whole) // 2]),
        npy(np.zeros((12, 256), np.int64)),
        npy(np.full((12, 256), np.nan, np.float32)),
        npy(np.full((12, 256), 1e30, np.float32)),
        pt({"a": "text"}),
        pt([]),
        pt(bytearray(5)),
        stretched,
        pt(torch.zeros(12, 256).to_sparse()),
        pt(torch.empty(12, 256, device="meta")),
        pt(torch.nested.nested_tensor([torch.zeros(12, 256)])),
        io.BytesIO(npy(np.zeros(4, np.float32)).getvalue().replace(b"(4,), }", b"(9999999,), }")),
    ]
    for case in cases:
        with pytest.raises(BadFaceFile):
            import_latents(case, studio.generator)
    assert "executed" not in capsys.readouterr().out
