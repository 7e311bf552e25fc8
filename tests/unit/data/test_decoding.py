"""Each kind of odd picture has one specified result (F25), and no bytes whatever are a bug (F24)."""

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from gancli.data.decoding import FORMATS, Flaw, decode, header, load_files, picky_pillow, read_all
from gancli.data.fit import Fit
from gancli.errors import DatasetError
from gancli.plugin import ImageSpec

RED = (250, 10, 10)


@pytest.fixture(autouse=True)
def _as_in_the_pipeline():
    with picky_pillow():
        yield


def saved(picture, kind="PNG", **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data, fit=None):
    return decode(io.BytesIO(data), fit or Fit(8, 8, 3))


def seen(data):
    return header(io.BytesIO(data))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded(kind):
    options = {"WEBP": {"lossless": True}, "ICO": {"sizes": [(8, 8)]}}.get(kind, {})
    picture = Image.new("RGB", (8, 8), RED)
    assert abs(decoded(saved(picture, kind, **options)).astype(int) - np.reshape(RED, (3, 1, 1))).max() <= 2
    assert (seen(saved(picture, kind, **options)).width, seen(saved(picture, kind, **options)).format) == (8, kind)


def test_formats_beyond_the_list_are_refused_although_pillow_knows_them():
    for kind in ("PCX", "SGI", "ICNS"):
        with pytest.raises(Flaw, match="not an image in a format"):
            decoded(saved(Image.new("RGB", (8, 8)), kind))


def test_F25_text_with_a_pictures_name_is_refused():
    with pytest.raises(Flaw, match="not an image in a format that is read"):
        decoded(b"this is no picture")


def test_F25_an_empty_file_is_refused():
    with pytest.raises(Flaw, match=r"^empty$"):
        read_all(io.BytesIO(b""))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF"])
def test_F25_a_truncated_picture_is_refused(kind):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = saved(noise, kind)
    assert seen(data[: len(data) // 2]).width == 64
    with pytest.raises(Flaw, match=r"truncated|damaged"):
        decoded(data[: len(data) // 2])


def test_F25_cmyk_is_converted():
    data = saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    red, green, blue = decoded(data)[:, 4, 4]
    assert red > 230
    assert max(green, blue) < 40


@pytest.mark.parametrize(("deep", "expected"), [(0, 0), (65535, 255), (32768, 128), (257, 1), (128, 0), (129, 1)])
def test_F25_sixteen_bits_are_scaled_to_eight(deep, expected):
    data = saved(Image.fromarray(np.full((8, 8), deep, np.uint16)))
    assert seen(data).grey
    assert set(decoded(data, Fit(8, 8, 1)).flat) == {expected}


def test_F25_thirty_two_bits_are_scaled_if_they_hold_sixteen():
    assert set(decoded(saved(Image.fromarray(np.full((8, 8), 65535, np.int32)), "TIFF"), Fit(8, 8, 1)).flat) == {255}
    for value in (-1, 65536, 2**31 - 1):
        with pytest.raises(Flaw, match="of which no range is known"):
            decoded(saved(Image.fromarray(np.full((8, 8), value, np.int32)), "TIFF"))


def test_F25_floating_point_is_refused():
    with pytest.raises(Flaw, match="floating-point"):
        decoded(saved(Image.fromarray(np.ones((8, 8), np.float32)), "TIFF"))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_F25_alpha_is_shown_before_the_background(mode):
    clear = Image.new(mode, (8, 8), (0,) * len(mode))
    assert set(decoded(saved(clear)).flat) == {255}
    assert decoded(saved(clear), Fit(8, 8, 3, background=(255, 0, 9)))[:, 0, 0].tolist() == [255, 0, 9]


def test_F25_alpha_can_be_kept():
    half = Image.new("RGBA", (8, 8), (10, 20, 30, 128))
    assert decoded(saved(half), Fit(8, 8, 4))[:, 0, 0].tolist() == [10, 20, 30, 128]
    assert decoded(saved(Image.new("RGB", (8, 8), RED)), Fit(8, 8, 4))[:, 0, 0].tolist() == [*RED, 255]
    assert decoded(saved(Image.new("LA", (8, 8), (7, 9))), Fit(8, 8, 2))[:, 0, 0].tolist() == [7, 9]


def test_transparent_pixels_do_not_bleed_into_their_neighbours():
    picture = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    picture.paste((255, 255, 255, 255), (0, 0, 8, 16))
    assert decoded(saved(picture), Fit(8, 8, 3)).min() >= 250


def test_F25_palettes_are_converted_with_their_transparency():
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, *RED])
    assert decoded(saved(palette))[:, 0, 0].tolist() == list(RED)
    assert set(decoded(saved(palette, transparency=1)).flat) == {255}
    assert seen(saved(palette, transparency=1)).alpha
    assert not seen(saved(palette)).grey


def test_a_grey_palette_is_grey():
    for kind in ("PNG", "GIF", "BMP"):
        palette = Image.new("P", (8, 8), 3)
        palette.putpalette([value for i in range(256) for value in (i, i, i)])
        assert seen(saved(palette, kind)).grey, kind


def test_F25_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 255))]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert decoded(data)[:, 0, 0].tolist() == list(RED), kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_F25_exif_rotation_is_applied(kind, orientation):
    upright = np.zeros((32, 48, 3), np.uint8)
    upright[:8, :16] = 255  # a mark in the upper left corner
    back = [
        lambda a: a,
        lambda a: a[:, ::-1],
        lambda a: a[::-1, ::-1],
        lambda a: a[::-1],
        lambda a: a.transpose(1, 0, 2),
        lambda a: np.rot90(a, 1),
        lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        lambda a: np.rot90(a, -1),
    ]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(back[orientation - 1](upright)))
    data = saved(
        stored, kind, exif=exif, **({"quality": 100} if kind == "JPEG" else {"lossless": True} if kind == "WEBP" else {})
    )
    assert (seen(data).height, seen(data).width) == (32, 48)
    result = decoded(data, Fit(32, 48, 1))[0]
    assert result[2, 4] > 200
    assert result[-3, 4] < 60
    assert result[2, -5] < 60


