"""Which directions a face model has, what the page calls them, and what each is learned from."""

from __future__ import annotations

from dataclasses import dataclass

PERSON = ("gender", "age", "skin")


@dataclass(frozen=True)
class Wanted:
    """A direction to be learned.

    seen: the attribute of the judge's list that the reader sees, with a minus where the list has the opposite, or the
    name of a measure of evaluation/geometry.py, "skin" or "yaw". held: kept by default. encoded: whether an encoder
    draws it; else it is sought in latents that were searched for. region: where it is to change a picture (regions.py),
    "" for everywhere. There is none for roll: the alignment takes it out of
    every picture.
    """

    id: str
    title: str
    low: str
    high: str
    group: str
    seen: str
    held: tuple[str, ...] = ()
    encoded: bool = True
    region: str = ""


WANTED = (
    Wanted("smile", "Smile", "serious", "smiling", "expression", "Smiling", region="face"),
    Wanted("mouth_open", "Mouth", "closed", "open", "expression", "mouth_open", region="jaw"),
    Wanted("yaw", "Turn", "to the left", "to the right", "expression", "-yaw"),
    Wanted("eyes", "Eyes", "narrower", "wider", "features", "eyes", region="brows"),
    Wanted("brows", "Brows", "finer", "bushier", "features", "Bushy_Eyebrows", ("gender",), region="brows"),
    Wanted("nose_size", "Nose", "narrower", "wider", "features", "nose_size", region="nose"),
    Wanted("lips", "Lips", "thinner", "fuller", "features", "lips", region="mouth"),
    Wanted("mouth_size", "Mouth width", "narrower", "wider", "features", "mouth_size", ("smile",), region="mouth"),
    Wanted("chubby", "Cheeks", "slimmer", "rounder", "features", "Chubby", ("gender", "age"), region="person"),
    Wanted("gender", "Gender", "feminine", "masculine", "person", "Male"),
    Wanted("age", "Age", "younger", "older", "person", "-Young", ("gender", "skin", "glasses"), region="person"),
    Wanted("attractive", "“Attractive”", "less", "more", "person", "Attractive", ("gender", "skin"), region="person"),
    Wanted("makeup", "Make-up", "without", "with", "person", "Heavy_Makeup", ("gender",), region="face"),
    Wanted(
        "glasses", "Glasses", "without", "with", "person", "Eyeglasses", ("gender", "age"), encoded=False, region="eyes"
    ),
    Wanted("beard", "Beard", "shaved", "bearded", "hair", "-No_Beard", ("gender",), region="jaw"),
    Wanted("mustache", "Moustache", "without", "with", "hair", "Mustache", ("gender",), region="mouth"),
    Wanted("bangs", "Fringe", "without", "with", "hair", "Bangs", ("gender",), region="forehead"),
    Wanted("hair_dark", "Dark hair", "lighter", "darker", "hair", "Black_Hair", ("skin",), region="hair"),
    Wanted("hair_blond", "Blond hair", "darker", "blonder", "hair", "Blond_Hair", ("gender", "skin"), region="hair"),
    Wanted("hair_grey", "Grey hair", "without", "with", "hair", "Gray_Hair", ("gender",), region="hair"),
    Wanted("hair_wavy", "Waves", "straighter", "wavier", "hair", "Wavy_Hair", ("gender",), region="hair"),
    Wanted("bald", "Hairline", "lower", "bald", "hair", "Receding_Hairline", ("gender",), region="forehead"),
    Wanted("skin", "Skin tone", "darker", "lighter", "person", "skin", region="skin"),
)

# What changes along with a direction by its nature, and may.
GOES_WITH = {
    "smile": ("mouth_open", "mouth_size", "lips", "eyes", "chubby"),
    "mouth_open": ("smile", "mouth_size", "lips"),
    "lips": ("mouth_open",),
    "mouth_size": ("lips",),
    "chubby": ("attractive",),
    "gender": ("brows", "lips", "attractive", "makeup", "beard", "mustache", "hair_wavy", "bald"),
    "age": ("attractive", "hair_grey", "bald"),
    "attractive": ("makeup",),
    "makeup": ("lips", "attractive"),
    "beard": ("mustache",),
    "mustache": ("beard",),
    "bangs": ("bald",),
    "hair_dark": ("hair_blond", "hair_grey"),
    "hair_blond": ("hair_dark", "hair_grey"),
    "hair_grey": ("age", "hair_dark", "hair_blond"),
    "bald": ("bangs", "hair_wavy"),
}
