"""FaceLab: find a face, carry it into a generator's latent space, edit it there, hand the picture back."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facelab.errors import FaceLabError as FaceLabError
    from facelab.face import AlignedFace as AlignedFace
    from facelab.face import Delta as Delta
    from facelab.face import Face as Face
    from facelab.face import Latent as Latent
    from facelab.face import Recipe as Recipe
    from facelab.studio import Studio as Studio

__version__ = "0.1.0"

_PUBLIC = {
    "AlignedFace": "face",
    "Delta": "face",
    "Face": "face",
    "FaceLabError": "errors",
    "Latent": "face",
    "Recipe": "face",
    "Studio": "studio",
}
__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> object:
    """Import a public name at its first use, so that `import facelab` loads neither torch nor a model."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'facelab' has no attribute {name!r}")
    return getattr(import_module(f"facelab.{_PUBLIC[name]}"), name)
