"""Pictures and animations out: every file says, for people and for machines, that it was made with AI by FaceLab."""

from facelab.media.animations import KINDS, STRIP_PICTURES, encode_animation, filmstrip, save_animation, some_frames
from facelab.media.marks import stamp
from facelab.media.pictures import encode_jpeg, encode_png, save_png
from facelab.media.provenance import MADE_BY_AI, PHOTO_CHANGED_BY_AI, Provenance
from facelab.media.sheets import contact_sheet, framed_sheet, labelled_sheet

__all__ = [
    "KINDS",
    "MADE_BY_AI",
    "PHOTO_CHANGED_BY_AI",
    "STRIP_PICTURES",
    "Provenance",
    "contact_sheet",
    "encode_animation",
    "encode_jpeg",
    "encode_png",
    "filmstrip",
    "framed_sheet",
    "labelled_sheet",
    "save_animation",
    "save_png",
    "some_frames",
    "stamp",
]
