"""How networks are optimised: the precision of their convolutions, and Adam beside lazy regularisation."""

from __future__ import annotations

import torch
from torch import nn

from facelab.generators.stylegan2 import fast_dtype

BETAS = (0.0, 0.99)
SETTLED = 1 / 20  # of the full learning rate, at the end
HALF_PRECISION_CLAMP = 256.0  # of activations in float16 (Karras et al. 2020, "Limited Data", appendix D.1)


def training_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """The convolutions' dtype: bfloat16 where the device is fast in it, float16 on older GPUs, else float32."""
    if precision != "auto":
        return getattr(torch, precision)
    dtype = fast_dtype(device)
    if device.type == "cuda" and dtype == torch.float32 and torch.cuda.get_device_capability(device) >= (7, 0):
        return torch.float16
    return dtype


def bound_activations(network: nn.Module) -> None:
    """Clamp what a network's layers put out, so that float16 can hold it."""
    for layer in network.modules():
        if hasattr(layer, "clamp"):
            layer.clamp = HALF_PRECISION_CLAMP


def lazy_adam(network: nn.Module, *, learning_rate: float, interval: int) -> torch.optim.Adam:
    """Adam for a network whose penalty comes every `interval` steps; 0 for never."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, eps=1e-8, fused=True)
    optimizer.register_step_post_hook(_tell_autograd)
    set_lazy_rates(optimizer, learning_rate=learning_rate, interval=interval)
    return optimizer


def _tell_autograd(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Fused Adam changes parameters behind autograd's back: what layers prepared from them would be kept too long."""
    for group in optimizer.param_groups:
        for value in group["params"]:
            torch.autograd.graph.increment_version(value)


def set_lazy_rates(optimizer: torch.optim.Optimizer, *, learning_rate: float, interval: int) -> None:
    """Rates for lazy regularisation: c = k / (k + 1) scales the rate, betas are raised to c (Karras et al. 2020, B)."""
    ratio = interval / (interval + 1) if interval else 1.0
    for group in optimizer.param_groups:
        group |= {"foreach": None, "fused": True}  # older checkpoints have foreach
        group["full_lr"] = learning_rate * ratio
        group["betas"] = (BETAS[0] ** ratio, BETAS[1] ** ratio)


def share_of_rate(step: int, progress: float, *, warmup_steps: int, settle: float) -> float:
    """The share of the full learning rate at a step: it rises over the first `warmup_steps` steps, and falls to a
    twentieth, by the same factor at each, over the last share `settle` of the training.

    progress: in [0, 1], how much of the training is done.
    """
    risen = min(1.0, (step + 1) / max(warmup_steps, 1))
    late = max(0.0, progress - (1 - settle)) / settle if settle else 0.0
    return risen * SETTLED ** min(late, 1.0)


def scale_rates(optimizers: tuple[torch.optim.Optimizer, ...], share: float) -> None:
    """Set the learning rates to a share of their full values."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["full_lr"] * share
