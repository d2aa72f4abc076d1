"""Pixel flipping: the pixels that are flipped, ties, and what is measured."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.evaluation import (confidence, first_of_each, flip_ranked, margin, rank,
                                  size_matched_random)

X = np.array([[0.5, 0.0, 0.9, 0.7, 0.2, 0.0, 1.0, 0.3, 0.0, 0.8]])
R = np.array([[1.0, 0.0, -5.0, 3.0, -0.5, 0.0, 2.0, 0.1, 0.0, -4.0]])


def flipped_pixels(*arguments, **settings):
    """The positions of the pixels that change, with a fill that no pixel has."""
    changed = lrp.flip(X, R, *arguments, fill=-1.0, **settings)
    return set(np.flatnonzero(changed[0] == -1.0).tolist())


@pytest.mark.parametrize("first, settings, expected", [
    ("morf", {"fraction": 0.3}, {3, 6, 0}),
    ("lerf", {"fraction": 0.3}, {2, 9, 4}),
    ("morf", {"fraction": 0.3, "order": "absolute"}, {2, 9, 3}),
    ("lerf", {"fraction": 0.3, "order": "absolute"}, {1, 5, 8}),
    ("morf", {"fraction": 0.3, "pixels": "nonzero"}, {3, 6}),       # 0.3 of 7 non-zero ones
    ("lerf", {"fraction": 0.3, "pixels": "nonzero"}, {2, 9}),
    ("lerf", {"fraction": 0.5, "pixels": "nonzero", "order": "absolute"}, {7, 4, 0, 6})])
def test_which_pixels_are_flipped(first, settings, expected):
    assert flipped_pixels(first, **settings) == expected


def test_morf_and_lerf_are_opposite_ends():
    a, b = flipped_pixels("morf", fraction=0.5), flipped_pixels("lerf", fraction=0.5)
    assert {0, 3, 6, 7} < a and {2, 4, 9} < b and len(a) == len(b) == 5


def test_all_other_pixels_stay():
    changed = lrp.flip(X, R, "morf", 0.3)
    np.testing.assert_array_equal(changed[0], np.where(np.isin(range(10), [0, 3, 6]), 0, X[0]))


def test_fill_may_be_an_image():
    mean = np.linspace(0.1, 1, 10)
    changed = lrp.flip(X, R, "morf", 0.3, fill=mean)
    np.testing.assert_array_equal(changed[0], np.where(np.isin(range(10), [0, 3, 6]), mean, X[0]))


def test_the_paper_s_count_is_118_of_784():
    x = np.ones((3, 784))
    relevance = np.random.default_rng(0).normal(size=x.shape)
    assert (lrp.flip(x, relevance, "morf") == 0).sum(axis=1).tolist() == [118] * 3


def test_ties_are_broken_at_random_not_by_position():
    """All relevances equal: over many images each pixel is flipped equally often."""
    x, relevance = np.ones((4000, 20)), np.zeros((4000, 20))
    for first in ("morf", "lerf"):
        often = (lrp.flip(x, relevance, first, 0.25) == 0).mean(axis=0)
        assert np.abs(often - 0.25).max() < 0.04
    one, again, other = (lrp.flip(x, relevance, "morf", 0.25, rng=rng)
                         for rng in (5, np.random.default_rng(5), 6))
    assert (one == again).all() and (one != other).any()


def test_only_ties_are_broken_at_random():
    relevance = np.repeat([[2., 1., 1., 0.]], 100, axis=0)
    flipped = lrp.flip(np.ones((100, 4)), relevance, "morf", 0.5) == 0
    assert flipped[:, 0].all() and not flipped[:, 3].any()
    assert 20 < flipped[:, 1].sum() < 80 and (flipped[:, 1] != flipped[:, 2]).all()


@pytest.mark.parametrize("order", ["signed", "absolute"])
@pytest.mark.parametrize("pixels", ["all", "nonzero"])
def test_no_pixel_is_both_most_and_least_relevant(order, pixels):
    """Also where nearly all relevances are equal."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((200, 40)) < 0.8, 0.5, 0)
    relevance = np.where(rng.random(x.shape) < 0.1, rng.normal(size=x.shape), 0)
    most, least = (lrp.flip(x, relevance, first, 0.4, -1.0, order, pixels) == -1
                   for first in ("morf", "lerf"))
    assert not (most & least).any() and (most.sum(axis=1) == least.sum(axis=1)).all()


