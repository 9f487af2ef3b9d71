"""How fast and how faithful embedding is on this machine: `python benchmarks/embedding.py PHOTOS [--preset fast]`.

PHOTOS is a folder; the largest face of each photo is embedded as the page does it, with previews, after a warm-up.
Prints the machine, then one line a photo and one for all: seconds from aligned crop to face, steps a second of the two
phases, PSNR, dlib's identity distance to the photo's crop after the latent and after refining (under 0.6 is the same
person), the delta's size, and the memory that stays in use after the first embedding.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import machine
from facelab.embedding_settings import EmbedSettings
from facelab.errors import FaceLabError
from facelab.face import AlignedFace
from facelab.photo import read_photo
from facelab.recovery import RecoverySettings
from facelab.studio import Studio


def main() -> None:
    """Embed the photos of a folder and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--preset", help="by default the first of the model's")
    parser.add_argument("--model", default="faces128")
    options = parser.parse_args()

    print(f"{machine()}; ", end="")
    print(f"{torch.get_num_threads()} threads; load {os.getloadavg()[0]:.1f} (an idle machine shows under 0.3)")
    started = time.perf_counter()
    try:
        studio = Studio(options.model)
    except FaceLabError as error:
        parser.error(str(error))
    preset = options.preset or next(iter(studio.presets))
    if preset not in studio.presets:
        parser.error(f"{options.model} has no preset {preset}. It has {', '.join(studio.presets)}.")
    studio.warm_up()
    print(
        f"{studio.card.name} on {studio.device}: warm after {time.perf_counter() - started:.1f} s, {resident():.0f} MB"
    )

    rows = []
    for path in sorted(options.photos.iterdir()):
        try:
            photo = read_photo(path)
            aligned = studio.align(photo, studio.find_faces(photo)[0])
        except FaceLabError as error:
            print(f"{path.name:<24} skipped: {str(error).partition('.')[0]}")
            continue
        row = measure(studio, aligned, studio.presets[preset])
        memory = "" if rows else f"  {resident():.0f} MB in use afterwards"
        rows.append(row)
        print(f"{path.name:<24} {told(row)}{memory}")
    if rows:
        print(f"{'median':<24} {told({name: statistics.median(row[name] for row in rows) for name in rows[0]})}")
        print(f"{'worst identity':<24} {max(row['identity'] for row in rows):.3f}")


def measure(studio: Studio, aligned: AlignedFace, settings: EmbedSettings | RecoverySettings) -> dict[str, float]:
    """Embed one face; seconds without what this benchmark itself does."""
    row = {}
    started = phase_started = time.perf_counter()
    phase_first = 0
    for step in studio.embed(aligned, settings):
        if step.phase_done:
            now = time.perf_counter()
            row[f"{step.phase} steps/s"] = (step.step - phase_first) / (now - phase_started)
            row[f"{step.phase} identity"] = step.identity_distance
            phase_started, phase_first = now, step.step
    row["seconds"] = time.perf_counter() - started
    row["psnr"] = step.psnr
    row["identity"] = step.identity_distance
    row["delta kB"] = step.delta.nbytes / 1000 if step.delta else 0.0
    return row


def told(row: dict[str, float]) -> str:
    """One line of figures."""
    return "  ".join(f"{name} {value:.{2 if 'identity' in name else 1}f}" for name, value in row.items())


def resident() -> float:
    """Memory that this process keeps in RAM, in MB (its peak where the system does not tell)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
