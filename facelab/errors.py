"""Everything that can go wrong for a user. Each message says what happened and what to do next."""


class FaceLabError(Exception):
    """A failure the user can act on: shown as a message in the page and as one line by the CLI."""


class UnreadablePhoto(FaceLabError):
    """An upload that is no picture, is damaged, or is outside the limits on bytes, pixels and formats."""


class NoFaceFound(FaceLabError):
    """No detector found a face; the way out is two clicks on the eyes."""


class LatentMismatch(FaceLabError):
    """Latents of different models, spaces or shapes were mixed."""


class UnknownModel(FaceLabError):
    """A model name that no card lists."""


class BadWeights(FaceLabError):
    """A weight file that is damaged, unsafe to read, or does not fit its card."""


class BadFaceFile(FaceLabError):
    """A FACE.npz that is damaged or of a format that this version does not read."""


class BadSetting(FaceLabError, ValueError):
    """A setting outside its range."""


class Busy(FaceLabError):
    """More work or more visitors than this machine takes on at a time."""


class BadProject(FaceLabError):
    """A .facelab file that is damaged, too large, or of a newer version."""


class UnreadableClip(FaceLabError):
    """A video that is none, is damaged, or is outside the limits on bytes, seconds and pixels."""
