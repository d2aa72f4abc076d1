"""The study: conditions, intervals and curves, against definitions and by planted faults."""
import numpy as np
import pytest

import lrp_numpy as lrp
from lrp_numpy.cli import report
from lrp_numpy.evaluation import study
from lrp_numpy.cli import tables


def test_outcomes_are_what_they_are_called(trained, digits):
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    both = study.outcomes(trained, x, labels, {"gamma": {"gamma": 0.5}, "0": {}})
    made = {condition: outcome for (condition, rule), outcome in both.items()
            if rule in (None, "gamma")}
    alone = study.outcomes(trained, x, labels, {"0": {}})       # the rules do not mix
    assert len(both) == 11 and all((both[key].confidence == outcome.confidence).all()
                                   for key, outcome in alone.items())
    relevance = lrp.explain(trained, x, "gamma", gamma=0.5).input
    for name, images in (("intact", x), ("most relevant", lrp.remove(x, relevance, "most")),
                         ("least relevant", lrp.remove(x, relevance, "least"))):
        np.testing.assert_array_equal(made[name].confidence,
                                      lrp.measure(trained, images, labels).confidence)
    right = {name: outcome.correct.mean() for name, outcome in made.items()}
    assert right["most relevant"] < 0.2 < right["as many lit (most)"] - 0.3
    margin = {name: outcome.margin.mean() for name, outcome in made.items()}
    assert margin["least relevant"] > margin["intact"] > margin["as many lit (least)"]
    assert right["random lit"] + 0.2 < right["random"] <= right["intact"] + 0.01


def test_random_lit_takes_118_lit_pixels_or_all_there_are(trained, monkeypatch):
    rng = np.random.default_rng(0)
    x = np.zeros((3, 784), np.float32)
    for row, lit in zip(x, (50, 118, 300)):
        row[rng.choice(784, lit, replace=False)] = 1
    seen = []
    whole = study.measure
    monkeypatch.setattr(study, "measure", lambda net, images, labels: (
        seen.append(images), whole(net, images, labels))[1])
    study.outcomes(trained, x, np.zeros(3, int), {})
    assert len(seen) == 3 and (seen[-1] > 0).sum(axis=1).tolist() == [0, 0, 182]


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


def test_curves(trained, digits):
    x, labels = digits.test_images[:200], digits.test_labels[:200]
    relevance = lrp.explain(trained, x, "0").input
    fractions = [0.1, 0.3, 0.6]
    curves = study.perturbation_curves(trained, x, labels, relevance, fractions, pixels="lit")
    predicted = trained.predict(x)
    for which in ("most", "least"):
        for i, fraction in enumerate(fractions):
            logits = trained.forward(lrp.remove(x, relevance, which, fraction, pixels="lit"))
            assert curves.accuracy[which][i] == (logits.argmax(axis=1) == labels).mean()
            p = np.exp(logits[range(200), predicted]) / np.exp(logits).sum(axis=1)
            assert curves.probability[which][i] == pytest.approx(p.mean(), rel=1e-4)
    assert curves.area(curves.accuracy) == pytest.approx(
        np.mean(curves.accuracy["least"]) - np.mean(curves.accuracy["most"]))
    # Swapped, the area turns its sign; by chance, it is nothing
    swapped = study.perturbation_curves(trained, x, labels, -relevance, fractions, pixels="lit")
    assert curves.area(curves.accuracy) > 0.5 > -0.5 > swapped.area(swapped.accuracy)
    chance = np.random.default_rng(0).random(x.shape)
    by_lot = study.perturbation_curves(trained, x, labels, chance, fractions, pixels="lit")
    assert abs(by_lot.area(by_lot.accuracy)) < 0.1


def test_curves_need_a_second_output():
    """Of one, softmax and accuracy would be 1 whatever is removed."""
    x = np.random.default_rng(0).random((4, 3))
    with pytest.raises(ValueError, match="net must have at least 2 outputs, got 1"):
        study.perturbation_curves(lrp.MLP.random([3, 1]), x, np.zeros(4, int), x, [0.5])


@pytest.mark.parametrize("fault", ["weights ignored", "class ignored"])
def test_a_heatmap_that_ignores_something_has_a_smaller_area(trained, digits, fault):
    x, labels = digits.test_images[:300], digits.test_labels[:300]
    sound = lrp.explain(trained, x, "0").input
    if fault == "weights ignored":
        faulty = x * x.mean(axis=1, keepdims=True)
    else:
        faulty = lrp.explain(trained, x, "0", target=0).input
    areas = []
    for relevance in (sound, faulty):
        curves = study.perturbation_curves(trained, x, labels, relevance, [0.1, 0.3, 0.5],
                                           pixels="lit")
        areas.append(curves.area(curves.accuracy))
    assert areas[1] < areas[0] - 0.3


@pytest.fixture(scope="module")
def small(digits):
    """The study on a corner, for its form and for being the same twice."""
    fewer = lrp.Digits(digits.train_images[:1000], digits.train_labels[:1000],
                       digits.test_images[:200], digits.test_labels[:200])
    settings = report.Settings(hidden=20, epochs=2, retrain_epochs=1, sample=500)
    return fewer, settings


def test_the_report_made_twice_is_the_same(small, tmp_path):
    texts = []
    for folder in ("a", "b"):
        (tmp_path / folder / "figures").mkdir(parents=True)
        written = report.write_results(small[0], "mnist-10k", [0, 1], small[1], tmp_path / folder)
        assert all(path.exists() for path in written)
        texts.append((tmp_path / folder / "RESULTS.md").read_text())
    one, other = (text.split("## Time of the smaller networks")[0] for text in texts)
    assert one == other and "--seeds 0 1" in one
    assert (tmp_path / "a/removal.csv").read_text() == (tmp_path / "b/removal.csv").read_text()
    for path in (tmp_path / "a" / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / "figures" / path.name).read_bytes()
        assert f"(figures/{path.name})" in one


def test_removal_rows_cover_everything_once(small):
    networks = [report.trained_networks(*[small[0], seed, small[1]]) for seed in (0, 1)]
    assert list(networks[0]) == ["sigmoid", "sigmoid, zero-centred", "tanh", "relu"]
    rows = report.removal_rows(small[0], networks)
    keys = {(row["network"], row["rule"], row["removed"]) for row in rows}
    assert len(keys) == len(rows) == 4 * (3 + 3 * 4)
    intact = {row["network"]: row for row in rows if row["removed"] == "intact"}
    assert intact["sigmoid"]["accuracy_mean"] == intact["sigmoid, zero-centred"]["accuracy_mean"]
    for name in networks[0]:
        right = [(net[name].predict(small[0].test_images) == small[0].test_labels).mean()
                 for net in networks]
        assert intact[name]["accuracy_mean"] == pytest.approx(np.mean(right))
        assert (intact[name]["accuracy_least"], intact[name]["accuracy_most"]) == pytest.approx(
            (min(right), max(right)))
    text = tables.as_text(report.removal_cells(rows))
    assert text.count("\n") == len(rows) and "zero-centred" in text
