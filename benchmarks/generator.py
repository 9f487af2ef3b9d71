"""Images a second of FaceLab's StyleGAN2 and of the published StyleGAN2-ADA PyTorch code, same weights, in one run.

Run: python -m benchmarks.generator REFERENCE [--resolutions 64 256] [--batches 1 8] [--rounds 10]
REFERENCE is a checkout of the published code (its folder `training` is imported; nothing else of it runs).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks.machine import machine
from facelab.allocator import keep_freed_memory
from facelab.generators.stylegan2 import StyleGAN2

Z_DIM = 512
CHANNEL_BASE = 16384  # the published configuration for up to 256 px
CHANNEL_MAX = 512


def make_pair(reference: Path, resolution: int) -> tuple[torch.nn.Module, StyleGAN2]:
    """The published generator with random weights, and ours with the same."""
    sys.path.insert(0, str(reference))
    from training.networks import Generator

    torch.manual_seed(0)
    synthesis = {"channel_base": CHANNEL_BASE, "channel_max": CHANNEL_MAX}
    published = Generator(Z_DIM, 0, Z_DIM, resolution, 3, synthesis_kwargs=synthesis).eval().requires_grad_(False)
    with torch.no_grad():
        for name, parameter in published.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
        image = published(torch.randn(4, Z_DIM), None, noise_mode="const")
        for size in published.synthesis.block_resolutions:  # pictures in the range of faces, for an honest PSNR
            getattr(published.synthesis, f"b{size}").torgb.weight.div_(2 * image.std())
    ours = StyleGAN2(resolution, channel_base=CHANNEL_BASE, channel_max=CHANNEL_MAX).eval().requires_grad_(False)
    ours.load_state_dict(published.state_dict(), strict=True)
    return published, ours.to(memory_format=torch.channels_last)


def race(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, run in turns so that a busy moment of the machine meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:  # the first turn warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    """Print the machine, agreement, images a second and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path, help="folder of the published StyleGAN2-ADA PyTorch code")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    keep_freed_memory()
    print(machine())
    print("  px batch   published     float32  ratio    bfloat16  ratio   (images a second)")
    for resolution in options.resolutions:
        published, ours = make_pair(options.reference, resolution)
        with torch.inference_mode():
            z = torch.randn(max(options.batches), Z_DIM)
            expected = published(z, None, noise_mode="const")
            w = ours.map(z)[:, None]
            exact, fast = (ours.synthesize(w, dtype=dtype) for dtype in (torch.float32, torch.bfloat16))
            for batch in options.batches:
                ws = w[:batch]
                rows = ws.expand(-1, ours.num_layers, -1)
                seconds = race(
                    {
                        "published": partial(published.synthesis, rows, noise_mode="const"),
                        "float32": partial(ours.synthesize, ws, dtype=torch.float32),
                        "bfloat16": partial(ours.synthesize, ws, dtype=torch.bfloat16),
                    },
                    options.rounds,
                )
                rate = {name: batch / value for name, value in seconds.items()}
                columns = [f"{resolution:4} {batch:5} {rate['published']:11.2f}"]
                for name in ("float32", "bfloat16"):
                    columns.append(f"{rate[name]:11.2f} {rate[name] / rate['published']:6.2f}")
                print(" ".join(columns))
        psnr = 10 * torch.log10(4 / (fast - exact).square().mean())
        print(f"     float32 differs from the published picture by at most {(exact - expected).abs().max():.1e};")
        print(f"     bfloat16 is {psnr:.1f} dB from float32")


if __name__ == "__main__":
    main()