def test_F25_extreme_shapes_are_cut_and_enlarged():
    for size in ((1, 1), (1, 10_000), (10_000, 1), (3, 5)):
        for fit in ("crop", "pad", "stretch"):
            result = decoded(saved(Image.new("RGB", size, RED)), Fit(8, 8, 3, fit=fit))
            assert result.shape == (3, 8, 8)
            assert list(RED) in result.reshape(3, -1).T.tolist(), (size, fit)


def test_a_picture_of_the_right_size_is_not_touched():
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    assert decoded(saved(Image.fromarray(noise)), Fit(8, 12, 3)).tolist() == noise.transpose(2, 0, 1).tolist()


def test_a_large_jpeg_is_as_good_as_one_that_was_decoded_whole():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize((900, 900), Image.Resampling.BICUBIC)
    data = saved(smooth, "JPEG", quality=95)
    whole = np.asarray(Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    assert abs(decoded(data, Fit(32, 32, 3)).astype(int) - whole).mean() < 1.5


def png_of(width, height):
    """A tiny file that claims to be a huge picture."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 10_000), (40_000, 40_000), (2**31 - 1, 1)])
def test_F24_a_decompression_bomb_is_refused_before_it_is_decoded(size):
    with pytest.raises(Flaw, match="more than 89,478,485 pixels"):
        seen(png_of(*size))
    with pytest.raises(Flaw, match="more than 89,478,485 pixels"):
        decoded(png_of(*size))


def test_F24_a_bomb_of_text_in_a_png_is_refused_or_passed_over():
    text = zlib.compress(bytes(200 * 2**20))
    body = b"zTXt" + b"key\0\0" + text
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = saved(Image.new("RGB", (8, 8)))
    with suppress(Flaw):
        assert decoded(data[:33] + chunk + data[33:]).shape == (3, 8, 8)


SEEDS = [
    saved(Image.new(mode, (9, 7)), kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP") for mode in ("RGB", "L")
]


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6), st.integers(0, 400)
)
def test_F24_no_bytes_are_a_bug(seed, changes, length):
    data = bytearray(seed)
    for place, value in changes:
        data[place % len(data)] = value
    data = bytes(data[: max(1, len(data) - length)]) if length < 100 else bytes(data)
    with picky_pillow():
        for attempt in (lambda: seen(data), lambda: decoded(data)):
            with suppress(Flaw):
                attempt()


def test_a_wide_colour_profile_is_converted_to_srgb_and_srgb_is_not_touched():
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = swapped.index(b"rXYZ"), swapped.index(b"gXYZ")
    swapped[red : red + 4], swapped[green : green + 4] = swapped[green : green + 4], swapped[red : red + 4]
    picture = Image.new("RGBA", (8, 8), (*RED, 128))
    plain = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert not seen(saved(picture, icc_profile=plain)).profile
    assert decoded(saved(picture, icc_profile=plain), Fit(8, 8, 4))[:, 0, 0].tolist() == [*RED, 128]
    assert seen(saved(picture, icc_profile=bytes(swapped))).profile
    r, g, _, alpha = decoded(saved(picture, icc_profile=bytes(swapped)), Fit(8, 8, 4))[:, 0, 0].tolist()
    assert g > 200
    assert r < 60
    assert alpha == 128
    assert decoded(saved(picture, icc_profile=b"not a profile"), Fit(8, 8, 4))[:, 0, 0].tolist() == [*RED, 128]


@pytest.mark.parametrize("kind", ["BMP", "TGA"])
def test_an_alpha_of_zero_everywhere_means_nothing_in_a_bitmap(kind):
    if kind == "BMP":
        pixels = bytes((RED[2], RED[1], RED[0], 0)) * 64
        head = struct.pack("<IiiHHIIiiII", 108, 8, 8, 1, 32, 3, len(pixels), 0, 0, 0, 0)
        head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
        data = b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + head + pixels
    else:
        data = saved(Image.new("RGBA", (8, 8), (*RED, 0)), kind)
    assert not seen(data).alpha
    assert decoded(data)[:, 0, 0].tolist() == list(RED)
    assert decoded(data, Fit(8, 8, 4))[3].min() == 255


def test_twelve_bits_in_sixteen_are_scaled_by_what_the_set_holds():
    data = saved(Image.fromarray(np.full((8, 8), 4000, np.uint16)))
    assert seen(data).deepest == 4000
    assert set(decoded(data, Fit(8, 8, 1, white=4095)).flat) == {249}


def test_further_frames_are_counted():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})):
        assert seen(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)).frames == 3, kind


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_marker_is_whole_if_no_pixel_is_missing(cut, progressive):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    data = saved(noise, "JPEG", progressive=progressive)
    assert (decoded(data[:-cut], Fit(64, 64, 3)) == decoded(data, Fit(64, 64, 3))).all()
    for lost in (40, 200, len(data) // 2):
        with pytest.raises(Flaw, match="truncated"):
            decoded(data[:-lost], Fit(64, 64, 3))


def with_chunk(kind, body, checksum=None):
    data = saved(Image.new("RGB", (8, 8), RED))
    right = zlib.crc32(kind + body)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", right if checksum is None else checksum)
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(3 * 2**20))),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(70 * 2**20)),
        (b"zTXt", b"key\0\0" + zlib.compress(bytes(3 * 2**20))),
    ],
)
def test_long_text_in_a_png_harms_nothing(kind, body):
    assert decoded(with_chunk(kind, body))[:, 0, 0].tolist() == list(RED)
    assert seen(with_chunk(kind, body)).width == 8


@pytest.mark.parametrize("kind", [b"tEXt", b"eXIf", b"iCCP", b"tRNS", b"gAMA"])
def test_a_wrong_checksum_harms_a_png_only_where_the_image_depends_on_it(kind):
    assert decoded(with_chunk(kind, b"a\0b", checksum=1))[:, 0, 0].tolist() == list(RED)
    broken = bytearray(saved(Image.new("RGB", (8, 8), RED)))
    broken[29] ^= 1  # the checksum of IHDR
    with pytest.raises(Flaw):
        decoded(bytes(broken))


def test_a_large_jpeg_is_decoded_at_a_fraction_and_other_formats_name_the_setting():
    big = Image.new("RGB", (640, 480), RED)
    with picky_pillow(100_000):
        assert abs(decoded(saved(big, "JPEG"), Fit(8, 8, 3))[:, 4, 4].astype(int) - RED).max() <= 3
        assert seen(saved(big, "JPEG")).width == 640
        with pytest.raises(Flaw, match=r"more than 100,000 pixels \(data\.max_pixels\)"):
            decoded(saved(big, "PNG"))
    with picky_pillow(50_000), pytest.raises(Flaw, match="more than 50,000 pixels"):
        decoded(saved(big, "JPEG"))
    with picky_pillow(400_000):
        assert decoded(saved(big, "PNG"))[:, 4, 4].tolist() == list(RED)


def test_no_random_bytes_are_an_image_by_chance():
    rng = np.random.default_rng(0)
    for data in [bytes(1000), *(rng.bytes(200) for _ in range(200))]:
        with suppress(Flaw):
            decoded(data)


def test_images_are_fitted_as_in_training(tmp_path):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    cropped = load_files([tmp_path / "wide.png"], ImageSpec(1, 4, 4), {})
    padded = load_files([tmp_path / "wide.png"], ImageSpec(1, 4, 4), {"data.fit": "pad", "data.background": "black"})
    assert cropped.shape == (1, 1, 4, 4)
    assert cropped.min() > 0.5
    assert padded[0, 0, 0, 0] == -1


def test_a_file_that_is_not_an_image_is_one_error(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(DatasetError, match="cannot be read as an image"):
        load_files([tmp_path / "x.png"], ImageSpec(1, 4, 4), {})
    with pytest.raises(DatasetError):
        load_files([tmp_path / "none.png"], ImageSpec(1, 4, 4), {})
