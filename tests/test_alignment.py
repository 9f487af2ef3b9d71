"""A quad becomes the crop it says, and the way back into the photo is exact."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from facelab.alignment import (
    adjust_quad,
    align,
    crop_to_photo,
    photo_to_crop,
    quad_from_eyes,
    quad_from_landmarks,
)
from facelab.errors import BadSetting
from facelab.template import TEMPLATE_EYES, TEMPLATE_LANDMARKS

FIVE = (slice(36, 42), slice(42, 48), slice(30, 31), slice(48, 49), slice(54, 55))


def square(left: float, top: float, side: float, degrees: float = 0.0) -> np.ndarray:
    corners = np.array([[left, top], [left, top + side], [left + side, top + side], [left + side, top]], np.float32)
    return adjust_quad(corners, rotate=degrees)


def through(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def dots(places: np.ndarray, width: int, height: int, sigma: float) -> np.ndarray:
    """White dots, each at its place to a fraction of a pixel (pixel middles lie at one half)."""
    y, x = np.mgrid[:height, :width] + 0.5
    light = sum(np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * sigma**2)) for u, v in places)
    return np.repeat((np.clip(light, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


def centre_near(image: np.ndarray, place: np.ndarray, radius: float) -> np.ndarray:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    weight = image[..., 0] * (np.hypot(x - place[0], y - place[1]) < radius)
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@pytest.mark.parametrize(("side", "degrees"), [(300, 0), (300, 25), (700, -40), (90, 10), (513, 180)])
def test_a_pattern_lands_where_the_affine_says_to_a_tenth_of_a_pixel(side, degrees):
    quad = square(520 - side / 2 + 0.3, 480 - side / 2 - 0.4, side, degrees)
    inside = np.array([[0.3, 0.3], [0.7, 0.35], [0.5, 0.5], [0.32, 0.72], [0.68, 0.66]])
    places = through(crop_to_photo(quad, 1), inside)
    photo = dots(places, 1040, 960, sigma=max(side / 128, 2))
    aligned = align(photo, quad, resolution=128)
    for image in (aligned.image, aligned.crop):
        size = image.shape[0]
        for place, expected in zip(places, inside * size, strict=True):
            assert np.allclose(through(photo_to_crop(quad, size), place[None])[0], expected, atol=1e-4)
            assert np.hypot(*(centre_near(image, expected, size / 12) - expected)) < 0.1


def test_the_two_affines_are_inverse():
    quad = square(-31.7, 12.2, 345.6, 33)
    points = np.random.default_rng(0).uniform(-500, 500, (50, 2))
    assert np.allclose(through(photo_to_crop(quad, 512), through(crop_to_photo(quad, 512), points)), points, atol=1e-9)
    assert np.allclose(through(crop_to_photo(quad, 512), np.array([[0, 0], [0, 512], [512, 512], [512, 0]])), quad)


def test_a_quad_on_whole_pixels_copies_them():
    photo = np.random.default_rng(0).integers(0, 256, (800, 900, 3), np.uint8)
    crop = align(photo, square(200, 100, 512), resolution=512).crop
    assert (crop == photo[100:612, 200:712]).all()


def test_shrinking_does_not_alias():
    y, x = np.mgrid[:1700, :1700]
    checks = np.repeat(((x // 2 + y // 2) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    for degrees in (0, 17):
        aligned = align(checks, square(200, 200, 1300, degrees), resolution=128)
        assert aligned.image.std() < 3 and aligned.crop.std() < 12
        assert abs(aligned.image.mean() - 127.5) < 2


def test_the_template_is_a_fixed_point_of_the_alignment():
    for landmarks in (TEMPLATE_LANDMARKS, np.array([TEMPLATE_LANDMARKS[part].mean(axis=0) for part in FIVE])):
        quad = quad_from_landmarks(landmarks * 1000)
        assert np.hypot(*(quad - square(0, 0, 1000)).T).max() < 45  # a mean shape is a little smaller than its faces


def test_a_quad_turns_shifts_and_grows_with_its_landmarks():
    angle, scale, shift = math.radians(30), 3.5, np.array([411.0, -37.0])
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved = quad_from_landmarks(TEMPLATE_LANDMARKS @ turn.T + shift)
    assert np.allclose(moved, quad_from_landmarks(TEMPLATE_LANDMARKS) @ turn.T + shift, atol=1e-3)


@pytest.mark.parametrize("swapped", [False, True])
def test_two_clicks_put_the_eyes_where_the_template_has_them(swapped):
    eyes = np.array([[300.0, 420.0], [372.0, 396.0]])
    quad = quad_from_eyes(*(eyes[::-1] if swapped else eyes))
    assert np.allclose(through(photo_to_crop(quad, 1), eyes), TEMPLATE_EYES, atol=0.002)


def test_a_correction_by_hand_moves_the_frame():
    quad = square(100, 100, 200)
    assert np.allclose(adjust_quad(quad, dx=0.1, dy=-0.2), square(120, 60, 200))
    assert np.allclose(adjust_quad(quad, zoom=2), square(150, 150, 100))
    assert np.allclose(adjust_quad(quad, rotate=90), np.roll(quad, 1, axis=0), atol=1e-3)  # top left -> top right
    assert np.allclose(adjust_quad(adjust_quad(quad, rotate=31, zoom=1.3), zoom=1 / 1.3, rotate=-31), quad, atol=1e-3)
    turned = adjust_quad(quad, rotate=90)
    assert np.allclose(adjust_quad(turned, dx=0.5).mean(axis=0), (200, 300), atol=1e-3)  # along its own edge: down


@pytest.mark.parametrize(
    "wrong",
    [{"zoom": 0.1}, {"zoom": 9}, {"zoom": float("nan")}, {"dx": 1.5}, {"dy": -2}, {"rotate": float("inf")}],
)
def test_a_correction_outside_its_range_is_refused(wrong):
    with pytest.raises(BadSetting):
        adjust_quad(square(100, 100, 200), **wrong)


@pytest.mark.parametrize(
    ("quad", "message"),
    [
        (square(5000, 5000, 300), "outside the photo"),
        (square(-400, 100, 300), "outside the photo"),
        (square(0, 0, 3), "Zoom out"),
        (square(-2000, -2000, 4500), "Zoom in"),
        (np.zeros((4, 2)), "no area"),
        (np.array([[100, -5e7], [100, 5e7], [400, 5e7], [400, -5e7]]), "square"),
        (square(500, 400, 300) + np.array([[0, 0], [0, 0], [30, 0], [0, 0]]), "square"),
        (np.full((4, 2), np.nan), "finite"),
        (np.zeros((3, 2)), "four"),
    ],
)
def test_a_silly_crop_is_refused_with_what_to_do(quad, message):
    with pytest.raises(BadSetting, match=message):
        align(np.zeros((800, 1000, 3), np.uint8), quad, resolution=128)


def test_landmarks_that_span_no_face_are_refused():
    for points in (np.zeros((68, 2)), np.full((5, 2), np.nan), np.zeros((7, 2))):
        with pytest.raises(BadSetting):
            quad_from_landmarks(points)
    with pytest.raises(BadSetting, match="less than two pixels"):
        quad_from_eyes((10, 10), (10, 11))
    with pytest.raises(BadSetting, match="point"):
        quad_from_eyes((10, 10), (float("nan"), 11))


def test_beyond_the_border_the_photo_is_reflected_and_blurred_without_a_seam():
    y, x = np.mgrid[:600, :600]
    photo = np.stack([x // 3, y // 3, (x // 20 + y // 20) % 2 * 60 + 90], axis=2).astype(np.uint8)
    crop = align(photo, square(-150, 100, 400), resolution=128).crop.astype(float)
    outside, inside = crop[:, :150], crop[:, 320:]
    assert crop.min() > 0 and not (crop == 0).all(axis=2).any()  # no black
    assert np.abs(np.diff(crop[..., :2], axis=1)).max() < 8  # no seam
    assert np.abs(np.diff(outside[..., 2], axis=1)).max() < 8 < np.abs(np.diff(inside[..., 2], axis=1)).max()
    inner = align(photo[:, :], square(100, 100, 400), resolution=128).crop
    assert np.array_equal(align(photo, square(100, 100, 400), resolution=512).image, inner)


@pytest.mark.parametrize("resolution", [64, 128, 512, 1024])
def test_the_image_has_the_generators_resolution_and_the_crop_512(resolution):
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    aligned = align(photo, square(50, 50, 200), resolution=resolution, landmarks=np.zeros((5, 2)), detector="mtcnn")
    assert aligned.image.shape == (resolution, resolution, 3) and aligned.crop.shape == (512, 512, 3)
    assert aligned.image.dtype == aligned.crop.dtype == np.uint8 and aligned.quad.dtype == np.float32
    assert aligned.photo_size == (400, 300) and aligned.detector == "mtcnn"
    with pytest.raises(BadSetting):
        align(photo, square(50, 50, 200), resolution=0)
    with pytest.raises(BadSetting):
        align(photo[..., 0], square(50, 50, 200), resolution=128)


def test_a_crop_of_50_megapixels_costs_neither_time_nor_memory():
    photo = np.zeros((6144, 8192, 3), np.uint8)
    photo[::2] = 200
    for quad, budget in ((square(3000, 3000, 300), 20e6), (square(1200, 100, 5900, 20), 400e6)):
        tracemalloc.start()
        start = time.perf_counter()
        align(photo, quad, resolution=128)
        took, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert took < 6 and peak < budget


def test_the_quad_of_a_real_portrait_matches_across_sizes(finder, shared_photos):
    photo = Image.open(shared_photos / "kate_siegel.jpg").convert("RGB")
    quads = []
    for scale in (1.0, 0.5, 0.25):
        small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
        quads.append(quad_from_landmarks(finder.find(np.asarray(small))[0].landmarks) / scale)
    side = np.hypot(*(quads[0][3] - quads[0][0]))
    assert max(np.hypot(*(quad - quads[0]).T).max() for quad in quads) < 0.03 * side
