"""Picture files of every kind are read, within limits; what is ink in them, and what is not."""
import io
import re
import struct
import zlib

import numpy as np
import pytest
from conftest import most_memory
from drawn_digits import ink, over
from PIL import Image

import lrp_numpy as lrp
from lrp_numpy.datasets import pictures
from lrp_numpy.datasets.components import components
from lrp_numpy.datasets.ink import find_ink
from lrp_numpy.datasets.paper import box_sum
from lrp_numpy.datasets.pictures import read_picture

INK = np.zeros((40, 30))
INK[8:30, 12:17] = 1
BYTES = (255 * (1 - INK)).astype(np.uint8)          # dark ink on white paper
DEEP = BYTES.astype(np.uint16) * 257


def written(tmp_path, picture, form="PNG", **settings):
    """The path of a picture: the name does not tell its format."""
    file = tmp_path / "digit.picture"
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
        file, form, **settings)
    return file


def encoded(form="PNG", **settings):
    file = io.BytesIO()
    Image.fromarray(BYTES).save(file, form, **settings)
    return file.getvalue()


def with_alpha(colour, clear=0):
    """RGBA: a colour, opaque where there is ink; elsewhere with alpha `clear`."""
    rgba = np.zeros((*INK.shape, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = colour, np.where(INK, 255, clear)
    return rgba


@pytest.mark.parametrize("picture", [
    Image.fromarray(BYTES).convert("1"), BYTES, Image.fromarray(BYTES).convert("P"),
    np.stack([BYTES] * 3, axis=-1), np.stack([BYTES] * 3 + [np.full_like(BYTES, 255)], axis=-1),
    Image.merge("LA", [Image.new("L", (30, 40), 0), Image.fromarray(255 - BYTES)]),
    DEEP, with_alpha((0, 0, 0))],
    ids=["1 bit", "grey", "palette", "RGB", "RGBA", "grey+alpha", "16 bit", "clear paper"])
def test_every_kind_of_png(tmp_path, picture):
    colours = read_picture(written(tmp_path, picture))
    assert colours.dtype == np.float32 and colours.flags.c_contiguous
    np.testing.assert_allclose(colours, np.repeat((1 - INK)[..., None], 3, axis=2), atol=1e-6)


@pytest.mark.parametrize("form, settings, error", [
    ("PNG", {}, 0), ("BMP", {}, 0), ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0),
    ("GIF", {}, 0), ("WEBP", {"lossless": True}, 0), ("JPEG", {"quality": 95}, 0.02),
    ("WEBP", {"quality": 90}, 0.1)])
def test_every_format(tmp_path, form, settings, error):
    """Colours that differ in each channel; the content decides, not the name of the file."""
    colours = np.array([[200, 40, 90], [30, 120, 220]], np.uint8)[INK.astype(int)]
    read = read_picture(written(tmp_path, colours, form, **settings))
    assert np.abs(read - colours / np.float32(255)).mean() <= error + 1e-6


def test_the_first_frame_of_an_animation(tmp_path):
    others = [Image.fromarray(255 - BYTES)] * 3
    for form in ("GIF", "WEBP", "TIFF", "PNG"):
        read = read_picture(written(tmp_path, Image.fromarray(BYTES), form, save_all=True,
                                    append_images=others))
        assert np.abs(read[..., 0] - (1 - INK)).mean() < 0.02


def test_transparency(tmp_path):
    """White paper behind, or black where nothing would show on white; a level of 16 bits, too."""
    white = read_picture(written(tmp_path, with_alpha((255, 255, 255))))
    np.testing.assert_allclose(white[..., 1], INK)
    half = read_picture(written(tmp_path, with_alpha((0, 0, 255), 51)))
    np.testing.assert_allclose(half[..., 0], np.where(INK, 0, 0.8), atol=1e-6)
    np.testing.assert_allclose(half[..., 2], 1)
    tall = np.concatenate([DEEP] * 4)       # more than one strip of rows
    for clear in (65535, 0):        # black ink on white; white paper without its ink, on black
        read = read_picture(written(tmp_path, tall, transparency=clear))
        np.testing.assert_allclose(read[..., 0], np.concatenate([1 - INK] * 4))


def test_values_of_more_than_8_bits(tmp_path):
    """White is the largest number of as many bits as the values need, at least 8."""
    for white, values in ((1023, 1000), (4095, 4095), (65535, 40000), (255, 200)):
        grey = np.where(INK, values // 4, values).astype(np.uint16)
        for form in ("PNG", "TIFF"):
            read = read_picture(written(tmp_path, grey, form))
            np.testing.assert_allclose(read[..., 0], grey / white, atol=1e-6)
    floats = np.where(INK, 0.25, 0.75).astype(np.float32)
    np.testing.assert_allclose(read_picture(written(tmp_path, floats, "TIFF"))[..., 2], floats)
    with pytest.raises(ValueError, match="its grey values must be finite"):
        read_picture(written(tmp_path, floats * np.inf, "TIFF"))


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, form, orientation):
    """Where the first pixel of the file is meant to be: EXIF's own table, row and column."""
    exif, picture = Image.Exif(), np.full((48, 32), 255, np.uint8)
    exif[0x0112] = orientation
    picture[:16, :8] = 0                    # the first pixels: at the left end of the upper side
    read = read_picture(written(tmp_path, picture, form, exif=exif))[..., 0]
    at_bottom, at_right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    expected = np.ones((48, 32) if orientation < 5 else (32, 48))
    size = (16, 8) if orientation < 5 else (8, 16)
    expected[-size[0] if at_bottom else 0:None if at_bottom else size[0],
             -size[1] if at_right else 0:None if at_right else size[1]] = 0
    assert read.shape == expected.shape and np.abs(read - expected).mean() < 0.02


def test_metadata_that_cannot_be_read(tmp_path):
    colours = read_picture(written(tmp_path, BYTES, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    np.testing.assert_allclose(colours[..., 0], 1 - INK)


@pytest.mark.parametrize("form, size", [("JPEG", (3468, 4624)), ("PNG", (3468, 4624)),
                                        ("TIFF", (3468, 4624)), ("GIF", (7016, 4960))])
def test_large_pictures_are_reduced(tmp_path, form, size):
    """A phone's picture, a scan of A4 at 600 dots per inch: at most 2000 a side, little memory."""
    picture = np.full(size, 255, np.uint8)
    picture[1000:2000, 400:900] = 0
    file, kept = written(tmp_path, picture, form), []
    memory = most_memory(lambda: kept.append(read_picture(file)))
    factor = -(-max(size) // pictures.MAX_SIDE)
    assert kept[0].shape == (-(-size[0] // factor), -(-size[1] // factor), 3)
    share = 1 - kept[0].mean()
    assert share == pytest.approx((picture == 0).mean(), rel=0.01)
    assert memory < 40 * kept[0].shape[0] * kept[0].shape[1] + 4 * file.stat().st_size + 2**20


def test_reduced_pictures_are_means(tmp_path, monkeypatch):
    """Compared with means over blocks, the last ones smaller: 8 and 16 bits."""
    monkeypatch.setattr(pictures, "MAX_SIDE", 15)
    values = np.random.default_rng(0).integers(0, 65536, (41, 32), dtype=np.uint16)
    values[0, 0] = 65535
    for grey, white, error in ((values, 65535, 1e-6), ((values >> 8).astype(np.uint8), 255, 0.003)):
        expected = [[grey[i:i + 3, j:j + 3].mean() / white for j in range(0, 32, 3)]
                    for i in range(0, 41, 3)]
        np.testing.assert_allclose(read_picture(written(tmp_path, grey))[..., 0], expected,
                                   atol=error)


def png_header(width, height):
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return encoded()[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded()[33:]


def bmp_header(width, height):
    return encoded("BMP")[:18] + struct.pack("<2i", width, height) + encoded("BMP")[26:]


CHUNK = struct.pack(">I", 0) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))


@pytest.mark.parametrize("content, message", [
    (None, "no such file"), (b"", "not a file of the kind PNG, JPEG, WEBP"),
    (b"%PDF-1.4 and more", "not a file of the kind"),
    *[(encoded(form)[:-200], ".") for form in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")],
    *[(encoded(form)[:30], ".") for form in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")],
    (encoded()[:60] + b"\xff" * 10 + encoded()[70:], "."),
    (png_header(60000, 60000), "at most 36,000,000 pixels, 20,000 a side, got 60000|exceeds limit"),
    (png_header(7000, 6000), "at most 36,000,000 pixels, 20,000 a side, got 7000 x 6000"),
    (png_header(20001, 1), "20,000 a side, got 20001 x 1"),
    (bmp_header(7000, 6000), "at most 36,000,000 pixels"),
    (png_header(5000, 5000), "5000 x 5000 pixels do not fit in ... bytes"),
    (encoded()[:33] + 20_001 * CHUNK + encoded()[33:], "at most 20000 parts, got more"),
    (b"\xff\xd8" + 20_001 * b"\xff\xfe\0\2" + encoded("JPEG")[2:], "at most 20000 parts"),
    (b"\xff\xd8" + 20_001 * b"\xff" + encoded("JPEG")[2:], "at most 20000 parts")])
def test_wrong_files(tmp_path, content, message):
    """Each is refused in one line that names the file; huge pictures before they are decoded."""
    file = tmp_path / "wrong.png"
    if content is not None:
        file.write_bytes(content)
    for read in (read_picture, lrp.read_digit):
        with pytest.raises(ValueError, match="wrong.png cannot be read as a picture: ") as error:
            read(file)
        assert re.search(message, str(error.value)) and "\n" not in str(error.value)


def test_files_of_any_length_are_refused_at_once(tmp_path):
    """A sparse file; a folder; a PNG of as many chunks as are allowed is read."""
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(10**12)
    with pytest.raises(ValueError, match="at most 300,000,000 bytes, got 1,000,000,000,000"):
        read_picture(tmp_path / "sparse.png")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        read_picture(tmp_path)
    (tmp_path / "many.png").write_bytes(encoded()[:33] + 19_000 * CHUNK + encoded()[33:])
    np.testing.assert_allclose(read_picture(tmp_path / "many.png")[..., 0], 1 - INK)


# What is ink


def test_ink_is_how_far_the_pen_covers_a_pixel():
    """Exactly: in brightness, in colour, dark on bright and the reverse."""
    drawing = ink(3, 5, pen=12)
    for paper, pen in (([1, 1, 1], [0, 0, 0]), ([0, 0, 0], [1, 1, 1]), ([.9, .9, .8], [.2, .2, .7]),
                       ([.2, .6, .2], [.95, .25, .23]), ([.45, .45, .45], [.15, .15, .15])):
        mixed = np.array(paper) + drawing[..., None] * (np.array(pen) - paper)
        np.testing.assert_allclose(find_ink(mixed.astype(np.float32)), drawing, atol=0.02)


def test_light_that_falls_changes_nothing():
    drawing = ink(5, 2, pen=10)
    light = np.linspace(1, 0.6, 280)[:, None] * np.ones((280, 280))
    seen = np.repeat((light * (0.9 - 0.7 * drawing))[..., None], 3, axis=2).astype(np.float32)
    assert np.abs(find_ink(seen) - drawing).mean() < 0.01
    assert (find_ink(seen)[drawing == 0] > 0.3).mean() < 0.001


def sheet(*drawings):
    return (over(1, [0] * 3, np.maximum.reduce(drawings)) / np.float32(255))


def test_small_far_pieces_are_left_out_and_thin_digits_are_not():
    one = ink(1, 3, pen=1.5)
    dirty = sheet(one)
    dirty[5, 270], dirty[270, 4:6], dirty[8, 8] = 0, 0, 0
    np.testing.assert_allclose(find_ink(dirty), find_ink(sheet(one)), atol=1e-3)
    np.testing.assert_allclose(find_ink(sheet(one)), one, atol=0.1)


def test_pieces_of_one_digit_stay():
    """A 5 whose bar does not touch it."""
    five = ink(5, 1, height=180, centre=(140, 140), pen=8)
    rows = np.flatnonzero(five.any(axis=1))
    five[rows[0] + 12:rows[0] + 18] = 0
    bar = find_ink(sheet(five))[:rows[0] + 12]
    np.testing.assert_allclose(bar, five[:rows[0] + 12], atol=0.02)


@pytest.mark.parametrize("digits", [(1, 8), (4, 2), (7, 7), (0, 5)])
def test_two_digits_are_refused(tmp_path, digits):
    both = sheet(*[ink(digit, 3, height=110, centre=(x, 140))
                   for digit, x in zip(digits, (70, 210))])
    with pytest.raises(ValueError, match="shows two of like size"):
        find_ink(both)
    Image.fromarray((255 * both).astype(np.uint8)).save(tmp_path / "two.png")
    with pytest.raises(ValueError, match="two.png must show a digit, but it shows two"):
        lrp.read_digit(tmp_path / "two.png")


@pytest.mark.parametrize("cut", [(7, 12), (1, 30), (2, 16), (5, 14), (0, 20)])
def test_digits_cut_at_their_edges_stay_whole(cut):
    """The bar of a 7 or the stroke of a 1 along an edge is neither strip nor line."""
    digit, pen = cut
    drawing = ink(digit, 4, height=200, centre=(140, 140), pen=pen)
    rows, columns = (np.flatnonzero(drawing.any(axis=axis)) for axis in (1, 0))
    box = drawing[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    if digit == 1:
        box = np.pad(box, ((0, 0), (20, 20)))       # without paper there is no telling
    assert np.abs(find_ink(sheet(box)) - box).mean() < 0.01


def test_unclear_pictures_are_refused():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:280, :280]
    slanted = ((y + x // 3) % 30 > 1) & ((x + y // 3) % 30 > 1)
    lines = np.minimum(sheet(ink(3, 3)), slanted[..., None])
    for unclear in (lines, rng.random((200, 200, 3), dtype=np.float32)):
        with pytest.raises(ValueError, match="it is unclear"):
            find_ink(unclear)


def test_lines_at_a_slant_are_left_out():
    """Ruled and squared, falling by 10 and 14 rows: nearly the same ink as on plain paper."""
    y, x = np.mgrid[:280, :280]
    drawing = ink(2, 6, pen=9)
    for fall, both in ((10, False), (-14, True)):
        lines = (y + np.rint(x * fall / 280)) % 35 < 2
        if both:
            lines |= (x - np.rint(y * fall / 280)) % 35 < 2
        paper = np.where(lines[..., None], [.5, .5, .6], 1)
        found = find_ink(over(paper, [.1, .1, .2], drawing) / np.float32(255))
        assert np.abs(found - drawing).mean() < 0.005
        assert (found[drawing == 0] > 0.2).mean() < 0.002


@pytest.mark.parametrize("contrast, frame", [(0.15, 0), (0.3, 6)])
def test_pale_ink_is_found(contrast, frame):
    """A pencil on grey paper, alone and in a black frame."""
    drawing = ink(8, 2, height=190, centre=(140, 140), pen=22)
    seen = np.repeat((0.8 - contrast * drawing)[..., None], 3, axis=2).astype(np.float32)
    for turns in range(4):
        np.rot90(seen, turns)[:frame] = 0
    assert np.abs(find_ink(seen) - drawing).mean() < 0.01


def test_components():
    """Compared with a search from pixel to pixel, on random masks."""
    rng = np.random.default_rng(0)
    for density in (0.1, 0.4, 0.6, 0.9):
        mask, weight = rng.random((23, 31)) < density, rng.random((23, 31))
        numbers, pieces = components(mask, weight)
        expected, count = np.zeros(mask.shape, int), 0
        for place in zip(*np.nonzero(mask)):
            if expected[place]:
                continue
            count, open_places = count + 1, [place]
            while open_places:
                i, j = open_places.pop()
                if 0 <= i < 23 and 0 <= j < 31 and mask[i, j] and not expected[i, j]:
                    expected[i, j] = count
                    open_places += [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        assert len(pieces) == count == len(np.unique(numbers[mask]))
        assert len(set(zip(numbers[mask], expected[mask]))) == count
        assert sorted((piece.mass for piece in pieces), reverse=True) == [p.mass for p in pieces]
        for piece in pieces:
            rows, columns = np.nonzero(numbers == piece.number)
            assert (piece.top, piece.bottom - 1) == (rows.min(), rows.max())
            assert (piece.left, piece.right - 1) == (columns.min(), columns.max())
            assert piece.mass == pytest.approx(weight[rows, columns].sum())


def test_box_sums():
    image = np.random.default_rng(0).random((9, 7, 2)).astype(np.float32)
    for i, j in ((0, 0), (4, 3), (8, 6), (1, 5)):
        near = image[max(0, i - 2):i + 3, max(0, j - 2):j + 3]
        np.testing.assert_allclose(box_sum(image, 2)[i, j], near.sum(axis=(0, 1)), rtol=1e-5)