def test_nothing_given_is_changed():
    x, relevance = X.copy(), R.copy()
    changed = lrp.flip(X, R, "lerf", 0.5)
    assert (x == X).all() and (relevance == R).all() and not np.shares_memory(changed, X)
    assert lrp.flip(X.astype(np.float32), R, "lerf", 0.5).dtype == np.float32


def test_rank_is_the_order_of_flipping():
    x = np.array([[0.5, 0.0, 0.9, 0.7]])
    R = np.array([[1.0, 0.0, -5.0, 3.0]])
    assert rank(x, R, "morf").tolist() == [[1, 2, 3, 0]]
    assert rank(x, R, "lerf").tolist() == [[2, 1, 0, 3]]
    assert rank(x, R, "lerf", pixels="nonzero").tolist() == [[1, 3, 0, 2]]
    assert rank(x, R, "morf", order="absolute").tolist() == [[2, 3, 0, 1]]
    for fraction in (0.25, 0.5, 0.75):
        np.testing.assert_array_equal(
            flip_ranked(x, rank(x, R, "lerf"), fraction), lrp.flip(x, R, "lerf", fraction))


def test_the_size_matched_baseline_has_no_favourites():
    rng = np.random.default_rng(0)
    x = np.where(rng.random((2000, 30)) < 0.4, rng.random((2000, 30)), 0)
    flipped = lrp.flip(x, rng.normal(size=x.shape), "morf", 0.3)
    baseline = size_matched_random(x, flipped)
    lost, at_random = (x > 0) & (flipped != x), (x > 0) & (baseline != x)
    np.testing.assert_array_equal(lost.sum(axis=1), at_random.sum(axis=1))
    assert ((baseline == x) | (baseline == 0)).all()
    often = at_random.sum(axis=0) / (x > 0).sum(axis=0)
    assert np.abs(often - often.mean()).max() < 0.06        # no place is favoured
    assert (lost != at_random).any()
    filled = size_matched_random(x, lrp.flip(x, x, "morf", 0.3, fill=-1.0), fill=-1.0)
    assert ((filled == -1) <= (x > 0)).all()


def test_the_size_matched_baseline_counts_non_zero_pixels():
    """2, 1 and 0 non-zero pixels are changed, to a larger or smaller value; those of 0 or less do
    not count."""
    x = np.array([[0.5, 0.2, 0.9, 0.0, 0.0], [0.0, 0.1, 0.3, 0.0, 0.4], [0.3, 0.0, -1.0, 0.0, 0.6]])
    flipped = np.array([[0.6, 0.6, 0.9, 0.6, 0.0], [0.0, 0.1, 0.0, 0.0, 0.4],
                        [0.3, 0.7, 0.8, 0.0, 0.6]])
    made = [size_matched_random(x, flipped, fill=7.0, rng=seed) for seed in range(40)]
    for baseline in made:
        assert ((baseline == x) | (baseline == 7)).all() and (baseline == x)[x <= 0].all()
        assert (baseline == 7).sum(axis=1).tolist() == [2, 1, 0]
    for row, column in zip(*np.nonzero(x[:2] > 0)):
        assert any(baseline[row, column] == 7 for baseline in made)
    default = size_matched_random(x, flipped)
    np.testing.assert_array_equal(default, size_matched_random(x, flipped, fill=0.0, rng=0))
    with pytest.raises(ValueError, match="fill must be a finite float64 number"):
        size_matched_random(x, flipped, fill=np.nan)
    for wrong, message in ((flipped[:2], r"flipped must have shape \(3, 5\), got \(2, 5\)"),
                           (flipped[0], r"flipped must be an array of shape \(N, D\)")):
        with pytest.raises(ValueError, match=message):
            size_matched_random(x, wrong)


