import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from gancli.config.schema import DataConfig
from gancli.data.decoding import Header
from gancli.data.fit import Fit, choose, place, place_array
from gancli.errors import ConfigError


def headers(*sizes, grey=False, alpha=False):
    return [Header(width, height, "PNG", "RGB", grey, alpha) for height, width in sizes]


def shape(seen, **settings):
    fit = choose(seen, DataConfig(**settings))
    return fit.channels, fit.height, fit.width


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)], (28, 28)),
        ([(48, 64)] * 3, (48, 64)),
        ([(65, 64)], (64, 64)),
        ([(3000, 2000)] * 5, (64, 64)),
        ([(40, 40), (50, 90), (33, 70)], (32, 32)),
        ([(10, 99), (9, 9), (12, 12)], (8, 8)),
        ([(3, 4), (2, 2)], (8, 8)),
        ([(64, 100), (100, 64)], (64, 64)),
    ],
)
def test_the_size_is_that_of_all_or_a_square_below_the_median(sizes, expected):
    assert shape(headers(*sizes))[1:] == expected


@pytest.mark.parametrize(("asked", "expected"), [("32", (32, 32)), (48, (48, 48)), ("32x48", (32, 48))])
def test_a_size_that_is_asked_for_wins(asked, expected):
    assert shape(headers((100, 100)), image_size=asked)[1:] == expected


@pytest.mark.parametrize("asked", ["3", "1025", "x", "32x", "32x32x32", "-8", "8.5", "٣٢", "9" * 5000])
def test_F40_an_impossible_size_is_refused(asked):
    with pytest.raises(ValueError, match="a size is N or HxW"):
        DataConfig(image_size=asked)


def test_channels_are_those_of_the_pictures():
    grey, colour = headers((8, 8), grey=True), headers((8, 8))
    assert shape(grey)[0] == 1
    assert shape([*grey, *colour])[0] == 3
    clear = headers((8, 8), alpha=True)
    assert shape(clear)[0] == 3
    assert shape([*clear, *colour], alpha="keep")[0] == 4
    assert shape(headers((8, 8), grey=True, alpha=True), alpha="keep")[0] == 2
    assert shape(colour, alpha="keep")[0] == 3
    assert shape(colour, channels=1)[0] == 1


@pytest.mark.parametrize(("name", "rgb"), [("white", (255, 255, 255)), ("Tomato", (255, 99, 71)), ("#00fF10", (0, 255, 16))])
def test_a_background_has_a_name_or_a_number(name, rgb):
    assert choose(headers((8, 8)), DataConfig(background=name)).background == rgb


def test_an_unknown_background_names_the_nearest():
    with pytest.raises(ConfigError, match=r"data\.background is 'tomatoe', which is not a colour\. Did you mean 'tomato'\?"):
        choose(headers((8, 8)), DataConfig(background="tomatoe"))


def test_crop_keeps_the_middle_pad_everything_and_stretch_distorts():
    wide = Image.new("RGB", (30, 10), (0, 0, 0))
    wide.paste((255, 0, 0), (10, 0, 20, 10))
    crop, pad, stretch = (np.asarray(place(wide, Fit(10, 10, 3, how))) for how in ("crop", "pad", "stretch"))
    assert (crop == (255, 0, 0)).all()
    assert (pad[0] == 255).all()
    assert pad[5, 5].tolist() == [255, 0, 0]
    assert pad[5, 0].tolist() == [0, 0, 0]
    assert stretch[5, 0].tolist() == [0, 0, 0]
    assert stretch[5, 5, 0] > 250


def test_a_padded_picture_with_alpha_is_clear_around():
    kept = np.asarray(place(Image.new("RGB", (20, 10), (9, 9, 9)), Fit(10, 10, 4, "pad")))
    assert kept[0, 5, 3] == 0
    assert kept[5, 5].tolist() == [9, 9, 9, 255]


@example(size=(3, 31), target=(1, 15, 1), how="crop", channels=1)  # whose box began below 0 by rounding
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4)),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.sampled_from([1, 2, 3, 4]),
)
def test_whatever_the_sizes_the_result_has_the_shape_that_was_asked_for(size, target, how, channels):
    pixels = np.full((channels, *size), 255, np.uint8)
    height, width, wanted = target
    result = place_array(pixels, Fit(height, width, wanted, how))
    assert result.shape == (wanted, height, width)
    assert result.dtype == np.uint8
    if how != "pad":
        assert (result == 255).all()
