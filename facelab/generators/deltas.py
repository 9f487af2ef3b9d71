"""What a batch of faces adds to the synthesis weights, layer by layer (see face.Delta)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from facelab.face import LOCAL, Delta
from facelab.generators.tuning import Group, TunedWeight, group_factors

# What the faces of a batch add to one layer's parameters: name -> [...] for one face's delta shared by the whole
# batch, [N, ...] for a delta each; groups of factors for a convolution's weight where no gradient is wanted.
LayerDelta = dict[str, Tensor | list[Group]]


def added(parameter: Tensor, delta: LayerDelta | None, name: str) -> Tensor | TunedWeight:
    """A layer's parameter with what the batch's faces add to it: [...] or, with a delta each, [N, ...]."""
    if delta is None or name not in delta:
        return parameter
    addition = delta[name]
    return TunedWeight(parameter, addition) if isinstance(addition, list) else parameter + addition


def block_additions(deltas: Sequence[Delta | None], block: str, layers: Sequence[str]) -> dict[str, LayerDelta]:
    """The additions of a batch's deltas to the layers of one block: layer -> parameter -> what is added."""
    shared = all(delta is deltas[0] for delta in deltas)
    additions: dict[str, LayerDelta] = {}
    for layer in layers:
        names = ("weight", "bias") if layer == "torgb" else ("weight", "bias", "noise_strength")
        for name in names:
            factors = [_factors(delta, f"{block}.{layer}.{name}") for delta in deltas]
            if any(pair is not None for pair in factors) and not torch.is_grad_enabled():
                additions.setdefault(layer, {})[name] = group_factors(factors)
                continue
            dense = [dense_addition(delta, f"{block}.{layer}.{name}") for delta in deltas[: 1 if shared else None]]
            known = next((tensor for tensor in dense if tensor is not None), None)
            if known is None:
                continue
            if not shared:
                known = torch.stack([torch.zeros_like(known) if tensor is None else tensor for tensor in dense])
            additions.setdefault(layer, {})[name] = known
    return additions


def _factors(delta: Delta | None, name: str) -> tuple[Tensor, Tensor] | None:
    if delta is None or f"{name}:out" not in delta.values:
        return None
    return delta.values[f"{name}:out"], delta.values[f"{name}:in"]


def weakened(delta: Delta | None, share: float) -> Delta | None:
    """The delta with so much of what it adds to weights; itself where that is all. Local offsets are left out."""
    if delta is None or share == 1:
        return delta
    return Delta(
        {
            name: value if name.endswith(":in") else share * value
            for name, value in delta.values.items()
            if not name.startswith(LOCAL)
        }
    )


def on_device(deltas: Sequence[Delta | None], device: torch.device) -> list[Delta | None]:
    """The same deltas on a device; tensors that they share stay shared."""
    moved: dict[int, Tensor] = {}

    def move(tensor: Tensor) -> Tensor:
        return moved.setdefault(id(tensor), tensor.to(device))

    def fits(delta: Delta | None) -> bool:
        return delta is None or all(tensor.device.type == device.type for tensor in delta.values.values())

    return [
        delta if fits(delta) else Delta({name: move(tensor) for name, tensor in delta.values.items()})
        for delta in deltas
    ]


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
