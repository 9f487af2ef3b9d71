"""`python -m facelab combine --recoveries N`: two faces recovered anew several times, each pair combined."""

from __future__ import annotations

import sys

from facelab.commands.console import check_spared, numbered, save_faces
from facelab.commands.results import Job, check_pixels
from facelab.errors import BadSetting

SIDE = 128  # of each picture of a sheet
STEPS = {"op": "recover"}, {"op": "combine"}


def combine_recoveries(job: Job, *, count: int, steps: int) -> None:
    """Write the combinations: a sheet (.png), or faces (.npz, NAME-1.npz and so on), the best recoveries first.

    Raises BadSetting for a model with w+ and for another kind of file.
    """
    from tqdm import tqdm

    from facelab.media import contact_sheet, save_png
    from facelab.recovery import RecoverySettings

    path = job.output.path
    if path.suffix not in (".png", ".npz"):
        raise BadSetting(f"Several combinations are written as .png or .npz, not as {path.suffix}.")
    if path.suffix == ".png":
        check_pixels(count, job.output.size or SIDE)
    for file in numbered(path, count):
        check_spared(file, *job.inputs)
    recovered, psnr = [], []
    with tqdm(total=2 * steps, file=sys.stderr, unit="step", mininterval=0.5, dynamic_ncols=True) as bar:
        for face in job.faces:
            for step in job.studio.recoveries(face, RecoverySettings(steps=steps, restarts=count)):
                bar.set_postfix(psnr=f"{step.psnr:.1f}", refresh=False)
                bar.update()
            recovered.append(job.studio.recovered(step.state, face))
            psnr.append(round(step.psnr, 2))
    made = job.studio.combinations(*recovered)
    files = save_faces(made, path) if path.suffix == ".npz" else [path]
    if path.suffix == ".png":
        sheet = contact_sheet(job.studio.render_many(made, job.output.size or SIDE))
        save_png(sheet, path, **job.said(STEPS), mark=job.output.mark)
    job.report(STEPS, files=files, recoveries=count, psnr=psnr)
