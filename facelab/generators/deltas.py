"""What a batch of faces adds to the synthesis weights, layer by layer (see face.Delta)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facelab.face import Delta

# What the faces of a batch add to one layer's parameters: name -> [...] for one face's delta shared by the whole
# batch, [N, ...] for a delta each.
LayerDelta = dict[str, Tensor]


def added(parameter: Tensor, delta: LayerDelta | None, name: str) -> Tensor:
    """A layer's parameter with what the batch's faces add to it: [...] or, with a delta each, [N, ...]."""
    return parameter if delta is None or name not in delta else parameter + delta[name]


def block_additions(deltas: Sequence[Delta | None], block: str, layers: Sequence[str]) -> dict[str, LayerDelta]:
    """The additions of a batch's deltas to the layers of one block, dense: layer -> parameter -> tensor."""
    shared = all(delta is deltas[0] for delta in deltas)
    additions: dict[str, LayerDelta] = {}
    for layer in layers:
        names = ("weight", "bias") if layer == "torgb" else ("weight", "bias", "noise_strength")
        for name in names:
            dense = [dense_addition(delta, f"{block}.{layer}.{name}") for delta in deltas[: 1 if shared else None]]
            known = next((tensor for tensor in dense if tensor is not None), None)
            if known is None:
                continue
            if not shared:
                known = torch.stack([torch.zeros_like(known) if tensor is None else tensor for tensor in dense])
            additions.setdefault(layer, {})[name] = known
    return additions


def dense_addition(delta: Delta | None, name: str) -> Tensor | None:
    """What a delta adds to the synthesis parameter `name`, as a tensor of the parameter's shape, or None."""
    if delta is None:
        return None
    if f"{name}:out" in delta.values:
        outer, inner = delta.values[f"{name}:out"], delta.values[f"{name}:in"]
        # Ordered as a channels-last weight lies in memory, so that nothing that follows has to reorder the product.
        inner = inner.reshape(len(inner), -1, 9).transpose(1, 2).flatten(1)
        return (outer @ inner).reshape(len(outer), 3, 3, -1).permute(0, 3, 1, 2)
    return delta.values.get(name)


def style_row(name: str) -> int:
    """The row of w+ that styles the layer of a synthesis parameter, such as "b32.conv1.weight" (see Synthesis): torgb
    shares the next block's first row.
    """
    block, layer = name.split(".")[:2]
    first = 2 * int(block.removeprefix("b")).bit_length() - 7  # row of the block's conv0; at 4 px there is none
    return first + ("conv0", "conv1", "torgb").index(layer)
