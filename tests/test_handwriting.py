"""Pictures become digits as in MNIST: compared with real digits, and for drawings of every kind."""
import os

import numpy as np
import pytest
from drawn_digits import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import lrp_numpy as lrp
from lrp_numpy.datasets.handwriting import (is_like_mnist, like_mnist, plain_ink, reading,
                                            resampling_matrix)
from lrp_numpy.datasets.paper import box_sum


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


@pytest.mark.long
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


def right(net, kind, drawings, path):
    """Which drawings of a kind `net` reads right: drawing i is the digit i % 10."""
    found = []
    for i in drawings:
        KINDS[kind](path, i % 10, i)
        found.append(net.predict(lrp.read_digit(path)[None])[0] == i % 10)
    return np.array(found)


@pytest.fixture(scope="module")
def good_net(digits):
    net = lrp.MLP.random([784, 300, 10], "relu", rng=1)
    lrp.train(net, digits, epochs=8, rng=1, progress=False)
    return net


@pytest.fixture(scope="module")
def right_when_clean(good_net, tmp_path_factory):
    """Of 50 drawings, or as many as DRAWINGS says, those that are read when clean."""
    path = tmp_path_factory.mktemp("clean") / "clean.png"
    is_right = right(good_net, "clean", range(int(os.environ.get("DRAWINGS", "50"))), path)
    assert is_right.mean() >= 0.9
    return np.flatnonzero(is_right)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read_like_clean_pictures(tmp_path, good_net, right_when_clean, kind):
    """Of the drawings that are right when clean, at least 90 % are right."""
    assert right(good_net, kind, right_when_clean, tmp_path / "digit.png").mean() >= 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_of_every_kind(tmp_path, kind):
    """The same digit as from the clean picture of the same strokes."""
    for i in (3, 15):
        KINDS["clean"](tmp_path / "clean.png", i % 10, i)
        KINDS[kind](tmp_path / "digit.png", i % 10, i)
        if kind not in ("small in 28 x 28", "off centre", "uneven light"):      # another pen
            digit, clean = (box_sum(lrp.read_digit(tmp_path / name).reshape(28, 28), 1).ravel()
                            for name in ("digit.png", "clean.png"))     # a thin pen may be shifted
            assert np.corrcoef(digit, clean)[0, 1] > (0.8 if kind in ("ruled", "squared") else 0.95)
        digit = lrp.read_digit(tmp_path / "digit.png")
        assert digit.shape == (784,) and digit.dtype == np.float32
        assert digit.min() == 0 and digit.max() == 1
        rows, columns = (np.flatnonzero(digit.reshape(28, 28).any(axis=axis)) for axis in (1, 0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20


def save(tmp_path, pixels, name="digit.png"):
    Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("is_dark", [False, True])
def test_mnists_own_digits_come_back(tmp_path, digits, is_dark):
    """Saved as pictures of 28 x 28, bright on black or dark on white, they stay as they are."""
    stand = 0
    for image in digits.test_images[:300]:
        grey = np.rint(255 * image.reshape(28, 28)).astype(np.uint8)
        digit = lrp.read_digit(save(tmp_path, 255 - grey if is_dark else grey))
        stand += np.allclose(digit, image, atol=1e-6)
    assert stand >= 299


@pytest.mark.long
def test_mnists_accuracy_is_kept(digits, good_net):
    """Of the packaged test digits, prepared as pictures: within 0.1 points. At most 5 in 10,000 are
    taken for something else, and are prepared."""
    read, stand = [], []
    for image in digits.test_images:
        picture = np.repeat(image.reshape(28, 28, 1), 3, axis=2)
        stand.append(is_like_mnist(plain_ink(picture)))
        read.append(image if stand[-1] else like_mnist(image.reshape(28, 28)))
    accuracy = [(good_net.predict(np.array(images)) == digits.test_labels).mean()
                for images in (digits.test_images, read)]
    assert abs(accuracy[0] - accuracy[1]) <= 0.001
    assert np.mean(stand) >= 0.999


def test_a_picture_of_28_x_28_that_is_not_mnists(tmp_path, digits):
    """Moved by two pixels, smaller, or paler than MNIST's digits: prepared like any other."""
    image = digits.test_images[3].reshape(28, 28)
    for changed in (np.roll(image, 2, axis=1), 0.5 * image,
                    np.pad(image.reshape(14, 2, 14, 2).mean(axis=(1, 3)), 7)):
        digit = lrp.read_digit(save(tmp_path, np.rint(255 * changed).astype(np.uint8)))
        assert not np.allclose(digit, changed.ravel(), atol=0.01)
        assert np.corrcoef(digit, image.ravel())[0, 1] > 0.9 and digit.max() == 1


@pytest.mark.parametrize("turns", range(4))
def test_the_paper_is_the_median_of_the_whole_rim(turns):
    """A sheet of 9 x 3, one long side black: without the other, black would be the paper."""
    picture = np.ones((9, 3, 3), np.float32)
    picture[:, 0] = 0
    ink = np.rot90(plain_ink(np.rot90(picture, turns)), -turns)
    np.testing.assert_allclose(ink, 1 - picture[..., 0], atol=1e-6)


def test_the_steps_of_reading(tmp_path):
    KINDS["red on green"](tmp_path / "digit.png", 3, 3)
    steps = reading(tmp_path / "digit.png")
    assert steps.picture.shape == (280, 280, 3) and steps.ink.shape == (280, 280)
    np.testing.assert_array_equal(steps.digit, like_mnist(steps.ink))
    np.testing.assert_array_equal(steps.digit, lrp.read_digit(tmp_path / "digit.png"))


def test_without_a_digit(tmp_path):
    path = save(tmp_path, np.full((50, 50), 200, np.uint8))
    with pytest.raises(ValueError, match="digit.png must show a digit, but there is no ink"):
        lrp.read_digit(path)
    with pytest.raises(ValueError, match="nowhere.png cannot be read as a picture: no such file"):
        lrp.read_digit(tmp_path / "nowhere.png")
