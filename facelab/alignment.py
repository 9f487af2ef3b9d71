"""Photo -> aligned face: the FFHQ quad from landmarks or from two eyes, its correction by hand, and the crop itself.

Coordinates are continuous: (0, 0) is the outer corner of the first pixel and (0.5, 0.5) its middle, in crop and photo
alike. A quad is float32 [4, 2], the crop's corners in the photo: top left, bottom left, bottom right, top right.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from facelab.errors import BadSetting
from facelab.face import CROP_SIZE, AlignedFace
from facelab.template import TEMPLATE_EYES

MIN_SIDE = 8.0
MAX_SIDE = 4.0  # in longest sides of the photo
MAX_CENTRE_OUTSIDE = 0.25  # in sides of the quad
ZOOM_RANGE = (0.25, 4.0)
SKEW = 0.01  # in sides: how far a corner may lie from a square's, by rounding
SAME_PLACE = 0.2  # in sides of the smaller quad: two people's faces, cheek to cheek, are twice as far apart

# The FFHQ template (Karras et al. 2019, "A Style-Based Generator Architecture", appendix A; recreate_aligned_images()
# of the published dataset tool): half the side from the eyes' distance or from eyes to mouth, the centre below.
_EYES_SCALE, _MOUTH_SCALE, _CENTRE_DOWN = 2.0, 1.8, 0.1
# How MTCNN's eyes differ from the means of dlib's eye contours, over 1,000 aligned portraits: higher by 3 percent of
# the way to the mouth, 1.5 percent further apart. Uncorrected, its quads are 2 percent too large and 0.8 too high.
_EYES_DOWN, _EYES_CLOSER = 0.03, 0.985
_BORDER, _PADDING, _BLUR = 0.1, 0.3, 0.02  # in sides of the quad


def quad_from_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """The FFHQ quad of a face.

    landmarks: float [68, 2] in dlib's order or [5, 2] in MTCNN's (eyes, nose, mouth corners; image left first), in the
    photo's pixels. Returns float32 [4, 2]. Raises BadSetting for other shapes and for points that span no face.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape == (68, 2):
        left, right = points[36:42].mean(axis=0), points[42:48].mean(axis=0)
        mouth = (points[48] + points[54]) / 2
    elif points.shape == (5, 2):
        mouth = (points[3] + points[4]) / 2
        left, right = _eyes_of_five(points[0], points[1], mouth)
    else:
        raise BadSetting(f"Landmarks must have the shape [68, 2] or [5, 2]; these have {list(points.shape)}.")
    eyes = (left + right) / 2
    eye_to_eye, eye_to_mouth = right - left, mouth - eyes
    across = eye_to_eye + _quarter_turn_back(eye_to_mouth)
    length = math.hypot(*across)
    if not np.isfinite(points).all() or length < 1e-6:
        raise BadSetting("These landmarks span no face. Click the two eyes to align it by hand.")
    across *= max(math.hypot(*eye_to_eye) * _EYES_SCALE, math.hypot(*eye_to_mouth) * _MOUTH_SCALE) / length
    return _quad(eyes + _CENTRE_DOWN * eye_to_mouth, across)


def quad_from_eyes(left: tuple[float, float], right: tuple[float, float]) -> np.ndarray:
    """The quad that puts two clicked eyes where the template has them (mean geometry of aligned portraits).

    left, right: the eyes' middles in the photo's pixels, in either order; the one further left in the photo becomes the
    left one. Returns float32 [4, 2]. Raises BadSetting when the clicks are less than two pixels apart.
    """
    first, second = np.asarray(left, np.float64), np.asarray(right, np.float64)
    if first.shape != (2,) or second.shape != (2,) or not np.isfinite([first, second]).all():
        raise BadSetting("An eye is a point (x, y) in the photo's pixels. Click both eyes.")
    if first[0] > second[0]:
        first, second = second, first
    eye_to_eye = second - first
    if math.hypot(*eye_to_eye) < 2:
        raise BadSetting("The two clicks are less than two pixels apart. Click one eye, then the other.")
    across = eye_to_eye / (TEMPLATE_EYES[1, 0] - TEMPLATE_EYES[0, 0]) / 2
    down = _quarter_turn(across)
    centre = (first + second) / 2 + 2 * (0.5 - TEMPLATE_EYES[:, 1].mean()) * down
    return _quad(centre, across)


