"""Figures show the arrays that they are given: symmetric limits, zero white, mistakes framed."""
import lrp_numpy as lrp
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from lrp_numpy import plotting
from lrp_numpy.datasets.handwriting import Reading
from lrp_numpy.evaluation import Curves

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def titles_of(figure):
    """The title above all panels, if there is one."""
    return [text.get_text() for text in figure.texts]


def test_relevance_is_symmetric_and_zero_is_white():
    R = np.linspace(-1, 3, 16)
    R[5] = 0
    _, axes = plt.subplots()
    plotting.draw_relevance(axes, R, "title")
    drawn, = axes.get_images()
    assert drawn.get_clim() == (-3, 3)
    np.testing.assert_array_equal(drawn.get_array(), R.reshape(4, 4))
    red, white, blue = (drawn.cmap(drawn.norm(value)) for value in (3, 0, -3))
    assert min(white[:3]) > 0.99
    assert red[0] > 0.6 > max(red[1:3]) and blue[2] > 0.9 > max(blue[:2])
    assert not axes.collections                         # no dots unless asked for
    plotting.draw_relevance(axes, R, dots=True)
    dots, = axes.collections
    negative = [[pixel % 4, pixel // 4] for pixel in np.flatnonzero(R < -0.15)]
    assert dots.get_offsets().tolist() == plotting.negative_pixels(R, 3).tolist() == negative
    plotting.draw_relevance(axes, R, limit=0.5)
    assert axes.get_images()[-1].get_clim() == (-0.5, 0.5)


def test_no_relevance_at_all_is_white():
    _, axes = plt.subplots()
    plotting.draw_relevance(axes, np.zeros(4))
    drawn, = axes.get_images()
    assert min(drawn.cmap(drawn.norm(0))[:3]) > 0.99
    assert plotting.symmetric_limit(np.zeros(4)) == 1
    assert plotting.symmetric_limit(np.array([-2.0, 1.0])) == 2


def test_the_colour_bar():
    figure, axes = plt.subplots()
    bar = plotting.colour_bar(figure, [axes], 0.25)
    assert bar.cmap is plotting.RELEVANCE and (bar.vmin, bar.vmax) == (-1, 1)
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["−0.25", "0", "+0.25"]
    assert bar.ax.get_yticks().tolist() == [-1, 0, 1] and bar.ax.get_ylabel() == "relevance"
    bar = plotting.colour_bar(figure, [axes])
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["−max", "0", "+max"]


def test_an_image_is_black_on_white():
    _, axes = plt.subplots()
    plotting.draw_image(axes, np.array([0, 0.2, 0.3, 0.5]))
    drawn, = axes.get_images()
    assert drawn.get_clim() == (0, 1)
    assert drawn.cmap(drawn.norm(0))[:3] == (1, 1, 1) and drawn.cmap(drawn.norm(1))[:3] == (0, 0, 0)
    with pytest.raises(ValueError, match="square to be drawn, got 5 pixels"):
        plotting.draw_image(axes, np.zeros(5))


def test_loss_curve():
    loss = np.linspace(2, 0.5, 200)
    axes, = plotting.loss_curve(loss, epochs=4).axes
    each, mean, *epochs = axes.get_lines()
    np.testing.assert_array_equal(each.get_ydata(), loss)
    np.testing.assert_allclose(mean.get_ydata()[0], loss[:4].mean())
    assert mean.get_xdata()[0] == 4 and mean.get_xdata()[-1] == 200
    assert [line.get_xdata()[0] for line in epochs] == [50, 100, 150]
    assert axes.get_xlabel() and "nats" in axes.get_ylabel() and axes.get_legend() is None
    assert [text.get_text() for text in axes.texts] == ["each batch", "mean of 4 batches"]
    plotting.loss_curve(np.array([1.0]), epochs=1)


def test_samples_frame_misclassified_images():
    labels, predictions = np.arange(12) % 10, np.zeros(12, int)
    figure = plotting.samples(RNG.random((12, 9)), labels, predictions, columns=5)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["0", "0 (is 1)", "0 (is 2)"] and len(figure.axes) == 15
    widths = [axes.spines["left"].get_linewidth() for axes in figure.axes[:12]]
    assert [width > 2 for width in widths] == [label % 10 != 0 for label in range(12)]
    assert not figure.axes[14].axison
    assert titles_of(figure) == ["Predictions: 10 of 12 misclassified (framed)"]


def test_heatmaps_and_flipped_images_place_what_they_are_given():
    images = RNG.random((2, 9))
    relevances = [RNG.normal(size=(2, 9)) for _ in range(3)]
    figure = plotting.heatmaps(relevances, [7, 4], ["a", "b", "c"], images)
    *panels, bar = figure.axes
    grid = np.array(panels).reshape(2, 4)
    assert bar.get_ylabel() == "relevance" and not any(axes.collections for axes in panels)
    for i in range(2):
        for column, arrays in enumerate([images, *relevances]):
            drawn, = grid[i, column].get_images()
            np.testing.assert_array_equal(drawn.get_array().ravel(), arrays[i])
    assert [axes.get_title() for axes in grid[0]] == ["", "a", "b", "c"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["7", "4"]
    assert grid[0, 1].get_xlabel() == f"±{np.abs(relevances[0][0]).max():.2g}"
    targets = [[7, 4], [7, 9], [1, 2]]
    figure = plotting.heatmaps(relevances, [7, 4], ["a", "b", "c"], targets=targets)
    captions = [axes.get_xlabel().split(",")[0] for axes in figure.axes[:6]]
    assert captions == [f"explains {k}" for k in (7, 7, 1, 4, 9, 2)]
    figure = plotting.heatmaps(relevances, [7, 4], ["a", "b", "c"], title="Why?", dots=True)
    assert titles_of(figure) == ["Why?"] and all(axes.collections for axes in figure.axes[:6])

    figure = plotting.flipped_images([images, images / 2], [[7, 4], [7, 9]], [7, 4],
                                     ["original", "half"], "Half of it")
    grid = np.array(figure.axes).reshape(2, 2)
    for axes, image in zip(grid.T.flat, [*images, *images / 2]):
        np.testing.assert_array_equal(axes.get_images()[0].get_array().ravel(), image)
    assert [axes.get_xlabel() for axes in grid.flat] == [f"predicted {k}" for k in (7, 7, 4, 9)]
    assert [axes.get_title() for axes in grid[0]] == ["original", "half"]
    assert titles_of(figure) == ["Half of it"]
    framed = [[axes.spines["left"].get_linewidth() > 2 for axes in row] for row in grid]
    assert framed == [[False, False], [False, True]]


def test_the_matrix_of_classes():
    means = np.random.default_rng(0).normal(size=(3, 3, 16))
    means[2] = np.nan
    figure = plotting.class_matrix(means)
    *panels, bar = figure.axes
    grid = np.array(panels).reshape(3, 3)
    limit = np.nanmax(np.abs(means))
    for t in range(2):
        for k in range(3):
            image, = grid[t, k].images
            np.testing.assert_array_equal(image.get_array(), means[t, k].reshape(4, 4))
            assert image.get_clim() == (-limit, limit)
    assert [axes.get_title() for axes in grid[0]] == ["0", "1", "2"]
    assert not grid[2, 0].images and grid[2, 0].get_title() == "none"
    assert grid[1, 0].get_ylabel() == "1"
    title, = titles_of(figure)
    assert "true class (rows)" in title and "explained class (columns)" in title
    assert bar.get_yticklabels()[-1].get_text() == f"+{limit:.2g}"
    for bad in (np.inf, np.nan):        # only a whole class may be missing
        means[1, 1, 3] = bad
        with pytest.raises(ValueError, match=f"relevance must be finite, got {bad}"):
            plotting.class_matrix(means)


def test_flipping_curves():
    fractions, results = np.array([0.1, 0.5]), {}
    for name in ("relu", "tanh"):
        for rule in ("LRP-0", "pixel intensity"):
            of_order = {order: RNG.random((2, 20)) < 0.5 for order in ("morf", "lerf", "random")}
            results[name, rule] = Curves(fractions, of_order, {})
    figure = plotting.flipping_curves(results)
    grid = np.array(figure.axes).reshape(2, 2)
    for row, rule in zip(grid, ("LRP-0", "pixel intensity")):
        assert row[0].get_ylabel() == f"{rule}\naccuracy (%)"
        for axes, name in zip(row, ("relu", "tanh")):
            curves = results[name, rule]
            drawn = {line.get_label(): line for line in axes.get_lines()}
            assert list(drawn) == ["LeRF", "MoRF", "random"]
            for label, line in drawn.items():
                np.testing.assert_array_equal(line.get_xdata(), [10, 50])
                np.testing.assert_array_equal(line.get_ydata(),
                                              100 * curves.correct[label.lower()].mean(axis=1))
            gain = curves.srg(curves.accuracy)
            assert axes.get_title(loc="right") == f"SRG {gain:.2f}"
            looks = {line.get_linestyle() for line in drawn.values()}
            assert len(looks) == 3          # told apart without colour
    assert [axes.get_title(loc="left") for axes in grid[0]] == ["relu", "tanh"]
    for axes in grid[:, -1]:        # each line has its label, and none covers another
        texts = {text.get_text(): text.xy[1] for text in axes.texts}
        assert texts.keys() == {"LeRF", "MoRF", "random"}
        assert np.diff(sorted(texts.values())).min() > 15
        ends = {line.get_label(): line.get_ydata()[-1] for line in axes.get_lines()}
        assert [ends[key] for key in sorted(texts, key=texts.get)] == sorted(ends.values())
        assert min(texts.values()) == min(ends.values())
    assert not figure.legends and "LeRF and MoRF" in titles_of(figure)[0]


def test_pruning_curves():
    rows = [{"ranking": ranking, "kept": kept, "accuracy": RNG.random(),
             "retrained": RNG.random() if kept < 90 else None}
            for ranking in ("one", "random", "two", "three") for kept in (90, 50, 10)]
    figure = plotting.pruning_curves(rows, "inputs")
    assert [axes.get_title() for axes in figure.axes] == ["one", "random", "two", "three", "", ""]
    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
    for axes in figure.axes[:4]:
        drawn = {line.get_label(): line for line in axes.get_lines()}
        reference = {f"random, {key}": ("random", key) for key in ("as pruned", "retrained")}
        own = {key: (axes.get_title(), key) for key in ("as pruned", "retrained")}
        shown = own | (reference if axes.get_title() != "random" else {})
        assert list(drawn) == list(shown)
        for label, (ranking, key) in shown.items():
            points = [(row["kept"], 100 * row["accuracy" if key == "as pruned" else key])
                      for row in rows if row["ranking"] == ranking
                      and (key == "as pruned" or row["retrained"] is not None)]
            np.testing.assert_array_equal(np.transpose(drawn[label].get_data()), points)
            grey = len(set(plt.matplotlib.colors.to_rgb(drawn[label].get_color()))) == 1
            assert grey == (label not in own)
        assert len({(line.get_linestyle(), line.get_marker()) for line in drawn.values()}) == 2
    legend, = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "as pruned", "retrained", "random, as pruned", "random, retrained"]
    assert figure.axes[0].get_ylabel() == "accuracy (%)"
    assert figure.axes[3].get_xlabel() == "inputs kept"
    never = [row | {"retrained": None} for row in rows if row["ranking"] == "two"]
    axes, = plotting.pruning_curves(never, "inputs").axes
    assert [len(line.get_xdata()) for line in axes.get_lines()] == [3, 0]


def test_bars_add_up_to_the_output():
    R, names = np.array([0.5, -3.0, 0.0, 2.0, -0.25]), list("abcde")
    unassigned = {"bias": -1.0, "epsilon": 0.0, "dropped": 0.25}
    axes, = plotting.bars(R, names, unassigned, values=10 * R, most=2, unit="kg").axes
    shown = [(label.get_text(), bar.get_width()) for label, bar in
             zip(axes.get_yticklabels(), axes.patches, strict=True)]
    assert shown == [("b = -30", -3), ("d = 20", 2), ("3 others", 0.25), ("bias", -1),
                     ("dropped", 0.25)]
    assert sum(bar.get_width() for bar in axes.patches) == R.sum() - 0.75 == -1.5
    assert axes.get_title() == "The bars add up to -1.5" and "(kg)" in axes.get_xlabel()
    assert axes.yaxis_inverted()                        # the largest on top
    for bar in axes.patches:
        red, _, blue, _ = bar.get_facecolor()
        assert (red > blue) == (bar.get_hatch() is None) == (bar.get_width() >= 0)
    assert [text.get_text() for text in axes.texts] == ["-3", "+2", "+0.25", "-1", "+0.25"]


def test_bars_of_all_features():
    axes, = plotting.bars(np.array([1.0, -2.0]), ["a", "b"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    axes, = plotting.bars(np.array([1.0, -2.0]), ["a", "b"], most=1).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "1 other"]


@pytest.mark.parametrize("change, message", [
    ({"names": ["a"]}, r"names must be as many as the relevance .* got 1 for \(2,\)"),
    ({"values": np.ones(3)}, r"values must be as many .* got 3 for \(2,\)"),
    ({"R": np.ones((1, 2))}, r"one row's, got 2 for \(1, 2\)"),
    ({"most": 0}, "most must be an integer of at least 1, got 0")])
def test_bars_refuse(change, message):
    with pytest.raises(ValueError, match=message):
        plotting.bars(**{"R": np.ones(2), "names": ["a", "b"], **change})


def test_readings_show_each_step():
    rng = np.random.default_rng(0)
    steps = [Reading(rng.random((40, 30, 3)), rng.random((40, 30)), rng.random(784))
             for _ in range(2)]
    figure = plotting.readings(steps, ["mine", "a $b^ c"])
    grid = np.array(figure.axes).reshape(2, 3)
    for row, step, name in zip(grid, steps, ("mine", "a $b^ c")):
        assert row[0].get_ylabel() == name
        for axes, expected in zip(row, (step.picture, step.ink, step.digit.reshape(28, 28))):
            np.testing.assert_array_equal(axes.images[0].get_array(), expected)
        assert row[1].images[0].cmap.name == "gray_r" and row[1].images[0].get_clim() == (0, 1)
    assert [axes.get_title() for axes in grid[0]] == ["picture", "taken for ink",
                                                      "what the network sees"]


def a_bag_of_words():
    rng = np.random.default_rng(0)
    images = rng.random((12, 64)).astype(np.float32)
    return lrp.BagOfWords.fit(images, np.arange(12) % 2, words=5, size=3, step=1, cells=2), images


def test_three_levels_of_a_bag_of_words():
    bw, images = a_bag_of_words()
    e = lrp.explain(bw, images[:2])
    grid = np.array(plotting.three_levels(bw, images[:2], ["a", "b $"]).axes[:14]).reshape(2, 7)
    for n, row in enumerate(grid):
        shown = [axes.images[0].get_array() for axes in row]
        np.testing.assert_array_equal(shown[0], images[n].reshape(8, 8))
        R_of_word = [sum(e.relevance[2][n, cell * 5 + d] for cell in range(4)) for d in range(5)]
        order = sorted(range(5), key=lambda d: -abs(R_of_word[d]))
        for d, word, axes in zip(order, shown[1:5], row[1:5]):
            np.testing.assert_array_equal(word, bw.layers[1].words[d].reshape(3, 3))
            assert axes.get_xlabel() == f"{R_of_word[d]:+.2f}"
        np.testing.assert_allclose(shown[5].ravel(), e.relevance[1][n].sum(axis=1))
        np.testing.assert_array_equal(shown[6].ravel(), e.input[n])
    assert grid[1, 0].get_ylabel() == "b $"


@pytest.mark.parametrize("change, message", [
    ({"net": lrp.MLP.random([64, 2], rng=0)}, "net must be a BagOfWords, got MLP"),
    ({"images": np.ones((2, 9), np.float32)}, "shape"),
    ({"row_titles": ["a"]}, "equally many, at least one, got 2 and 1"),
    ({"images": np.ones((0, 64), np.float32), "row_titles": []}, "at least one, got 0 and 0")])
def test_three_levels_refuse(change, message):
    bw, images = a_bag_of_words()
    with pytest.raises(ValueError, match=message):
        plotting.three_levels(**{"net": bw, "images": images[:2], "row_titles": ["a", "b"],
                                 **change})


def test_save_makes_the_folder_and_closes(tmp_path):
    figure, axes = plt.subplots()
    path = plotting.save(figure, tmp_path / "new" / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG") and not plt.get_fignums()
    assert matplotlib.get_backend().lower() == "agg"


def test_one_scale_for_all_heatmaps():
    relevances = [RNG.normal(size=(2, 9)), 100 * RNG.normal(size=(2, 9))]
    for limit in (None, 2.5):
        *panels, bar = plotting.heatmaps(relevances, [7, 4], ["a", "b"], limit=limit).axes
        ends = [axes.get_images()[0].get_clim() for axes in panels]
        assert ends == [(-end, end) for row in zip(*relevances) for R in row
                        for end in [limit or np.abs(R).max()]]
        assert bar.get_yticklabels()[-1].get_text() == ("+max" if limit is None else "+2.5")
    for wrong in (0, -1.0, np.nan, np.inf, "max", [1.0]):
        with pytest.raises(ValueError, match="^limit must be None or a finite number above 0, got"):
            plotting.heatmaps(relevances, [7, 4], ["a", "b"], limit=wrong)


def test_dollar_signs_are_not_mathematics(tmp_path):
    """In names of features, titles and words of the user."""
    names = ["income ($)", "$debt", r"\frac{$x$"]
    figures = [plotting.bars(RNG.normal(size=3), names, {"$": 0.5}),
               plotting.heatmaps([RNG.normal(size=(1, 9))], names[1:2], names[2:], title="$"),
               plotting.flipped_images([RNG.random((1, 9))], [[3]], [3], names[2:], "$ $"),
               plotting.loss_curve(np.ones(4), 1)]
    for number, figure in enumerate(figures):
        plotting.save(figure, tmp_path / f"{number}.png")
    labels = [text.get_text() for text in figures[0].axes[0].get_yticklabels()]
    assert set(names) <= set(labels)


def test_a_script_shows_a_figure_as_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    figure = plt.figure()
    plotting.show(figure, "one", "an empty figure")
    assert (tmp_path / "out" / "lessons" / "one.png").stat().st_size > 0
    assert capsys.readouterr().out == "figure: out/lessons/one.png (an empty figure)\n"
    assert not plt.fignum_exists(figure.number)
    for name in ("", "../one", "a/b"):
        with pytest.raises(ValueError, match="name must be a file name without folders"):
            plotting.show(figure, name, "")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
