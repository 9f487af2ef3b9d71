"""What the stateless endpoints share: where their answers lie, and options from JSON, checked before they are used."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder

from facelab.errors import BadSetting
from facelab.face import Recipe
from facelab.page.backstage import as_message
from facelab.page.uploads import drop_uploads
from facelab.seeds import MAX_SEED

MOST = MAX_SEED  # of any number that a caller gives; what it means has closer limits of its own


def stateless(handler: Callable[..., Any]) -> Callable[..., Any]:
    """`friendly` for an endpoint; whatever it was sent is off the disk afterwards, also where it was refused unread."""

    @wraps(handler)
    def guarded(*args: Any) -> Any:
        try:
            return handler(*args)
        except Exception as error:
            raise as_message(error, plain=True) from None
        finally:
            drop_uploads(args)

    return guarded


@contextmanager
def answer_folder() -> Iterator[Path]:
    """A new folder for one answer, in Gradio's own cache, which is emptied by time; of an answer that fails nothing is
    left, as Gradio never hears of its files.
    """
    root = Path(get_upload_folder())
    root.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=root))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def report_of(said: Mapping[str, Any], steps: Sequence[Mapping[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """What an answer says of itself: the model and operations of its provenance, and with steps a recipe of them."""
    report = {"model": said["model"], "operations": said["operations"], **more}
    return report if steps is None else {"version": Recipe.version, **report, "steps": list(steps)}


def read_options(given: Any, **known: Any) -> dict[str, Any]:
    """The options that a caller gave over the known ones; each must be of the kind of the known one."""
    chosen = as_mapping(given)
    unknown = set(chosen) - set(known)
    if unknown:
        raise BadSetting(f"These options are not known: {', '.join(sorted(unknown))}. Known: {', '.join(known)}.")
    return {name: _like(name, chosen.get(name), default) for name, default in known.items()}


def _like(name: str, value: Any, default: Any) -> Any:
    if value is None:
        return default
    if isinstance(default, (int, float)) and not isinstance(default, bool):
        number = as_number(name, value)
        if isinstance(default, int) and number != int(number):
            raise BadSetting(f"{name} must be a whole number, not {value}.")
        return type(default)(number)
    if isinstance(default, tuple):
        numbers = tuple(as_number(name, item) for item in as_list(value))
        if len(numbers) != len(default):
            raise BadSetting(f"{name} must be {len(default)} numbers, not {len(numbers)}.")
        return numbers
    if isinstance(default, list):
        return [str(item) for item in as_list(value)]
    if not isinstance(value, type(default)):
        raise BadSetting(f"{name} must be like {default!r}, not {str(value)[:40]!r}.")
    return value


def as_number(name: str, value: Any) -> float:
    """A number of JSON, of at most MOST. Raises BadSetting for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadSetting(f"{name} must be a number, not {str(value)[:40]!r}.")
    if not abs(value) <= MOST:
        raise BadSetting(f"{name} must lie between -{MOST:,} and {MOST:,}, not {str(value)[:24]}.")
    return float(value)


def as_mapping(value: Any) -> dict[str, Any]:
    """An object of JSON; none is an empty one. Raises BadSetting for anything else."""
    if not isinstance(value, (dict, type(None))):
        raise BadSetting('This takes JSON such as {"smile": 1.5}.')
    return dict(value or {})


def as_list(value: Any) -> list[Any]:
    """A list of JSON. Raises BadSetting for anything else."""
    if not isinstance(value, list):
        raise BadSetting("This takes a JSON list.")
    return value