def adjust_quad(
    quad: np.ndarray, *, dx: float = 0.0, dy: float = 0.0, zoom: float = 1.0, rotate: float = 0.0
) -> np.ndarray:
    """Correct a crop by hand: the frame moves, the photo stays.

    dx, dy: how far the frame goes right and down along its own edges, in fractions of its side, -1 to 1. zoom: above 1
    the frame shrinks, so the face looks larger; 0.25 to 4. rotate: degrees that the frame turns clockwise about its
    middle. Returns float32 [4, 2]. Raises BadSetting outside these ranges.
    """
    corners = _check_quad(quad)
    if not all(math.isfinite(value) for value in (dx, dy, zoom, rotate)):
        raise BadSetting("Nudge, zoom and rotation must be finite numbers.")
    if not ZOOM_RANGE[0] <= zoom <= ZOOM_RANGE[1]:
        raise BadSetting(f"Zoom must be between {ZOOM_RANGE[0]} and {ZOOM_RANGE[1]}; this is {zoom:g}.")
    if max(abs(dx), abs(dy)) > 1:
        raise BadSetting(f"A nudge is at most one side of the crop (-1 to 1); this is {dx:g}, {dy:g}.")
    across, down = corners[3] - corners[0], corners[1] - corners[0]
    centre = corners.mean(axis=0) + dx * across + dy * down
    angle = math.radians(rotate)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (centre + (corners - corners.mean(axis=0)) @ turn.T / zoom).astype(np.float32)


def same_place(quad: np.ndarray, other: np.ndarray) -> bool:
    """Whether two quads, float [4, 2], of one photo are crops of the same face, however they were corrected."""
    apart = quad.mean(axis=0) - other.mean(axis=0)
    return math.hypot(*apart) < SAME_PLACE * min(math.hypot(*(each[3] - each[0])) for each in (quad, other))


def crop_to_photo(quad: np.ndarray, size: int) -> np.ndarray:
    """The affine map from a crop of `size` pixels into the photo, float64 [2, 3]: photo = A[:, :2] @ crop + A[:, 2]."""
    corners = _check_quad(quad)
    return np.stack([(corners[3] - corners[0]) / size, (corners[1] - corners[0]) / size, corners[0]], axis=1)


def photo_to_crop(quad: np.ndarray, size: int) -> np.ndarray:
    """The inverse of `crop_to_photo`, float64 [2, 3]: crop = A[:, :2] @ photo + A[:, 2]."""
    forward = crop_to_photo(quad, size)
    back = np.linalg.inv(forward[:, :2])
    return np.concatenate([back, -back @ forward[:, 2:]], axis=1)


def align(
    photo: np.ndarray,
    quad: np.ndarray,
    *,
    resolution: int,
    landmarks: np.ndarray | None = None,
    detector: str = "hand",
) -> AlignedFace:
    """Cut a quad out of a photo, at the generator's resolution and at 512 px.

    photo: uint8 [H, W, 3] RGB. Where the quad leaves the photo, the photo is reflected and softly blurred as in FFHQ.
    Raises BadSetting when the quad is degenerate, far outside the photo, or absurdly small or large.
    """
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise BadSetting(f"A photo is uint8 [H, W, 3]; this is {photo.dtype} {list(photo.shape)}.")
    if not 4 <= resolution <= 2048:
        raise BadSetting(f"The resolution must be between 4 and 2048 pixels; this is {resolution}.")
    height, width = photo.shape[:2]
    _check_inside(quad, width, height)
    largest = _cut(photo, quad, max(resolution, CROP_SIZE))
    return AlignedFace(
        image=_shrunk(largest, resolution),
        crop=_shrunk(largest, CROP_SIZE),
        quad=np.asarray(quad, np.float32),
        photo_size=(width, height),
        landmarks=None if landmarks is None else np.asarray(landmarks, np.float32),
        detector=detector,
    )


