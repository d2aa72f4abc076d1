"""Pictures become digits as in MNIST: compared with real digits, and for every kind of file."""
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lrp_numpy.datasets import handwriting
from lrp_numpy.datasets.handwriting import like_mnist, read_digit, read_picture, resampling_matrix


def in_a_sheet(image, scale, rng, size=600):
    """A digit (784,), enlarged and placed at random on a sheet (size, size)."""
    large = np.kron(image.reshape(28, 28), np.ones((scale, scale)))
    sheet = np.zeros((size, size))
    row, column = rng.integers(0, size - len(large) + 1, 2)
    sheet[row:row + len(large), column:column + len(large)] = large
    return sheet


def test_real_digits_come_back(digits, trained):
    """Enlarged ten times, off-centre, pale: the same predictions, and nearly the same pixels."""
    images, rng = digits.test_images[:500], np.random.default_rng(0)
    again = np.array([like_mnist(0.7 * in_a_sheet(image, 10, rng)) for image in images])
    assert (trained.predict(again) == trained.predict(images)).mean() >= 0.97
    assert np.abs(again - images).mean() < 0.005
    assert np.median(np.abs(again - images).max(axis=1)) < 0.1


def test_the_noise_of_a_camera_does_not_matter(digits, trained):
    images, rng = digits.test_images[:100], np.random.default_rng(0)
    sheets = [0.8 * in_a_sheet(image, 10, rng) for image in images]
    noisy = np.array([like_mnist(np.clip(sheet + rng.normal(0, 0.03, sheet.shape), 0, 1))
                      for sheet in sheets])
    assert (trained.predict(noisy) == trained.predict(images)).mean() >= 0.95


blots = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).random(np.random.default_rng(seed).integers(1, 30, 2)))


