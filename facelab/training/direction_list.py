"""Which directions a face model has, what the page calls them, and what each is learned from."""

from __future__ import annotations

from dataclasses import dataclass

PERSON = ("gender", "age", "skin")
COARSE, SHAPE, MIDDLE, COLOUR, PAINT = (0, 1 / 2), (0, 2 / 3), (1 / 6, 2 / 3), (1 / 3, 1), (5 / 12, 1)


@dataclass(frozen=True)
class Wanted:
    """A direction to be learned.

    seen: the attribute of the judge's list that the reader sees, with a minus where the list has the opposite, or the
    name of a measure of evaluation/geometry.py, "skin" or "yaw". held: kept by default. encoded: whether an encoder
    draws it; else it is sought in latents that were searched for. region: where it is to change a picture (regions.py),
    "" for everywhere. rows: from where to where of the latent's rows it may move, in shares: with fine ones beside
    coarse, a direction learns to paint what pleases the reader. The weights of its tuning (direction_tuning.py) that
    differ from direction to direction: person, times the usual one, of the person; hold, the same of those held; shade,
    of the squared distance to hair of the colour wanted, where pictures have to tell it (shades.py), as the reader does
    not do; rest, of the squared change of what is no hair, where a colour of hair is tuned on the whole picture. means:
    how far the tuned direction is turned back to the difference of the means, where that is as clear and looks more
    natural. There is no direction for roll: the alignment takes it out of every picture.
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
    rows: tuple[float, float] = (0, 1)
    person: float = 1.0
    hold: float = 1.0
    shade: float = 0.0
    rest: float = 0.0
    means: float = 0.0

    def rows_of(self, count: int) -> tuple[int, int]:
        """The first row of `count` that may move, and the one after the last."""
        return round(self.rows[0] * count), round(self.rows[1] * count)


WANTED = (
    Wanted("smile", "Smile", "serious", "smiling", "expression", "Smiling", region="face", rows=SHAPE),
    Wanted("mouth_open", "Mouth", "closed", "open", "expression", "mouth_open", region="jaw", rows=SHAPE),
    Wanted("yaw", "Turn", "to the left", "to the right", "expression", "-yaw"),
    Wanted("eyes", "Eyes", "narrower", "wider", "features", "eyes", region="brows", rows=SHAPE),
    Wanted(
        "brows",
        "Brows",
        "finer",
        "bushier",
        "features",
        "Bushy_Eyebrows",
        ("gender",),
        region="brows",
        rows=SHAPE,
        hold=20.0,
    ),
    Wanted("nose_size", "Nose", "narrower", "wider", "features", "nose_size", region="nose", rows=SHAPE),
    Wanted("lips", "Lips", "thinner", "fuller", "features", "lips", region="mouth", rows=SHAPE),
    Wanted(
        "mouth_size",
        "Mouth width",
        "narrower",
        "wider",
        "features",
        "mouth_size",
        ("smile",),
        region="mouth",
        rows=SHAPE,
        hold=5.0,
    ),
    Wanted(
        "chubby", "Cheeks", "slimmer", "rounder", "features", "Chubby", ("gender", "age"), region="person", rows=SHAPE
    ),
    Wanted("gender", "Gender", "feminine", "masculine", "person", "Male", rows=SHAPE),
    Wanted(
        "age", "Age", "younger", "older", "person", "-Young", ("gender", "skin", "glasses"), region="person", rows=SHAPE
    ),
    Wanted(
        "attractive",
        "“Attractive”",
        "less",
        "more",
        "person",
        "Attractive",
        ("gender", "skin"),
        region="person",
        rows=SHAPE,
    ),
    Wanted(
        "makeup",
        "Make-up",
        "without",
        "with",
        "person",
        "Heavy_Makeup",
        ("gender",),
        region="face",
        rows=PAINT,
        person=4.0,  # to dlib, painted eyes are soon somebody else's
    ),
    Wanted(
        "glasses",
        "Glasses",
        "without",
        "with",
        "person",
        "Eyeglasses",
        ("gender", "age"),
        encoded=False,
        region="eyes",
        rows=SHAPE,
        means=0.25,
    ),
    Wanted("beard", "Beard", "shaved", "bearded", "hair", "-No_Beard", ("gender",), region="beard", rows=MIDDLE),
    Wanted(
        "mustache", "Moustache", "without", "with", "hair", "Mustache", ("gender",), region="moustache", rows=MIDDLE
    ),
    Wanted(
        "bangs", "Fringe", "without", "with", "hair", "Bangs", ("gender",), region="forehead", rows=COARSE, means=1.0
    ),
    Wanted("hair_dark", "Dark hair", "lighter", "darker", "hair", "Black_Hair", ("skin",), region="hair", rows=COLOUR),
    Wanted(
        "hair_blond",
        "Blond hair",
        "darker",
        "blonder",
        "hair",
        "Blond_Hair",
        ("gender", "skin"),
        region="hair",
        rows=COLOUR,
        shade=150.0,
        rest=15.0,
        means=0.75,
    ),
    Wanted(
        "hair_grey",
        "Grey hair",
        "without",
        "with",
        "hair",
        "Gray_Hair",
        ("gender",),
        region="hair",
        rows=COLOUR,
        shade=150.0,
        rest=15.0,
    ),
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
