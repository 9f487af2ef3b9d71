"""Uploads: each has a place of its own, and leaves it as soon as it is read."""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from gradio import route_utils
from gradio.utils import get_upload_folder

from facelab import clips, photo
from facelab.errors import UnreadablePhoto
from facelab.names import clean_name
from facelab.sessions import NAME_LENGTH, Photo

if TYPE_CHECKING:
    from facelab.page.backstage import Backstage

MAX_UPLOAD_BYTES = max(photo.MAX_BYTES, clips.MAX_BYTES)  # of a file of any kind


class UploadFile(route_utils.GradioUploadFile):
    """Gradio names an upload's folder after the file's content, so that two visitors who send the same file meet in one
    place, and the first to be answered takes it from the other. A drawn beginning of the hash keeps them apart.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sha.update(secrets.token_bytes(16))
        # Gradio moves a whole upload elsewhere, and forgets the rest of one that was broken off.
        weakref.finalize(self, Path(self.file.name).unlink, missing_ok=True)


def part_uploads() -> None:
    """Give every upload of this process a place of its own, whatever is in it."""
    route_utils.GradioUploadFile = UploadFile


def face_name(file_name: str) -> str:
    """What a face is called after its photo's file: shea_whigham.jpg is Shea Whigham."""
    words = PurePath(file_name).stem.replace("_", " ").replace("-", " ").split()
    return clean_name(" ".join(word[:1].upper() + word[1:] for word in words), NAME_LENGTH) or "Face"


def take_upload(path: str) -> bytes:
    """The bytes of a file that this page's visitor has just uploaded; the file itself is deleted.

    Raises UnreadablePhoto for a path outside the upload folder: what a browser sends is never opened blindly.
    """
    file = Path(str(path)).resolve()
    if not _is_upload(file):
        raise UnreadablePhoto("The upload did not arrive. Choose the file again.")
    try:
        return file.read_bytes()
    finally:
        _delete(file)


def find_upright(photo: Photo, find: Callable[[Photo], None], backstage: Backstage) -> Photo:
    """The photo with its faces; turned where they are only seen so, as not every file says how its camera was held.

    find: gives a photo its faces, if there are any.
    """
    find(photo)
    if photo.faces or not (turns := backstage.worker.run(backstage.studio.turns_upright, photo.pixels)):
        return photo
    turned = photo.turned(turns)
    find(turned)
    return turned if turned.faces else photo


def drop_uploads(values: Iterable[Any]) -> None:
    """Delete the files among what a handler was given, lists of them too, that it has not taken."""
    for value in values:
        for path in value if isinstance(value, list) else [value]:
            with suppress(OSError, ValueError):  # a text that can be no path
                file = Path(str(path)).resolve()
                if _is_upload(file):
                    _delete(file)


def _is_upload(file: Path) -> bool:
    return file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file()


def _delete(file: Path) -> None:
    file.unlink(missing_ok=True)
    with suppress(OSError):  # something else lies there, or another took it
        file.parent.rmdir()
