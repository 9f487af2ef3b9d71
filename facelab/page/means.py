"""The averages of faces as a sheet: the mean on the sphere of identities, and plain means beside it (ISTRC)."""

from __future__ import annotations

from collections.abc import Sequence

from facelab.face import Face
from facelab.history import Result
from facelab.page.sheet import Sheet
from facelab.sessions import LibraryFace
from facelab.studio import Studio
from facelab.worker import Worker

COLUMNS = 9


def sheet_of_means(
    worker: Worker,
    circle: Studio,
    faces: Sequence[Face],
    *,
    of: Sequence[LibraryFace],
    latents: Face | None = None,
) -> Sheet:
    """The mean on the sphere and the plain mean of the vectors, decoded as short as it is, of the same faces.

    circle: whose decoder draws them. of: those of the faces that are in the library. latents: the plain mean of the
    faces' latents, shown as a third one.
    """
    mean = worker.run(circle.circle_average, faces)
    made = [("Mean on the sphere", mean.face), (f"Plain mean, {mean.norm:.3f} long", mean.plain)]
    if latents is not None:
        made.append(("Plain mean of latents", latents))
    titles = [title for title, _ in made]

    def take(index: int) -> Result:
        title, face = made[index]
        return Result(f"Average of {len(faces)}", f"{title}, of {len(faces)} faces", face)

    drawn = [worker.run(circle.render, face) for _, face in made]
    return Sheet("On the sphere, and the plain mean" + "s" * (len(made) > 2), COLUMNS, drawn, titles, take, of=of)
