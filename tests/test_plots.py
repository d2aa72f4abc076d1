"""Figures show the arrays that they are given: symmetric limits, zero white, wrong ones framed."""
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from lrp_numpy import plots

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


def test_save_makes_the_folder_and_closes(tmp_path):
    figure, axes = plt.subplots()
    path = plots.save(figure, tmp_path / "new" / "figure.png")
    assert path.read_bytes().startswith(b"\x89PNG") and not plt.get_fignums()
    assert matplotlib.get_backend().lower() == "agg"
