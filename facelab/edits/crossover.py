"""Style crossover: some layers' styles from another face, with what that face's own delta adds to those layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from facelab.edits.mixing import mix_deltas
from facelab.errors import BadSetting, LatentMismatch
from facelab.face import LOCAL, Delta
from facelab.regions import local_offsets


def crossover(content: Tensor, style: Tensor, *, rows: slice, strength: float = 1.0) -> Tensor:
    """Give `content` the style rows of `style` (Image2StyleGAN, section 4.2).

    content, style: w+ latents [..., L, D] of one model. rows: the rows taken from `style`; coarse rows carry pose and
    shape, fine rows colour and texture. strength: 0 keeps the content, 1 takes the style, both exactly.
    Raises LatentMismatch when the shapes differ, BadSetting for rows that are not there.
    """
    if content.shape != style.shape:
        raise LatentMismatch(
            f"Content and style have different shapes, {list(content.shape)} and {list(style.shape)}. "
            "Embed both faces with the same model."
        )
    rows = checked_rows(rows, content.shape[-2])
    mixed = content.clone()
    mixed[..., rows, :] = torch.lerp(content[..., rows, :], style[..., rows, :], float(strength))
    return mixed


def crossover_delta(
    content: Delta | None, style: Delta | None, *, rows: slice, row_of: Callable[[str], int], strength: float = 1.0
) -> Delta | None:
    """Each layer's delta from that layer's owner: of the layers styled by `rows` from `style`, of the others from
    `content`; in between for a strength in between. row_of: from a parameter's name to the row that styles its layer.
    """
    if strength == 0:
        return content

    def within(delta: Delta | None, inside: bool) -> Delta | None:
        if delta is None:
            return None
        values = {
            name: value
            for name, value in delta.values.items()
            if not name.startswith(LOCAL) and (rows.start <= row_of(name.partition(":")[0]) < rows.stop) == inside
        }
        for region, offset in local_offsets(delta).items():
            values[LOCAL + region] = torch.zeros_like(offset) if inside else offset.clone()
            values[LOCAL + region][rows] = offset[rows] if inside else 0
        return Delta(values) if values else None

    parts = [within(content, False), within(content, True), within(style, True)]
    return mix_deltas(parts, [1, 1 - strength, strength])


def checked_rows(rows: slice, num_layers: int) -> slice:
    """`rows` with both ends as numbers. Raises BadSetting for rows that a latent of `num_layers` rows does not have."""
    start = 0 if rows.start is None else rows.start
    stop = num_layers if rows.stop is None else rows.stop
    if rows.step not in (None, 1) or not 0 <= start < stop <= num_layers:
        raise BadSetting(f"Layers {start} to {stop - 1} are not a range of this model's layers, 0 to {num_layers - 1}.")
    return slice(int(start), int(stop))


def named_rows(num_layers: int) -> dict[str, slice]:
    """Ranges of layers, cut where StyleGAN cuts its own (Karras et al. 2019, section 3.1: two rows a resolution).

    StyleGAN2 has one row at 4 px, so each range ends in the first of the next size's two rows. coarse: 4 px to 16 px's
    first. middle: 16 px's second to 64 px's first. fine: the rest. half: the second half, Image2StyleGAN's style rows.
    """
    named = {
        "coarse": slice(0, min(4, num_layers)),
        "middle": slice(4, min(8, num_layers)),
        "fine": slice(8, num_layers),
        "half": slice(num_layers // 2, num_layers),
        "all": slice(0, num_layers),
    }
    return {name: rows for name, rows in named.items() if rows.start < rows.stop}


def parse_rows(text: str, num_layers: int) -> slice:
    """Layers as a person writes them: "6-11", "6" or a name of `named_rows`. Raises BadSetting for anything else."""
    named = named_rows(num_layers)
    if text in named:
        return named[text]
    first, dash, last = text.partition("-")
    if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
        raise BadSetting(
            f"Layers are a range such as {num_layers // 2}-{num_layers - 1} or one of {', '.join(named)}, "
            f"not {text[:40]!r}."
        )
    return checked_rows(slice(int(first), int(last or first) + 1), num_layers)
