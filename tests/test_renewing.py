"""Files outlive models: faces of an earlier version are embedded anew, those of a model that is not here left out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex

import gradio as gr
import numpy as np
import pytest
import torch
from gradio.utils import get_upload_folder

from facelab.page.examples import load_examples
from facelab.project import Project, ProjectFace, SavedVersion
from facelab.project_file import save_project
from facelab.renewing import cut_again
from tests.page_visitor import SHORT, Visitor


def test_a_project_opens_without_the_faces_of_models_that_are_not_here(visitor: Visitor, monkeypatch) -> None:
    kept, told = visitor.add(), []
    monkeypatch.setattr(gr, "Warning", lambda text, **how: told.append(text))
    strange = replace(kept.face, latent=replace(kept.face.latent, model="mine128"))
    entries = [
        ProjectFace("Ann", kept.face, kept.picture, kept.face),
        ProjectFace("Ben", strange, kept.picture, strange),
    ]
    for faces in (entries, entries[1:]):
        file = Path(get_upload_folder()) / token_hex(4) / "both.facelab"
        file.parent.mkdir(parents=True)
        save_project(Project(tuple(faces)), file)
        if len(faces) == 1:
            with pytest.raises(gr.Error, match="'mine128', which is not here"):
                visitor.do("on_bring", "fl-library", path=str(file), name=file.name)
        else:
            visitor.do("on_bring", "fl-library", path=str(file), name=file.name)
    assert [each.name for each in visitor.session.faces.values()] == [kept.name, "Ann"]
    [text] = told
    assert text.startswith("Not opened: Ben. ") and "'mine128', which is not here" in text


def test_faces_of_an_earlier_version_of_their_model_are_embedded_anew(visitor: Visitor, monkeypatch) -> None:
    told = []
    monkeypatch.setattr(gr, "Info", lambda text, **how: told.append(text.partition(".")[0]))
    crop = next(iter(load_examples().values())).as_photo()
    kept = visitor.add()
    old = replace(kept.face, crop=crop, model_sha256="0" * 64)
    smiling = replace(old, latent=visitor.add().face.latent)
    saved = SavedVersion("Smile", ({"op": "attribute", "id": "smile", "strength": 1.5},))
    folder = Path(get_upload_folder()) / token_hex(4)
    project = Project((ProjectFace("Ben", old, kept.picture, smiling, (saved,), 1),))
    for name, write in (("Ann.npz", old.save), ("both.facelab", partial(save_project, project))):
        folder.mkdir(parents=True)
        write(folder / name)
        visitor.do("on_bring", "fl-library", path=str(folder / name), name=name)
    *_, ann, ben = visitor.session.faces.values()
    assert told == ["Embedded anew: Ann", "Embedded anew: Ben"] and not ann.saved and not ben.saved
    seen = visitor.studio.encode(cut_again(old, 128))
    assert torch.allclose(ann.face.latent.values, seen.latent.values)
    smile = visitor.studio.edit(seen, {"smile": 1.5})
    assert [each.title for each in ben.history.versions] == ["Original", "Smile"]
    assert np.abs(ben.picture.astype(int) - visitor.studio.render(smile)).max() <= 1
    visitor.do("on_open", "fl-library", id=ben.id)
    list(visitor.do("on_start", "fl-start", SHORT))
    assert len(visitor.session.faces) == 4 and ben.history.now.title == "Smile" and ben.embedding.step.done
    assert ben.history.base.model_sha256 == seen.model_sha256 and ben.embedding.step.total == SHORT["Steps"]


def test_without_its_photo_a_face_of_an_earlier_version_is_refused_with_a_reason(visitor: Visitor) -> None:
    old = replace(visitor.add().face, model_sha256="0" * 64)
    assert not visitor.studio.can_renew(old)
    file = Path(get_upload_folder()) / token_hex(4) / "Ann.npz"
    file.parent.mkdir(parents=True)
    old.save(file)
    with pytest.raises(gr.Error, match="another version of faces128"):
        visitor.do("on_bring", "fl-library", path=str(file), name=file.name)
    assert len(visitor.session.faces) == 1