def test_defaults():
    """The seed 0, the fill 0 and 15 %."""
    x, R = np.ones((30, 20)), np.zeros((30, 20))
    ranks = rank(x, R, "morf")
    np.testing.assert_array_equal(ranks, rank(x, R, "morf", "signed", "all", 0))
    assert (ranks != rank(x, R, "morf", rng=1)).any()
    np.testing.assert_array_equal(flip_ranked(x, ranks, 0.15), np.where(ranks < 3, 0, x))
    np.testing.assert_array_equal(lrp.flip(x, R, "morf"), np.where(ranks < 3, 0, x))


def test_only_positive_pixels_count_as_non_zero():
    x, R = np.array([[-0.5, 0.0, 0.5, 1.0]]), np.array([[4.0, 3.0, 2.0, 1.0]])
    assert rank(x, R, "morf", pixels="nonzero").tolist() == [[2, 3, 0, 1]]
    assert lrp.flip(x, R, "morf", 0.5, pixels="nonzero").tolist() == [[-0.5, 0, 0, 1]]


@pytest.mark.parametrize("arguments, message", [
    ({"first": "best"}, "first must be 'morf' or 'lerf', got 'best'"),
    ({"order": "up"}, "order must be 'signed' or 'absolute', got 'up'"),
    ({"pixels": "dark"}, "pixels must be 'all' or 'nonzero', got 'dark'"),
    ({"fraction": -1e-9}, "fraction must lie between 0 and 1, got -1e-09"),
    ({"fraction": -0.5}, "got -0.5"), ({"fraction": 1.01}, "got 1.01"),
    ({"fraction": np.nan}, "got nan"), ({"fraction": 15}, "got 15"),
    ({"fraction": "15%"}, "got '15%'"),
    ({"fill": np.nan}, "fill must be a finite float64 number"),
    ({"fill": 10**400}, "fill must be a finite float64 number"),
    ({"x": X.astype(np.float32), "fill": 1e39}, "fill must be a finite float32 number"),
    ({"fill": "mean"}, "got 'mean'"),
    ({"x": X[None]}, r"x must be an array of shape \(N, D\)"),
    ({"fill": [0, 1]}, "one for each of the 10 pixels"),
    ({"relevance": R[:, :9]}, r"relevance must be an array of shape \(N, 10\)"),
    ({"relevance": R[[0, 0]]}, r"relevance must have the shape of x, \(1, 10\), got \(2, 10\)"),
    ({"relevance": R + np.nan}, "relevance must be finite"),
    ({"x": X[0]}, r"x must be an array of shape \(N, D\)"),
    ({"x": X + np.inf}, "x must be finite")])
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lrp.flip(**{"x": X, "relevance": R, "first": "morf"} | arguments)


def test_confidence_and_margin_by_hand():
    logits = np.log(np.array([[1., 8., 1.], [2., 4., 4.]]))
    np.testing.assert_allclose(margin(logits), [0.7, 0], atol=1e-15)
    np.testing.assert_allclose(confidence(logits), [1, 0], atol=1e-15)
    # The quirks: above 1 when the second is negative, negative when both are, and no error at 0
    np.testing.assert_allclose(confidence(np.array([[4., -2., -9.], [-2., -4., -5.]])), [1.5, -1])
    with np.errstate(all="raise"):
        assert confidence(np.array([[0., -1.]])) == np.inf
        assert np.isnan(confidence(np.array([[0., 0.]])))