@settings(max_examples=60, deadline=None)
@given(blots, st.integers(0, 9), st.integers(0, 9), st.integers(1, 5), st.floats(0.1, 1))
def test_place_size_and_darkness_of_the_ink_change_nothing(ink, row, column, scale, dark):
    sheet = np.pad(np.kron(dark * ink, np.ones((scale, scale))), ((row, 9), (column, 4)))
    np.testing.assert_allclose(like_mnist(sheet), like_mnist(ink), atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(blots)
def test_results_look_like_mnist(ink):
    """The longer side has 20 pixels, the darkest is 1, the centre of mass is in pixel (14, 14)."""
    digit = like_mnist(ink).reshape(28, 28)
    assert digit.dtype == np.float32 and digit.min() >= 0 and digit.max() == 1
    extents = [np.flatnonzero(digit.any(axis=axis)) for axis in (0, 1)]
    sides = [places[-1] - places[0] + 1 for places in extents]
    assert max(sides) == 20
    for places, side, mass in zip(extents, sides, (digit.sum(axis=0), digit.sum(axis=1))):
        off = np.arange(28) @ mass / mass.sum() - 14
        touches = places[0] == 0 or places[-1] == 27
        assert abs(off) <= 0.5 + 1e-5 or touches


def test_proportions_are_kept():
    """Solid blocks: 40 x 10 becomes 20 x 5, 3 x 4 is enlarged to 15 x 20, 20 x 7 stays as it is."""
    for shape, expected in (((40, 10), (20, 5)), ((3, 4), (15, 20)), ((20, 7), (20, 7)),
                            ((1, 1), (20, 20)), ((100, 1), (20, 1))):
        digit = like_mnist(np.ones(shape)).reshape(28, 28)
        assert (digit.any(axis=1).sum(), digit.any(axis=0).sum()) == expected
    assert like_mnist(np.ones((8, 6))).sum() == pytest.approx(20 * 15)
    assert like_mnist(np.ones((16, 3))).sum() == pytest.approx(20 * 3.75)   # its edge is 0.75 dark


def test_nothing_is_cut_off():
    """A heavy bar with a thin stem: if it were centred, the stem would end outside the image."""
    ink = np.zeros((20, 20))
    ink[:5], ink[5:, 10] = 1, 0.3
    for turned, place in ((ink, np.s_[8:, 4:24]), (ink[::-1], np.s_[:20, 4:24]),
                          (ink.T, np.s_[4:24, 8:]), (ink.T[:, ::-1], np.s_[4:24, :20])):
        digit = like_mnist(turned).reshape(28, 28)
        np.testing.assert_allclose(digit[place], turned, atol=1e-6)
        assert digit.sum() == pytest.approx(ink.sum())


@pytest.mark.parametrize("size, longer", [(1, 1), (5, 5), (7, 13), (20, 20), (63, 63), (200, 311)])
def test_the_resampling_matrix_averages_areas(size, longer):
    """Compared with sums over a fine grid: an old pixel is 20 cells, a new one `longer` cells."""
    grid = np.arange(20 * size)
    expected = np.zeros((-(-20 * size // longer), size))
    np.add.at(expected, (grid // longer, grid // 20), 1 / longer)
    np.testing.assert_allclose(resampling_matrix(size, longer), expected, atol=1e-12)


@pytest.mark.parametrize("ink, message", [
    (np.zeros((5, 5)), "ink must be above 0 somewhere, got none"),
    (np.zeros((0, 5)), "ink must be above 0 somewhere"),
    (np.ones(5), r"ink must be an array \(H, W\) of floats, got float64 \(5,\)"),
    (np.ones((5, 5), np.uint8), "of floats, got uint8"),
    ([[1.0]], "got list"),
    (np.array([[0.5, np.nan]]), r"ink must lie in \[0, 1\], got nan"),
    (np.array([[0.5, 1.5]]), r"ink must lie in \[0, 1\], got 0.5 to 1.5"),
    (np.array([[0.5, -1]]), r"ink must lie in \[0, 1\], got -1 to 0.5")])
def test_arrays_refused(ink, message):
    with pytest.raises(ValueError, match=message):
        like_mnist(ink)


INK = np.zeros((40, 30))
INK[8:30, 12:17] = 1
BYTES = (255 * (1 - INK)).astype(np.uint8)          # dark ink on white paper


def written(tmp_path, picture, **settings):
    path = tmp_path / "digit.png"
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
        path, **settings)
    return path


def over(colour, alpha):
    """RGBA: this colour and alpha = 255 where there is ink, `alpha` elsewhere."""
    rgba = np.zeros((*INK.shape, 4), np.uint8)
    rgba[..., :3], rgba[..., 3] = colour, np.where(INK, 255, alpha)
    return rgba


@pytest.mark.parametrize("picture", [
    Image.fromarray(BYTES).convert("1"), BYTES, Image.fromarray(BYTES).convert("P"),
    np.stack([BYTES] * 3, axis=-1), np.stack([BYTES] * 3 + [np.full_like(BYTES, 255)], axis=-1),
    Image.merge("LA", [Image.new("L", (30, 40), 0), Image.fromarray(255 - BYTES)]),
    BYTES.astype(np.uint16) * 257, over((0, 0, 0), 0), 255 - BYTES,
    (255 - BYTES).astype(np.uint16) * 257],
    ids=["1 bit", "grey", "palette", "RGB", "RGBA", "grey+alpha", "16 bit", "clear paper",
         "white on black", "16 bit, white on black"])
def test_every_kind_of_png(tmp_path, picture):
    np.testing.assert_allclose(read_picture(written(tmp_path, picture)), INK, atol=1e-6)


def test_colour_transparency_and_grey_paper(tmp_path):
    blue = read_picture(written(tmp_path, over((0, 0, 255), 0)))
    assert blue.max() == pytest.approx(1 - 0.114, abs=1e-3)         # blue is dark, green is not
    green = read_picture(written(tmp_path, over((0, 255, 0), 0)))
    assert green.max() == pytest.approx(1 - 0.587, abs=1e-3)
    for clear in (Image.fromarray(BYTES), Image.fromarray(BYTES.astype(np.uint16) * 257)):
        black = np.asarray(clear).max() - np.asarray(clear)         # black transparent paper
        with pytest.raises(ValueError, match="there is no ink"):    # so white ink on white
            read_picture(written(tmp_path, black, transparency=0))
    grey = np.where(INK, 40, 110).astype(np.uint8)                  # paper darker than mid-grey
    ink = read_picture(written(tmp_path, grey))
    np.testing.assert_allclose(ink, INK * 70 / 255, atol=1e-6)
    np.testing.assert_allclose(like_mnist(ink), like_mnist(INK), atol=1e-5)
    pale = np.where(INK, 255, 170).astype(np.uint8)                 # white chalk on grey
    np.testing.assert_allclose(read_picture(written(tmp_path, pale)), INK * 85 / 255, atol=1e-6)
    touching = BYTES.copy()
    touching[:, 12:17] = 0                                          # from edge to edge
    assert (read_picture(written(tmp_path, touching)) > 0.5).mean() == pytest.approx(5 / 30)


def test_pictures_of_28_x_28_stay_unchanged(tmp_path, digits):
    image = np.roll(digits.test_images[3].reshape(28, 28), 2, axis=1)     # not centred again
    grey = np.rint(255 * image).astype(np.uint8)
    for pixels in (grey, 255 - grey):
        np.testing.assert_allclose(read_digit(written(tmp_path, pixels)), image.ravel(), atol=1e-6)
    large = np.kron(grey, np.ones((3, 3), np.uint8))
    np.testing.assert_array_equal(read_digit(written(tmp_path, large)),
                                  like_mnist(read_picture(written(tmp_path, large))))


def test_wrong_files(tmp_path):
    """Each is refused in one line that names the file; huge pictures before they are decoded."""
    path, good = tmp_path / "wrong.png", written(tmp_path, BYTES).read_bytes()

    def png_header(width, height=None):
        header = b"IHDR" + struct.pack(">2I5B", width, height or width, 8, 0, 0, 0, 0)
        return good[:12] + header + struct.pack(">I", zlib.crc32(header)) + good[33:]

    for content, message in (
            (None, "no such file"), (b"", "not a PNG file"), (b"GIF89a" + good, "not a PNG file"),
            (good[:-40], "truncated|broken|unrecognized"), (good[:40], "."),
            (good[:60] + b"\xff" * 10 + good[70:], "."),
            (png_header(60000), "a side must have at most 4096 pixels|exceeds limit"),
            (png_header(5000), "a side must have at most 4096 pixels, got 5000 x 5000"),
            (png_header(4097, 1), "a side must have at most 4096 pixels, got 4097 x 1"),
            (png_header(4096), "4096 x 4096 pixels do not fit in ... bytes")):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ValueError, match="wrong.png cannot be read as a picture: ") as error:
            read_picture(path)
        assert re.search(message, str(error.value))
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        read_picture(tmp_path)
    jpeg = tmp_path / "photo.png"
    Image.fromarray(BYTES).save(jpeg, "JPEG")
    with pytest.raises(ValueError, match="photo.png .* not a PNG file"):
        read_picture(jpeg)
    for flat in (BYTES[:, :5], BYTES[:, :5] // 2, np.where(INK, 250, 255).astype(np.uint8)):
        with pytest.raises(ValueError, match="digit.png must show a digit, but there is no ink"):
            read_picture(written(tmp_path, flat))
    with pytest.raises(ValueError, match="at most 4096 pixels, got 4097 x 2"):
        read_picture(written(tmp_path, np.zeros((2, handwriting.MAX_SIDE + 1), np.uint8)))
