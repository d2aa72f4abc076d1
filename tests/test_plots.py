"""Figures show the arrays that they are given: symmetric limits, zero white, wrong ones framed."""
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from lrp_numpy.plotting import figures as plots

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_relevance_is_symmetric_and_zero_is_white():
    R = np.linspace(-1, 3, 16)
    R[5] = 0
    _, axes = plt.subplots()
    plots.draw_relevance(axes, R, "title")
    drawn, = axes.get_images()
    assert drawn.get_clim() == (-3, 3)
    np.testing.assert_array_equal(drawn.get_array(), R.reshape(4, 4))
    red, white, blue = (drawn.cmap(drawn.norm(value)) for value in (3, 0, -3))
    assert min(white[:3]) > 0.99
    assert red[0] > 0.6 > max(red[1:3]) and blue[2] > 0.9 > max(blue[:2])
    dots, = axes.collections                            # told apart on grey paper
    assert dots.get_offsets().tolist() == [[place % 4, place // 4] for place in np.flatnonzero(
        R < -0.15)]


def test_no_relevance_at_all_is_white():
    _, axes = plt.subplots()
    plots.draw_relevance(axes, np.zeros(4))
    drawn, = axes.get_images()
    assert min(drawn.cmap(drawn.norm(0))[:3]) > 0.99


def test_an_image_is_black_on_white():
    _, axes = plt.subplots()
    plots.draw_image(axes, np.array([0, 0.2, 0.3, 0.5]))
    drawn, = axes.get_images()
    assert drawn.get_clim() == (0, 1)
    assert drawn.cmap(drawn.norm(0))[:3] == (1, 1, 1) and drawn.cmap(drawn.norm(1))[:3] == (0, 0, 0)
    with pytest.raises(ValueError, match="square to be drawn, got 5 pixels"):
        plots.draw_image(axes, np.zeros(5))


def test_loss_curve():
    loss = np.linspace(2, 0.5, 200)
    axes, = plots.loss_curve(loss, epochs=4).axes
    each, mean, *epochs = axes.get_lines()
    np.testing.assert_array_equal(each.get_ydata(), loss)
    np.testing.assert_allclose(mean.get_ydata()[0], loss[:4].mean())
    assert mean.get_xdata()[0] == 4 and mean.get_xdata()[-1] == 200
    assert [line.get_xdata()[0] for line in epochs] == [50, 100, 150]
    assert axes.get_xlabel() and "nats" in axes.get_ylabel()
    plots.loss_curve(np.array([1.0]), epochs=1)


def test_samples_frame_what_is_wrong():
    figure = plots.samples(RNG.random((12, 9)), np.arange(12) % 10, np.array([0] * 12), columns=5)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:3] == ["0", "0, is 1", "0, is 2"] and len(figure.axes) == 15
    widths = [axes.spines["left"].get_linewidth() for axes in figure.axes[:12]]
    assert [width > 2 for width in widths] == [label % 10 != 0 for label in range(12)]
    assert not figure.axes[14].axison


def test_heatmaps_and_removals_place_what_they_are_given():
    images = RNG.random((2, 9))
    relevances = [RNG.normal(size=(2, 9)) for _ in range(3)]
    figure = plots.heatmaps(relevances, [7, 4], ["a", "b", "c"], images)
    grid = np.array(figure.axes).reshape(2, 4)
    for i in range(2):
        for column, arrays in enumerate([images, *relevances]):
            drawn, = grid[i, column].get_images()
            np.testing.assert_array_equal(drawn.get_array().ravel(), arrays[i])
    assert [axes.get_title() for axes in grid[0]] == ["", "a", "b", "c"]
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["7", "4"]
    assert grid[0, 1].get_xlabel() == f"±{np.abs(relevances[0][0]).max():.2g}"
    figure = plots.heatmaps(relevances, [7, 4], ["a", "b", "c"], targets=[[7, 4], [7, 9], [1, 2]])
    captions = [axes.get_xlabel().split("  ")[0] for axes in figure.axes]
    assert captions == ["why 7?", "why 7?", "why 1?", "why 4?", "why 9?", "why 2?"]

    figure = plots.removals([images, images / 2], [[7, 4], [7, 9]], [7, 4], ["intact", "half"])
    grid = np.array(figure.axes).reshape(2, 2)
    assert [axes.get_xlabel() for axes in grid.flat] == ["says 7", "says 7", "says 4", "says 9"]
    framed = [[axes.spines["left"].get_linewidth() > 2 for axes in row] for row in grid]
    assert framed == [[False, False], [False, True]]


def test_bars_add_up_to_the_output():
    R, names = np.array([0.5, -3.0, 0.0, 2.0, -0.25]), list("abcde")
    elsewhere = {"bias": -1.0, "epsilon": 0.0, "dropped": 0.25}
    axes, = plots.bars(R, names, elsewhere, values=10 * R, most=2, unit="kg").axes
    shown = [(label.get_text(), bar.get_width()) for label, bar in
             zip(axes.get_yticklabels(), axes.patches, strict=True)]
    assert shown == [("b = -30", -3), ("d = 20", 2), ("3 others", 0.25), ("bias", -1),
                     ("dropped", 0.25)]
    assert sum(bar.get_width() for bar in axes.patches) == R.sum() - 0.75 == -1.5
    assert axes.get_title() == "the bars add up to -1.5" and "(kg)" in axes.get_xlabel()
    assert axes.yaxis_inverted()                        # the largest on top
    for bar in axes.patches:
        red, _, blue, _ = bar.get_facecolor()
        assert (red > blue) == (bar.get_hatch() is None) == (bar.get_width() >= 0)
    assert [text.get_text() for text in axes.texts] == ["-3", "+2", "+0.25", "-1", "+0.25"]


def test_bars_of_all_features():
    axes, = plots.bars(np.array([1.0, -2.0]), ["a", "b"]).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    axes, = plots.bars(np.array([1.0, -2.0]), ["a", "b"], most=1).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "1 other"]


@pytest.mark.parametrize("change, message", [
    ({"names": ["a"]}, r"names must be as many as the relevance .* got 1 for \(2,\)"),
    ({"values": np.ones(3)}, r"values must be as many .* got 3 for \(2,\)"),
    ({"R": np.ones((1, 2))}, r"one row's, got 2 for \(1, 2\)"),
    ({"most": 0}, "most must be an integer of at least 1, got 0")])
def test_bars_refuse(change, message):
    with pytest.raises(ValueError, match=message):
        plots.bars(**{"R": np.ones(2), "names": ["a", "b"], **change})


def test_save_makes_the_folder_and_closes(tmp_path):
    figure, axes = plt.subplots()
    path = plots.save(figure, tmp_path / "new" / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG") and not plt.get_fignums()
    assert matplotlib.get_backend().lower() == "agg"