def test_measure(random_case):
    net, x = random_case([9, 8, 4], "relu", 0)
    logits = net.forward(x)
    labels = np.array([0, 1, 2, 3, 0, 1])
    outcome = lrp.measure(net, x, labels)
    assert (outcome.prediction == logits.argmax(axis=1)).all()
    assert (outcome.correct == (logits.argmax(axis=1) == labels)).all()
    np.testing.assert_array_equal(outcome.confidence, confidence(logits))
    np.testing.assert_array_equal(outcome.margin, margin(logits))
    with pytest.raises(ValueError, match="labels must lie in 0..3, got 4"):
        lrp.measure(net, x, labels + 1)
    with pytest.raises(ValueError, match="net must have at least 2 outputs, got 1"):
        lrp.measure(lrp.MLP.random([9, 1]), x, labels)
    for sizes in ([9, 2], [9, 1, 3]):
        lrp.measure(lrp.MLP.random(sizes), x, labels % 2)
    for wrong in (np.zeros((3, 9), int), np.zeros((6, 8), int), [[0]]):
        with pytest.raises(ValueError, match="ranks must have shape"):
            flip_ranked(x, wrong, 0.5)
    with pytest.raises(ValueError, match="pixels must be 'all' or 'nonzero', got 'dark'"):
        flip_ranked(x, np.zeros((6, 9), int), 0.5, pixels="dark")


def test_the_experiment_keeps_its_images_apart(trained, digits):
    """MoRF and LeRF not swapped, not mixed, both made from the original image."""
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    flipping = lrp.flip_and_measure(trained, x, labels, "gamma", gamma=0.5)
    relevance = lrp.explain(trained, x, "gamma", gamma=0.5).input
    np.testing.assert_array_equal(flipping.relevance, relevance)
    for first, flipped in (("morf", flipping.morf_images), ("lerf", flipping.lerf_images)):
        np.testing.assert_array_equal(flipped, lrp.flip(x, relevance, first))
        assert ((flipped == x) | (flipped == 0)).all()
    assert not np.shares_memory(flipping.morf_images, flipping.lerf_images)
    taken = [np.where(flipped != x, relevance, 0).sum(axis=1).mean()
             for flipped in (flipping.morf_images, flipping.lerf_images)]
    assert taken[0] > 1 > 0 > taken[1]
    for images, outcome in ((x, flipping.original),
                            (flipping.morf_images, flipping.morf),
                            (flipping.lerf_images, flipping.lerf)):
        for ours, theirs in zip(outcome, lrp.measure(trained, images, labels)):
            np.testing.assert_array_equal(ours, theirs)
    accuracies = [outcome.correct.mean() for outcome in flipping[-3:]]
    assert accuracies[1] < 0.2 < accuracies[0] - 0.05 < accuracies[2]


def test_the_experiment_passes_its_settings_on(trained, digits):
    x, labels = digits.test_images[:100], digits.test_labels[:100]
    fill = digits.train_images.mean(axis=0)
    settings = {"fraction": 0.3, "fill": fill, "order": "absolute", "pixels": "nonzero", "rng": 3}
    flipping = lrp.flip_and_measure(trained, x, labels, "epsilon", **settings, epsilon=0.1)
    relevance = lrp.explain(trained, x, "epsilon", epsilon=0.1).input
    np.testing.assert_array_equal(flipping.lerf_images,
                                  lrp.flip(x, relevance, "lerf", **settings))
    default = lrp.flip_and_measure(trained, x, labels)
    np.testing.assert_array_equal(default.relevance, lrp.explain(trained, x, "0").input)
    settings = {"rng": 4, "fill": 1.0}      # ties everywhere, and seen
    flipping = lrp.flip_and_measure(trained, x, labels, **settings)
    np.testing.assert_array_equal(flipping.morf_images,
                                  lrp.flip(x, default.relevance, "morf", **settings))


def test_first_of_each():
    labels = np.array([3, 1, 3, 0, 1])
    assert first_of_each(labels, [1, 0, 3]) == [1, 3, 0]
    with pytest.raises(ValueError, match="digits must be classes that occur.*got 2"):
        first_of_each(labels, [0, 2])


def test_nothing_and_everything_is_flipped():
    """Fractions 0 and 1: the ends of a curve."""
    rng = np.random.default_rng(0)
    x, R = rng.random((3, 10)), rng.normal(size=(3, 10))
    for pixels in ("all", "nonzero"):
        for first in ("morf", "lerf"):
            np.testing.assert_array_equal(lrp.flip(x, R, first, 0, pixels=pixels), x)
            np.testing.assert_array_equal(lrp.flip(x, R, first, 1, 0.5, pixels=pixels),
                                          np.full_like(x, 0.5))
