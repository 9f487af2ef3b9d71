"""What is asked of a face is done by the model that it belongs to, whichever model a studio begins new faces with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, TypeVar

from facelab.errors import LatentMismatch, UnknownModel
from facelab.face import Face

Method = TypeVar("Method", bound=Callable[..., Any])


def by_its_model(method: Method) -> Method:
    """A Studio's method, done by the studio of the model of the first face among its arguments; other faces must be of
    the same model. Raises LatentMismatch for a face of a model that there is not.
    """

    @wraps(method)
    def routed(studio: Any, *args: Any, **options: Any) -> Any:
        face = next(_faces_in([*args, *options.values()]), None)
        if face is not None and face.latent.model != studio.card.name:
            studio = _studio_of(studio, face.latent.model)
        return method(studio, *args, **options)

    return routed


def _studio_of(studio: Any, model: str) -> Any:
    try:
        return studio.of(model)
    except UnknownModel as cause:
        raise LatentMismatch(
            f"This face belongs to the model {model[:40]!r}, which is not here. {str(cause).partition('. ')[2]} "
            "Embed the photo again with one of them."
        ) from cause


def _faces_in(value: Any) -> Iterator[Face]:
    """The faces in nested lists, tuples and mappings, in their order."""
    if isinstance(value, Face):
        yield value
    elif isinstance(value, Mapping):
        yield from _faces_in(list(value.values()))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in value:
            yield from _faces_in(each)
