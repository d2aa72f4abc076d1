"""Removal: which pixels go, how ties fall, what is measured, and the paper's tables."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.cli import tables
from lrp_numpy.evaluation.pixel_flipping import (as_many_lit_at_random, confidence, first_of_each, margin, rank,
                               remove_ranked)

X = np.array([[0.5, 0.0, 0.9, 0.7, 0.2, 0.0, 1.0, 0.3, 0.0, 0.8]])
R = np.array([[1.0, 0.0, -5.0, 3.0, -0.5, 0.0, 2.0, 0.1, 0.0, -4.0]])


def gone(*arguments, **settings):
    """The places whose pixels change, with a fill that no pixel has."""
    changed = lrp.remove(X, R, *arguments, fill=-1.0, **settings)
    return set(np.flatnonzero(changed[0] == -1.0).tolist())


@pytest.mark.parametrize("which, settings, expected", [
    ("most", {"fraction": 0.3}, {3, 6, 0}),
    ("least", {"fraction": 0.3}, {2, 9, 4}),
    ("most", {"fraction": 0.3, "order": "absolute"}, {2, 9, 3}),
    ("least", {"fraction": 0.3, "order": "absolute"}, {1, 5, 8}),
    ("most", {"fraction": 0.3, "pixels": "lit"}, {3, 6}),           # 0.3 of 7 lit ones
    ("least", {"fraction": 0.3, "pixels": "lit"}, {2, 9}),
    ("least", {"fraction": 0.5, "pixels": "lit", "order": "absolute"}, {7, 4, 0, 6})])
def test_which_pixels_go(which, settings, expected):
    assert gone(which, **settings) == expected


def test_most_and_least_are_opposite_ends():
    a, b = gone("most", fraction=0.5), gone("least", fraction=0.5)
    assert {0, 3, 6, 7} < a and {2, 4, 9} < b and len(a) == len(b) == 5


def test_all_but_the_removed_stay():
    changed = lrp.remove(X, R, "most", 0.3)
    np.testing.assert_array_equal(changed[0], np.where(np.isin(range(10), [0, 3, 6]), 0, X[0]))


def test_fill_may_be_an_image():
    mean = np.linspace(0.1, 1, 10)
    changed = lrp.remove(X, R, "most", 0.3, fill=mean)
    np.testing.assert_array_equal(changed[0], np.where(np.isin(range(10), [0, 3, 6]), mean, X[0]))


def test_the_paper_s_count_is_118_of_784():
    x = np.ones((3, 784))
    relevance = np.random.default_rng(0).normal(size=x.shape)
    assert (lrp.remove(x, relevance, "most") == 0).sum(axis=1).tolist() == [118] * 3


def test_ties_fall_by_lot_not_by_place():
    """All relevances equal: over many images every place goes equally often."""
    x, relevance = np.ones((4000, 20)), np.zeros((4000, 20))
    for which in ("most", "least"):
        often = (lrp.remove(x, relevance, which, 0.25) == 0).mean(axis=0)
        assert np.abs(often - 0.25).max() < 0.04
    one, again, other = (lrp.remove(x, relevance, "most", 0.25, rng=rng)
                         for rng in (5, np.random.default_rng(5), 6))
    assert (one == again).all() and (one != other).any()


def test_ties_fall_only_among_equals():
    relevance = np.repeat([[2., 1., 1., 0.]], 100, axis=0)
    removed = lrp.remove(np.ones((100, 4)), relevance, "most", 0.5) == 0
    assert removed[:, 0].all() and not removed[:, 3].any()
    assert 20 < removed[:, 1].sum() < 80 and (removed[:, 1] != removed[:, 2]).all()


@pytest.mark.parametrize("order", ["signed", "absolute"])
@pytest.mark.parametrize("pixels", ["all", "lit"])
def test_no_pixel_is_both_most_and_least_relevant(order, pixels):
    """Also where nearly all relevances are equal."""
    rng = np.random.default_rng(0)
    x = np.where(rng.random((200, 40)) < 0.8, 0.5, 0)
    relevance = np.where(rng.random(x.shape) < 0.1, rng.normal(size=x.shape), 0)
    most, least = (lrp.remove(x, relevance, which, 0.4, -1.0, order, pixels) == -1
                   for which in ("most", "least"))
    assert not (most & least).any() and (most.sum(axis=1) == least.sum(axis=1)).all()


def test_nothing_given_is_changed():
    x, relevance = X.copy(), R.copy()
    changed = lrp.remove(X, R, "least", 0.5)
    assert (x == X).all() and (relevance == R).all() and not np.shares_memory(changed, X)
    assert lrp.remove(X.astype(np.float32), R, "least", 0.5).dtype == np.float32


def test_rank_is_the_order_of_removal():
    x = np.array([[0.5, 0.0, 0.9, 0.7]])
    R = np.array([[1.0, 0.0, -5.0, 3.0]])
    assert rank(x, R, "most").tolist() == [[1, 2, 3, 0]]
    assert rank(x, R, "least").tolist() == [[2, 1, 0, 3]]
    assert rank(x, R, "least", pixels="lit").tolist() == [[1, 3, 0, 2]]
    assert rank(x, R, "most", order="absolute").tolist() == [[2, 3, 0, 1]]
    for fraction in (0.25, 0.5, 0.75):
        np.testing.assert_array_equal(
            remove_ranked(x, rank(x, R, "least"), fraction), lrp.remove(x, R, "least", fraction))


def test_as_many_lit_at_random_is_fair():
    rng = np.random.default_rng(0)
    x = np.where(rng.random((2000, 30)) < 0.4, rng.random((2000, 30)), 0)
    variant = lrp.remove(x, rng.normal(size=x.shape), "most", 0.3)
    chance = as_many_lit_at_random(x, variant)
    lost, by_lot = (x > 0) & (variant != x), (x > 0) & (chance != x)
    np.testing.assert_array_equal(lost.sum(axis=1), by_lot.sum(axis=1))
    assert ((chance == x) | (chance == 0)).all()
    often = by_lot.sum(axis=0) / (x > 0).sum(axis=0)
    assert np.abs(often - often.mean()).max() < 0.06        # no place is favoured
    assert (lost != by_lot).any()
    filled = as_many_lit_at_random(x, lrp.remove(x, x, "most", 0.3, fill=-1.0), fill=-1.0)
    assert ((filled == -1) <= (x > 0)).all()


def test_as_many_lit_as_were_lost():
    """Lost are 2, 1 and 0 lit pixels, to what is brighter or darker; dark ones, of 0 or less, do
    not count."""
    x = np.array([[0.5, 0.2, 0.9, 0.0, 0.0], [0.0, 0.1, 0.3, 0.0, 0.4], [0.3, 0.0, -1.0, 0.0, 0.6]])
    variant = np.array([[0.6, 0.6, 0.9, 0.6, 0.0], [0.0, 0.1, 0.0, 0.0, 0.4],
                        [0.3, 0.7, 0.8, 0.0, 0.6]])
    made = [as_many_lit_at_random(x, variant, fill=7.0, rng=seed) for seed in range(40)]
    for chance in made:
        assert ((chance == x) | (chance == 7)).all() and (chance == x)[x <= 0].all()
        assert (chance == 7).sum(axis=1).tolist() == [2, 1, 0]
    for row, column in zip(*np.nonzero(x[:2] > 0)):
        assert any(chance[row, column] == 7 for chance in made)
    default = as_many_lit_at_random(x, variant)
    np.testing.assert_array_equal(default, as_many_lit_at_random(x, variant, fill=0.0, rng=0))
    with pytest.raises(ValueError, match="fill must be a finite float64 number"):
        as_many_lit_at_random(x, variant, fill=np.nan)
    for wrong, message in ((variant[:2], r"variant must have shape \(3, 5\), got \(2, 5\)"),
                           (variant[0], r"variant must be an array of shape \(N, D\)")):
        with pytest.raises(ValueError, match=message):
            as_many_lit_at_random(x, wrong)


def test_what_is_taken_if_nothing_is_named():
    """The seed 0, the fill 0 and 15 %."""
    x, R = np.ones((30, 20)), np.zeros((30, 20))
    places = rank(x, R, "most")
    np.testing.assert_array_equal(places, rank(x, R, "most", "signed", "all", 0))
    assert (places != rank(x, R, "most", rng=1)).any()
    np.testing.assert_array_equal(remove_ranked(x, places, 0.15), np.where(places < 3, 0, x))
    np.testing.assert_array_equal(lrp.remove(x, R, "most"), np.where(places < 3, 0, x))


def test_what_is_below_0_is_not_lit():
    x, R = np.array([[-0.5, 0.0, 0.5, 1.0]]), np.array([[4.0, 3.0, 2.0, 1.0]])
    assert rank(x, R, "most", pixels="lit").tolist() == [[2, 3, 0, 1]]
    assert lrp.remove(x, R, "most", 0.5, pixels="lit").tolist() == [[-0.5, 0, 0, 1]]


@pytest.mark.parametrize("arguments, message", [
    ({"which": "best"}, "which must be 'most' or 'least', got 'best'"),
    ({"order": "up"}, "order must be 'signed' or 'absolute', got 'up'"),
    ({"pixels": "dark"}, "pixels must be 'all' or 'lit', got 'dark'"),
    ({"fraction": 0}, "fraction must lie between 0 and 1, both excluded, got 0"),
    ({"fraction": -0.5}, "got -0.5"), ({"fraction": 1.0}, "got 1.0"),
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
        lrp.remove(**{"x": X, "relevance": R, "which": "most"} | arguments)


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
        with pytest.raises(ValueError, match="places must have shape"):
            remove_ranked(x, wrong, 0.5)
    with pytest.raises(ValueError, match="pixels must be 'all' or 'lit', got 'dark'"):
        remove_ranked(x, np.zeros((6, 9), int), 0.5, pixels="dark")


def test_the_experiment_keeps_its_variants_apart(trained, digits):
    """Important and unimportant not swapped, not mixed, both made from the intact image."""
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    removal = lrp.remove_and_measure(trained, x, labels, "gamma", gamma=0.5)
    relevance = lrp.explain(trained, x, "gamma", gamma=0.5).input
    np.testing.assert_array_equal(removal.relevance, relevance)
    for which, variant in (("most", removal.without_important),
                           ("least", removal.without_unimportant)):
        np.testing.assert_array_equal(variant, lrp.remove(x, relevance, which))
        assert ((variant == x) | (variant == 0)).all()
    assert not np.shares_memory(removal.without_important, removal.without_unimportant)
    taken = [np.where(variant != x, relevance, 0).sum(axis=1).mean()
             for variant in (removal.without_important, removal.without_unimportant)]
    assert taken[0] > 1 > 0 > taken[1]
    for images, outcome in ((x, removal.intact),
                            (removal.without_important, removal.important_removed),
                            (removal.without_unimportant, removal.unimportant_removed)):
        for ours, theirs in zip(outcome, lrp.measure(trained, images, labels)):
            np.testing.assert_array_equal(ours, theirs)
    accuracies = [outcome.correct.mean() for outcome in removal[-3:]]
    assert accuracies[1] < 0.2 < accuracies[0] - 0.05 < accuracies[2]


def test_the_experiment_passes_its_settings_on(trained, digits):
    x, labels = digits.test_images[:100], digits.test_labels[:100]
    fill = digits.train_images.mean(axis=0)
    settings = {"fraction": 0.3, "fill": fill, "order": "absolute", "pixels": "lit", "rng": 3}
    removal = lrp.remove_and_measure(trained, x, labels, "epsilon", **settings, epsilon=0.1)
    relevance = lrp.explain(trained, x, "epsilon", epsilon=0.1).input
    np.testing.assert_array_equal(removal.without_unimportant,
                                  lrp.remove(x, relevance, "least", **settings))
    default = lrp.remove_and_measure(trained, x, labels)
    np.testing.assert_array_equal(default.relevance, lrp.explain(trained, x, "0").input)
    settings = {"rng": 4, "fill": 1.0}      # ties everywhere, and seen
    removal = lrp.remove_and_measure(trained, x, labels, **settings)
    np.testing.assert_array_equal(removal.without_important,
                                  lrp.remove(x, default.relevance, "most", **settings))


def test_first_of_each():
    labels = np.array([3, 1, 3, 0, 1])
    assert first_of_each(labels, [1, 0, 3]) == [1, 3, 0]
    with pytest.raises(ValueError, match="digits must be classes that occur.*got 2"):
        first_of_each(labels, [0, 2])


def test_tables(trained, digits):
    x, labels = digits.test_images[:200], digits.test_labels[:200]
    removal = lrp.remove_and_measure(trained, x, labels)
    chosen = first_of_each(labels, [0, 1, 7])
    numbers = tables.removal_numbers(removal, labels, chosen)
    assert [row["digit"] for row in numbers] == [0, 1, 7, "mean", "all"]
    for name, outcome in (("confidence", removal.intact), ("IFRC", removal.important_removed),
                          ("UFRC", removal.unimportant_removed)):
        assert [row[name] for row in numbers] == pytest.approx(
            [*outcome.confidence[chosen], outcome.confidence[chosen].mean(),
             outcome.confidence.mean()], rel=1e-6)
    for name in ("intact", "important_removed", "unimportant_removed"):
        margins = getattr(removal, name).margin
        assert [row[f"margin_{name}"] for row in numbers] == pytest.approx(
            [*margins[chosen], margins[chosen].mean(), margins.mean()], rel=1e-6)
    assert numbers[-1]["prediction_intact"] == removal.intact.correct.mean()
    cells = tables.removal_cells(numbers)
    wrong = removal.important_removed.prediction[chosen[2]]
    assert wrong != 7 and cells[2]["IFRC"] == f"{numbers[2]['IFRC']:.4f} [{wrong}]"
    assert removal.intact.correct[chosen[0]] and "[" not in cells[0]["confidence"]
    right = removal.important_removed.correct
    assert [row["IFRC"] for row in cells if row["digit"].startswith("right")] == [
        f"{right[chosen].mean():.1%}", f"{right.mean():.1%}"]


def test_tables_are_written_in_three_ways():
    rows = [{"a": 1, "b": "x"}, {"a": 22.5, "b": "with, comma"}]
    assert tables.as_text(rows) == "a     b\n1     x\n22.5  with, comma"
    assert tables.as_markdown(rows).splitlines() == [
        "| a    | b           |", "| ---- | ----------- |",
        "| 1    | x           |", "| 22.5 | with, comma |"]
    assert tables.as_csv(rows) == 'a,b\n1,x\n22.5,"with, comma"\n'


def test_the_ledger_as_a_table(random_case):
    net, x = random_case([5, 4, 3], "relu", 0)
    e = lrp.explain(net, x)
    cells = tables.ledger_cells(e.ledger, 2)
    assert [row["layer"] for row in cells] == ["2", "1"]
    assert cells[0]["received"] == f"{e.ledger[1].received[2]:+.4f}"
    assert cells[1]["bias"] == f"{e.ledger[0].bias[2]:+.4f}"
