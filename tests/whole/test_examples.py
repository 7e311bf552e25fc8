import importlib.util
import sys
from pathlib import Path

import pytest
from PIL import features

FILE = Path(__file__).resolve().parents[2] / "examples" / "emoji" / "render.py"


@pytest.fixture(scope="module")
def render():
    spec = importlib.util.spec_from_file_location("render", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def drawer(render):
    if not render.FONT.is_file():
        pytest.skip("fonts-noto-color-emoji is not installed")
    return render.Drawer(render.FONT)


def test_emoji_are_grouped(render):
    groups = {"grinning face": "faces", "lobster": "animals", "pizza": "food", "rocket": "travel", "umbrella": "objects"}
    codes = {"grinning face": 0x1F600, "lobster": 0x1F99E, "pizza": 0x1F355, "rocket": 0x1F680, "umbrella": 0x2602}
    assert {name: render.group_of(code) for name, code in codes.items()} == groups


def test_no_code_point_is_in_two_groups(render):
    codes = [code for ranges in render.GROUPS.values() for part in ranges for code in part]
    assert len(codes) == len(set(codes))


def test_emoji_are_square_transparent_and_in_colour(drawer):
    picture = drawer.draw("\N{LOBSTER}")
    assert picture.mode == "RGBA"
    assert picture.width == picture.height
    assert picture.getchannel("A").getextrema() == (0, 255)
    red, _, blue = (band.getextrema()[1] for band in picture.split()[:3])
    assert red > blue


@pytest.mark.skipif(not features.check("raqm"), reason="Pillow was built without Raqm")
def test_flags_and_tones_are_one_picture(render, drawer):
    germany = render.LETTERS[3] + render.LETTERS[4]
    assert drawer.knows(germany)
    assert drawer.draw(germany).tobytes() != drawer.draw(render.UNKNOWN_FLAG).tobytes()
    assert drawer.knows("\N{WAVING HAND SIGN}" + render.TONES[0])
    assert not drawer.knows("\N{LOBSTER}" + render.TONES[0])
    assert not drawer.knows("A")


def test_what_is_missing_or_in_the_way_is_said(render, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["render.py", str(tmp_path / "new"), "--font", str(tmp_path / "no.ttf")])
    with pytest.raises(SystemExit, match="There is no font"):
        render.main()
    monkeypatch.setattr(sys, "argv", ["render.py", str(tmp_path), "--font", str(FILE)])
    with pytest.raises(SystemExit, match="exists"):
        render.main()
