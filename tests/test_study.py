"""Studies of many images: conditions, intervals and curves, by definition and by planted faults."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.evaluation import size_matched_random, study


def test_outcomes_are_what_they_are_called(trained, digits):
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    both = study.outcomes(trained, x, labels, {"gamma": {"gamma": 0.5}, "0": {}})
    made = {condition: outcome for (condition, rule), outcome in both.items()
            if rule in (None, "gamma")}
    alone = study.outcomes(trained, x, labels, {"0": {}})       # the rules do not mix
    assert len(both) == 11 and all((both[key].confidence == outcome.confidence).all()
                                   for key, outcome in alone.items())
    relevance = lrp.explain(trained, x, "gamma", gamma=0.5).input
    morf, lerf = (lrp.flip(x, relevance, first) for first in ("morf", "lerf"))
    for name, images in (("original", x), ("MoRF", morf), ("LeRF", lerf),
                         ("size-matched random (MoRF)", size_matched_random(x, morf)),
                         ("size-matched random (LeRF)", size_matched_random(x, lerf))):
        np.testing.assert_array_equal(made[name].confidence,
                                      lrp.measure(trained, images, labels).confidence)
    assert list(made) == [
        "original", "random", "random non-zero", "MoRF", "size-matched random (MoRF)", "LeRF",
        "size-matched random (LeRF)"]
    accuracy = {name: outcome.correct.mean() for name, outcome in made.items()}
    assert accuracy["MoRF"] < 0.2 < accuracy["size-matched random (MoRF)"] - 0.3
    margin = {name: outcome.margin.mean() for name, outcome in made.items()}
    assert margin["LeRF"] > margin["original"] > margin["size-matched random (LeRF)"]
    assert accuracy["random non-zero"] + 0.2 < accuracy["random"] <= accuracy["original"] + 0.01


def images_measured(monkeypatch, *arguments, **settings):
    """The images that `study.outcomes` measures, in the order of its conditions."""
    seen, whole = [], study.measure
    monkeypatch.setattr(study, "measure", lambda net, images, labels: (
        seen.append(images), whole(net, images, labels))[1])
    found = study.outcomes(*arguments, **settings)
    return {condition: images for (condition, _), images in zip(found, seen, strict=True)}


def test_random_non_zero_flips_118_non_zero_pixels_or_all_there_are(trained, monkeypatch):
    rng = np.random.default_rng(0)
    x = np.zeros((3, 784), np.float32)
    for row, count in zip(x, (50, 118, 300)):
        row[rng.choice(784, count, replace=False)] = 1
    images = images_measured(monkeypatch, trained, x, np.zeros(3, int), {})
    assert list(images) == ["original", "random", "random non-zero"]
    assert (images["random non-zero"] > 0).sum(axis=1).tolist() == [0, 0, 182]


def test_each_size_matched_baseline_counts_its_own_images(trained, digits, monkeypatch):
    """MoRF and LeRF change different numbers of non-zero pixels."""
    x, labels = digits.test_images[:50], digits.test_labels[:50]
    images = images_measured(monkeypatch, trained, x, labels, {"0": {}}, fill=2.0, rng=3)
    lost = {name: ((x > 0) & (flipped != x)).sum(axis=1) for name, flipped in images.items()}
    for name in ("MoRF", "LeRF"):
        np.testing.assert_array_equal(lost[f"size-matched random ({name})"], lost[name])
        np.testing.assert_array_equal(images[f"size-matched random ({name})"],
                                      size_matched_random(x, images[name], 2.0, 3))
    assert (lost["MoRF"] != lost["LeRF"]).mean() > 0.9


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
    for name, flipped in images.items():
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
