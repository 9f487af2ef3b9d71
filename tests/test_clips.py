"""Clips as phones and cameras make them: turned, of a varying rate, with sound; and what must not be in them."""

import io

import numpy as np
import pytest
from footage import ffmpeg, ground, streams, write_clip

from facelab.clips import MAX_SECONDS, read_clip
from facelab.errors import UnreadableClip


def marked(number: int) -> np.ndarray:
    """A frame that is light at the top left, and of another brightness for each number."""
    frame = ground() // 4 + np.uint8(8 * number)
    frame[:60, :80] = 250
    return frame


def test_a_clip_that_was_filmed_on_its_side_stands_upright(tmp_path):
    flat = write_clip(tmp_path / "flat.mp4", [marked(number) for number in range(4)])
    ffmpeg("-display_rotation", "90", "-i", flat, "-c", "copy", tmp_path / "turned.mp4")
    clip = read_clip(tmp_path / "turned.mp4")
    assert clip.size == (320, 400), "as a player shows it"
    frame = next(clip.frames())
    assert frame.shape == (400, 320, 3) and frame[350:390, 10:50].mean() > 200 > frame[10:50, 10:50].mean()


def test_a_varying_rate_becomes_even_and_keeps_its_time(tmp_path):
    even = write_clip(tmp_path / "even.mp4", [marked(number) for number in range(10)])
    late = "setpts='if(lt(N,5),N,N*3-10)/10/TB'"  # the second half three times as slow
    ffmpeg("-i", even, "-vf", late, "-fps_mode", "vfr", tmp_path / "varying.mp4")
    clip = read_clip(tmp_path / "varying.mp4")
    count = sum(1 for _ in clip.frames())
    assert count / clip.fps == pytest.approx(1.8, abs=0.3), "its last picture comes after 1.7 seconds"


@pytest.mark.parametrize("codec", [["aac"], ["libmp3lame"]])
def test_sound_is_kept_and_the_place_is_not(tmp_path, codec):
    path = write_clip(tmp_path / "tone.mp4", [marked(number) for number in range(10)], sound=True)
    assert "location" in streams(path)
    ffmpeg("-i", path, "-c:v", "copy", "-c:a", *codec, "-map_metadata", "0", tmp_path / "clip.mp4")
    clip = read_clip(tmp_path / "clip.mp4")
    assert clip.audio in ("aac", "mp3") and clip.write_sound(tmp_path / "sound.m4a")
    said = streams(tmp_path / "sound.m4a")
    assert "Audio: aac" in said and "Video" not in said and "location" not in said


def test_a_sound_that_begins_after_the_picture_stays_where_it_was(tmp_path):
    silent = write_clip(tmp_path / "silent.mp4", [marked(number) for number in range(20)])
    tone = ["-itsoffset", "0.8", "-f", "lavfi", "-i", "sine=440:d=1"]
    ffmpeg("-i", silent, *tone, "-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", tmp_path / "late.mp4")
    assert read_clip(tmp_path / "late.mp4").write_sound(tmp_path / "sound.m4a")
    ffmpeg("-i", tmp_path / "sound.m4a", "-f", "s16le", "-ac", "1", "-ar", "8000", tmp_path / "sound.raw")
    heard = np.abs(np.frombuffer((tmp_path / "sound.raw").read_bytes(), np.int16).astype(int)) > 500
    assert heard.argmax() / 8000 == pytest.approx(0.8, abs=0.1)


def test_a_silent_clip_has_no_sound(tmp_path):
    clip = read_clip(write_clip(tmp_path / "silent.mp4", [marked(0)] * 3))
    assert clip.audio == "" and not clip.write_sound(tmp_path / "sound.m4a") and not (tmp_path / "sound.m4a").exists()


def test_a_long_clip_is_told_that_it_can_be_cut(tmp_path):
    path = write_clip(tmp_path / "long.mp4", [ground(64, 64)] * 30, fps=1)
    with pytest.raises(UnreadableClip, match=f"30 seconds long; {MAX_SECONDS:g} are the most. Cut it"):
        read_clip(path)


@pytest.mark.parametrize("kind", ["webm", "mov", "mkv", "avi"])
def test_every_kind_that_is_promised_opens(tmp_path, kind):
    source = write_clip(tmp_path / "clip.mp4", [marked(number) for number in range(5)], sound=True)
    more = ["-c:v", "libvpx", "-c:a", "libopus"] if kind == "webm" else []
    ffmpeg("-i", source, *more, tmp_path / f"clip.{kind}")
    clip = read_clip(io.BytesIO((tmp_path / f"clip.{kind}").read_bytes()))
    assert 4 <= sum(1 for _ in clip.frames()) <= 6 and clip.audio


def colour_of(path) -> np.ndarray:
    return next(read_clip(path).frames())[20:60, 20:60].mean(axis=(0, 1))


SKIN = (200, 120, 100)


@pytest.mark.parametrize(
    ("curve", "depth"), [("arib-std-b67", "libx265"), ("smpte2084", "libx265"), (None, "libx264"), (None, "libvpx-vp9")]
)
def test_clips_of_ten_bits_keep_their_colours(tmp_path, curve, depth):
    flat = ["-f", "lavfi", "-i", "color=0x{:02x}{:02x}{:02x}:s=160x128:r=5:d=1".format(*SKIN)]
    coded = "format=rgb24,scale=out_color_matrix=bt709,format=yuv420p10le"
    tags = ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709"]
    if curve:  # the same light, as an HDR camera records it
        light = "format=gbrp,setparams=color_primaries=bt709:color_trc=bt709:colorspace=gbr,format=gbrpf32le"
        coded = f"{light},zscale=t=linear:npl=203,zscale=t={curve}:p=2020:m=2020_ncl:r=tv:npl=203,format=yuv420p10le"
        tags = ["-color_primaries", "bt2020", "-color_trc", curve, "-colorspace", "bt2020nc"]
    ffmpeg(*flat, "-vf", coded, "-c:v", depth, *tags, tmp_path / "clip.mkv")
    assert colour_of(tmp_path / "clip.mkv") == pytest.approx(SKIN, abs=4)


@pytest.mark.parametrize(("size", "matrix"), [("1280x720", "bt709"), ("640x480", "bt601")])
def test_a_clip_that_does_not_say_how_it_is_coded_is_taken_as_players_do(tmp_path, size, matrix):
    flat = ["-f", "lavfi", "-i", f"color=0xb42828:s={size}:r=5:d=1"]
    untagged = f"format=rgb24,scale=out_color_matrix={matrix},format=yuv420p,setparams=colorspace=unknown"
    ffmpeg(*flat, "-vf", untagged, tmp_path / "clip.mp4")
    assert "bt709" not in streams(tmp_path / "clip.mp4")
    assert colour_of(tmp_path / "clip.mp4") == pytest.approx((180, 40, 40), abs=4)
