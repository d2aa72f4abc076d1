"""Studies of many images: conditions, intervals and curves, by definition and by planted faults."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.evaluation import study


def test_outcomes_are_what_they_are_called(trained, digits):
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    both = study.outcomes(trained, x, labels, {"gamma": {"gamma": 0.5}, "0": {}})
    alone = study.outcomes(trained, x, labels, {"0": {}})       # the rules do not mix
    assert all((both[key].confidence == outcome.confidence).all() for key, outcome in alone.items())
    assert list(both) == [
        ("original", None), ("random", None), ("size-matched random", None),
        ("MoRF", "pixel intensity"), ("LeRF", "pixel intensity"), ("MoRF", "gamma"),
        ("LeRF", "gamma"), ("MoRF", "0"), ("LeRF", "0")]
    relevance = lrp.explain(trained, x, "gamma", gamma=0.5).input
    expected = {("original", None): x}
    for rule, R in (("gamma", relevance), ("pixel intensity", x)):
        for condition in ("MoRF", "LeRF"):
            expected[condition, rule] = lrp.flip(x, R, condition.lower(), 0.3, pixels="nonzero")
    for key, images in expected.items():
        np.testing.assert_array_equal(both[key].confidence,
                                      lrp.measure(trained, images, labels).confidence)
    accuracy = {key: outcome.correct.mean() for key, outcome in both.items()}
    assert accuracy["MoRF", "gamma"] < 0.2 < accuracy["size-matched random", None] - 0.3
    margin = {key: outcome.margin.mean() for key, outcome in both.items()}
    assert margin["LeRF", "gamma"] > margin["original", None] > margin["size-matched random", None]
    assert accuracy["size-matched random", None] <= accuracy["random", None]


def images_measured(monkeypatch, *arguments, **settings):
    """{(condition, rule): the images that `study.outcomes` measures}."""
    seen, whole = [], study.measure
    monkeypatch.setattr(study, "measure", lambda net, images, labels: (
        seen.append(images), whole(net, images, labels))[1])
    return dict(zip(study.outcomes(*arguments, **settings), seen, strict=True))


def test_every_condition_flips_as_many_pixels(trained, monkeypatch):
    """3 of 10 non-zero pixels, 30 of 100, none of none; of all pixels where "random" says so."""
    rng = np.random.default_rng(0)
    x = np.zeros((3, 784), np.float32)
    for row, count in zip(x, (10, 100, 0)):
        row[rng.choice(784, count, replace=False)] = rng.random(count) + 0.1
    images = images_measured(monkeypatch, trained, x, np.zeros(3, int), {"0": {}}, fill=2.0)
    for (condition, _), flipped in images.items():
        expected = [0, 0, 0] if condition == "original" else [3, 30, 0]
        assert (flipped != x).sum(axis=1).tolist() == expected
        if condition == "random":
            assert ((flipped != x) & (x == 0)).sum() > 20
        else:
            assert not ((flipped != x) & (x == 0)).any()
    brightest, dimmest = (images[key, "pixel intensity"] for key in ("MoRF", "LeRF"))
    for n in (0, 1):
        lit = x[n] > 0
        for flipped, brighter in ((brightest, True), (dimmest, False)):
            gone, left = (flipped[n] != x[n]) & lit, (flipped[n] == x[n]) & lit
            assert (x[n, gone].min() > x[n, left].max() if brighter
                    else x[n, gone].max() < x[n, left].min())


def test_the_interval_of_a_known_distribution():
    """For the mean of N normal values the 95 % interval is 1.96 / sqrt(N) to both sides."""
    rng = np.random.default_rng(0)
    values = rng.normal(3, 1, 2500)
    e = study.estimate([values])
    assert e.mean == pytest.approx(values.mean()) and e.median == pytest.approx(np.median(values))
    for end in (e.mean - e.low, e.high - e.mean):
        assert end == pytest.approx(1.96 / 50, rel=0.1)
    assert e.least == e.most == pytest.approx(e.mean)


def test_seeds_are_averaged_image_by_image():
    """Two seeds whose errors cancel in each image: no spread over images, but one over seeds."""
    first = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    e = study.estimate([first, 1 - first])
    assert e.mean == e.low == e.high == 0.5 and (e.least, e.most) == pytest.approx((0.4, 0.6))
    assert study.estimate([first, first], rng=1) == study.estimate([first, first], rng=1)


def test_the_median_is_of_all_values():
    """Not of the means of images, whose median is 2, nor of those of seeds (4.5)."""
    e = study.estimate([[0.0, 10.0, 1.0], [4.0, 9.0, 3.0]])
    assert e.median == 3.5 and (e.least, e.most) == pytest.approx((11 / 3, 16 / 3))


def test_curves(trained, digits):
    x, labels = digits.test_images[:200], digits.test_labels[:200]
    relevance = lrp.explain(trained, x, "0").input
    fractions = [0.1, 0.3, 0.6]
    predicted = trained.predict(x)
    for pixels in ("all", "nonzero"):
        curves = study.perturbation_curves(trained, x, labels, relevance, fractions, pixels=pixels)
        for name, R, first in (("morf", relevance, "morf"), ("lerf", relevance, "lerf"),
                               ("random", np.zeros_like(x), "morf")):
            for i, fraction in enumerate(fractions):
                logits = trained.forward(lrp.flip(x, R, first, fraction, pixels=pixels))
                assert curves.accuracy[name][i] == (logits.argmax(axis=1) == labels).mean()
                p = np.exp(logits[range(200), predicted]) / np.exp(logits).sum(axis=1)
                assert curves.probability[name][i] == pytest.approx(p.mean(), rel=1e-4)
    assert list(curves.accuracy) == list(curves.probability) == ["morf", "lerf", "random"]
    assert curves.srg(curves.accuracy) == pytest.approx(
        np.mean(curves.accuracy["lerf"]) - np.mean(curves.accuracy["morf"]))
    e = curves.srg_estimate(curves.correct)
    assert e.mean == pytest.approx(curves.srg(curves.accuracy)) and e.low < e.mean < e.high
    of_each = np.mean([curves.correct["lerf"][i].astype(float) - curves.correct["morf"][i]
                       for i in range(3)], axis=0)
    assert tuple(e) == pytest.approx(tuple(study.estimate([of_each])))
    assert np.std(of_each) / 200**0.5 == pytest.approx((e.high - e.low) / 3.92, rel=0.15)
    # Of -R the gain changes its sign; of random relevance it is about 0
    swapped = study.perturbation_curves(trained, x, labels, -relevance, fractions, pixels="nonzero")
    assert curves.srg(curves.accuracy) > 0.5 > -0.5 > swapped.srg(swapped.accuracy)
    noise = np.random.default_rng(0).random(x.shape)
    at_random = study.perturbation_curves(trained, x, labels, noise, fractions, pixels="nonzero")
    assert abs(at_random.srg(at_random.accuracy)) < 0.1


def test_curves_need_a_second_output():
    """Of a single output, softmax is 1 whatever is flipped."""
    x = np.random.default_rng(0).random((4, 3))
    with pytest.raises(ValueError, match="net must have at least 2 outputs, got 1"):
        study.perturbation_curves(lrp.MLP.random([3, 1]), x, np.zeros(4, int), x, [0.5])


@pytest.mark.parametrize("fault", ["weights ignored", "class ignored"])
def test_a_heatmap_that_ignores_something_has_a_smaller_gain(trained, digits, fault):
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    sound = lrp.explain(trained, x, "0").input
    if fault == "weights ignored":
        faulty = x * x.mean(axis=1, keepdims=True)
    else:
        faulty = lrp.explain(trained, x, "0", target=0).input
    gains = []
    for relevance in (sound, faulty):
        curves = study.perturbation_curves(trained, x, labels, relevance, [0.1, 0.3, 0.5],
                                           pixels="nonzero")
        gains.append(curves.srg(curves.accuracy))
    assert gains[1] < gains[0] - 0.3


def test_the_fill_is_that_of_every_condition(trained, digits, monkeypatch):
    x, labels = digits.test_images[:20], digits.test_labels[:20]
    images = images_measured(monkeypatch, trained, x, labels, {"0": {}}, fill=2.0, rng=3)
    for (name, _), flipped in images.items():
        assert set(np.unique(flipped[flipped != x])) == ({2.0} if name != "original" else set()), (
            name)


def test_every_measure_is_estimated_from_its_own_numbers(trained, digits):
    x, labels = digits.test_images[:40], digits.test_labels[:40]
    runs = [study.outcomes(trained, x, labels, {}, rng=seed) for seed in (0, 1)]
    found = study.estimates(runs, rng=0)["random", None]
    outcomes = [run["random", None] for run in runs]
    for name, arrays in (("accuracy", [one.correct for one in outcomes]),
                         ("confidence", [one.confidence for one in outcomes]),
                         ("margin", [one.margin for one in outcomes])):
        assert found[name].mean == pytest.approx(np.mean(arrays, dtype=float), rel=1e-12)
        assert found[name].median == pytest.approx(np.median(np.array(arrays, float)), rel=1e-12)
    assert len({one.mean for one in found.values()}) == 3


def test_the_defaults_are_what_they_are_said_to_be(trained, digits):
    values = np.random.default_rng(0).random((2, 30))
    assert study.estimate(values) == study.estimate(values, 0, 1000)
    runs = [study.outcomes(trained, digits.test_images[:9], digits.test_labels[:9], {})]
    assert study.estimates(runs) == study.estimates(runs, rng=0)


def test_labels_beyond_the_classes_are_refused(trained, digits):
    x = digits.test_images[:3]
    for labels in ([0, 1, 10], [0, -1, 1], [0, 1]):
        with pytest.raises(ValueError, match="^labels must"):
            lrp.evaluation.perturbation_curves(trained, x, np.array(labels), x, [0.5])