def _eyes_of_five(left: np.ndarray, right: np.ndarray, mouth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle, half = (left + right) / 2, (right - left) / 2 * _EYES_CLOSER
    middle = middle + _EYES_DOWN * (mouth - middle)
    return middle - half, middle + half


def _quarter_turn(vector: np.ndarray) -> np.ndarray:
    """From the crop's rightward edge to its downward edge (y points down)."""
    return np.array([-vector[1], vector[0]])


def _quarter_turn_back(vector: np.ndarray) -> np.ndarray:
    return np.array([vector[1], -vector[0]])


def _quad(centre: np.ndarray, across: np.ndarray) -> np.ndarray:
    down = _quarter_turn(across)
    corners = [centre - across - down, centre - across + down, centre + across + down, centre + across - down]
    return np.array(corners, np.float32)


def _check_quad(quad: np.ndarray) -> np.ndarray:
    corners = np.asarray(quad, np.float64)
    if corners.shape != (4, 2) or not np.isfinite(corners).all():
        raise BadSetting("A crop is four finite corners (x, y) in the photo's pixels: float32 [4, 2].")
    across, down = corners[3] - corners[0], corners[1] - corners[0]
    if abs(across[0] * down[1] - across[1] * down[0]) < 1e-6:
        raise BadSetting("The corners of this crop span no area. Align the face again.")
    skew = np.stack([down - _quarter_turn(across), corners[2] - corners[1] - across])
    if np.abs(skew).max() > SKEW * math.hypot(*across):
        raise BadSetting("The corners of this crop are not those of a square. Align the face again.")
    return corners


def _check_inside(quad: np.ndarray, width: int, height: int) -> None:
    """Raise BadSetting for a quad, float [4, 2], that is no crop of a photo of this size."""
    corners = _check_quad(quad)
    side = math.hypot(*(corners[3] - corners[0]))
    if not MIN_SIDE <= side <= MAX_SIDE * max(width, height):
        way = "in" if side > MIN_SIDE else "out"
        raise BadSetting(f"This crop is {side:.0f} pixels wide in a photo of {width} x {height}. Zoom {way}.")
    centre, slack = corners.mean(axis=0), MAX_CENTRE_OUTSIDE * side
    if (centre < -slack).any() or (centre > np.array([width, height]) + slack).any():
        raise BadSetting("This crop lies outside the photo. Move it back over the face.")


def _cut(photo: np.ndarray, quad: np.ndarray, size: int) -> Image.Image:
    corners, matrix = _check_quad(quad), crop_to_photo(quad, size)
    side = math.hypot(*(corners[3] - corners[0]))
    height, width = photo.shape[:2]
    lowest, highest = corners.min(axis=0), corners.max(axis=0)
    border = max(_BORDER * side, 3.0)
    x0, y0 = np.maximum(np.floor(lowest - border).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(highest + border).astype(int), (width, height))
    shrink = max(int(side / size / 2), 1)  # averaging whole pixels first leaves two to four a pixel for the transform
    region = Image.fromarray(np.ascontiguousarray(photo[y0:y1, x0:x1])).reduce(shrink)
    matrix[:, 2] -= (x0, y0)
    matrix /= shrink
    outside = np.concatenate([-lowest, highest - (width, height)])  # left, top, right, bottom
    if (outside <= 0).all():
        return _sampled(region, matrix, size)
    pads = np.where(outside > 0, np.ceil(np.maximum(outside + border, _PADDING * side) / shrink), 0).astype(int)
    return _sampled_beyond(region, matrix, size, pads, side / shrink)


def _sampled(image: Image.Image, matrix: np.ndarray, size: int) -> Image.Image:
    """`size` pixels square of an image under crop -> image, oversampled where it shrinks, so that nothing aliases."""
    fine = min(max(math.ceil(math.hypot(*matrix[:, 0])), 1), 4)
    coefficients = matrix.copy()
    coefficients[:, :2] /= fine
    crop = image.transform(
        (size * fine, size * fine), Image.Transform.AFFINE, tuple(coefficients.ravel()), Image.Resampling.BICUBIC
    )
    return crop if fine == 1 else crop.resize((size, size), Image.Resampling.LANCZOS)


def _sampled_beyond(region: Image.Image, matrix: np.ndarray, size: int, pads: np.ndarray, side: float) -> Image.Image:
    """`_sampled` where the quad leaves the photo: reflect the photo there and fade into a blur, as FFHQ does.

    pads: pixels to add on the left, top, right and bottom; side: the quad's, in pixels of the region.
    """
    left, top, right, bottom = pads
    region = Image.fromarray(np.pad(np.asarray(region), ((top, bottom), (left, right), (0, 0)), mode="reflect"))
    matrix = matrix.copy()
    matrix[:, 2] += (left, top)
    coarse = max(int(_BLUR * side / 4), 1)
    small = region.reduce(coarse)
    blurred = small.filter(ImageFilter.GaussianBlur(_BLUR * side / coarse))
    middle = np.median(np.asarray(small), axis=(0, 1)).astype(np.float32)
    sharp, soft = (
        np.asarray(_sampled(picture, matrix / scale, size), np.float32)
        for picture, scale in ((region, 1), (blurred, coarse))
    )
    steps = np.arange(size) + 0.5
    x, y = (row[0] * steps + row[1] * steps[:, None] + row[2] for row in matrix)
    edges = ((x, left), (y, top), (region.width - x, right), (region.height - y, bottom))
    # 1 at the outer edge, 0 at the photo's border, negative inside
    beyond = np.max([1 - distance / pad for distance, pad in edges if pad], axis=0).astype(np.float32)[..., None]
    sharp += (soft - sharp) * np.clip(3 * beyond + 1, 0, 1)
    sharp += (middle - sharp) * np.clip(beyond, 0, 1)
    return Image.fromarray(np.clip(sharp + 0.5, 0, 255).astype(np.uint8))


def _shrunk(image: Image.Image, size: int) -> np.ndarray:
    return np.array(image if image.width == size else image.resize((size, size), Image.Resampling.LANCZOS))
