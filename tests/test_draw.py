"""The window to draw in, driven by mouse events: every widget, and a real window."""
import shutil
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent, ResizeEvent

import lrp_numpy as lrp
from lrp_numpy.cli import draw

SLANTED = [(150, 40), (146, 90), (140, 140), (134, 190), (130, 240)]       # a 1


@pytest.fixture
def board(trained, digits):
    figure = draw.sheet()
    yield draw.Board(figure, trained, digits.test_images, digits.test_labels, rng=0)
    plt.close(figure)


def send(board, name, x, y, button=1, **settings):
    canvas = board.figure.canvas
    canvas.callbacks.process(name, MouseEvent(name, canvas, x, y, button, **settings))


def drag(board, path, button=1, **settings):
    """Move the mouse along `path`, (column, row) on the sheet, with a button held."""
    places = board.axes["sheet"].transData.transform(path)
    send(board, "button_press_event", *places[0], button, **settings)
    for place in places[1:]:
        send(board, "motion_notify_event", *place, button)
    send(board, "button_release_event", *places[-1], button)


def click(board, artist):
    """Click the middle of `artist`."""
    box = artist.get_window_extent()
    for name in ("button_press_event", "button_release_event"):
        send(board, name, (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)


def choose(board, radio, text):
    label, = (label for label in radio.labels if label.get_text() == text)
    click(board, label)


def explained(board, rule="gamma", target=None, **parameters):
    image = board.seen.get_array().data.reshape(1, -1).astype(np.float32)
    return lrp.explain(board.net, image, rule, target, **parameters)


def check(board, rule="gamma", target=None, **parameters):
    """What the window shows is what the library computes for the digit in it."""
    e = explained(board, rule, target, **parameters)
    p = lrp.training.softmax(e.logits)[0]
    limit = np.abs(e.input).max()
    np.testing.assert_allclose(board.heatmap.get_array().ravel(), e.input[0], atol=1e-5 * limit)
    np.testing.assert_allclose(board.heatmap.get_clim(), (-limit, limit), rtol=1e-5)
    np.testing.assert_allclose([bar.get_width() for bar in board.bars], p, atol=1e-5)
    assert board.prediction.get_text() == f"predicts {p.argmax()} ({p.max():.1%})"
    title = board.axes["heatmap"].get_title()
    assert title.startswith(f"LRP-{rule} explains {e.target[0]}, ±")
    colours = board.heatmap.to_rgba(board.heatmap.get_array()).reshape(-1, 4)
    red, blue = colours[:, 0], colours[:, 2]
    assert (blue > red)[e.input[0] < -limit / 20].all()
    assert (red > blue)[e.input[0] > limit / 20].all()
    assert not board.axes["heatmap"].collections            # no dots
    return e


def test_a_stroke_is_a_capsule():
    """Its area, its round ends, its soft edge; a second stroke on top removes nothing."""
    ink = draw.stroke(np.zeros((80, 100)), (30, 40), (70, 40), 10)
    assert ink.sum() == pytest.approx(np.pi * 10**2 + 40 * 20, rel=0.01)
    assert ink[40, 30:71].min() == 1 and ink[40, 20] == 0.5 and ink[40, 19] == 0
    assert ink[40 - 8, 30 - 8] == 0 and ink[40 - 6, 30 - 6] == 1            # the end is round
    assert 0 < ((0 < ink) & (ink < 1)).sum() < 200
    dot = draw.stroke(np.zeros((80, 100)), (30, 40), (30, 40), 10)
    assert dot.sum() == pytest.approx(np.pi * 10**2, rel=0.02)
    np.testing.assert_array_equal(draw.stroke(ink, (30, 40), (30, 40), 10), ink)
    turned = draw.stroke(np.zeros((100, 80)), (40, 30), (40, 70), 10)
    np.testing.assert_array_equal(turned, ink.T)
    erased = draw.stroke(ink, (50, 40), (50, 40), 15, erase=True)
    assert erased[40, 50] == 0 and erased[40, 20:31].sum() == ink[40, 20:31].sum()
    outside = draw.stroke(np.zeros((80, 100)), (-50, 200), (-20, 300), 10)
    assert not outside.any()


def test_a_drawn_1_is_a_1(board):
    drag(board, SLANTED)
    for column, row in [*SLANTED, (148, 65), (132, 215)]:                   # and between them
        assert board.ink[row, column] == 1
    assert not board.ink[:, :100].any() and not board.ink[:, 190:].any()
    np.testing.assert_array_equal(board.ink_shown.get_array(), board.ink)
    e = check(board, gamma=0.25)
    assert e.target[0] == 1 and e.logits.argmax() == 1
    before = board.ink
    for name in ("motion_notify_event", "button_release_event"):            # the pen is up
        send(board, name, *board.axes["sheet"].transData.transform((50, 50)))
    assert board.ink is before


def test_clear_and_erase(board):
    drag(board, SLANTED)
    for settings in ({"button": 3}, {"button": 1, "key": "shift"}):
        drag(board, SLANTED[:2])
        drag(board, [(100, 60), (200, 60)], **settings)
        assert board.ink[60, 148] == 0 and board.ink[140, 140] == 1
        check(board, gamma=0.25)
    click(board, board.buttons["clear"].ax)
    assert not board.ink.any() and not board.seen.get_array().any()
    assert board.line.get_text().startswith("logit") and "pixels 0.00" in board.line.get_text()
    assert not board.axes["heatmap"].collections and not board.heatmap.get_array().any()
    drag(board, SLANTED)
    drag(board, [(150, 0), (140, 140), (130, 280)], button=3)
    drag(board, [(130, 0), (130, 280)], button=3)
    assert board.ink.max() < 0.05 and not board.seen.get_array().any()


def test_a_test_digit(board, digits):
    """The test digits that the seed picks are the network's input; strokes can be added."""
    rng = np.random.default_rng(0)
    for _ in range(3):
        click(board, board.buttons["a test digit"].ax)
        number = rng.integers(len(digits.test_images))
        assert board.axes["sheet"].get_title() == (
            f"test digit {number} (label {digits.test_labels[number]})")
        image = digits.test_images[number]
        assert np.abs(board.seen.get_array().ravel() - image).mean() < 0.01
        check(board, gamma=0.25)
    drag(board, SLANTED)
    assert board.ink[140, 140] == 1 and board.ink.sum() > 100 * image.sum()
    click(board, board.buttons["clear"].ax)
    assert board.axes["sheet"].get_title() == draw.HINT


def test_rules_and_sliders(board):
    board.load()
    for rule in draw.RULES:
        choose(board, board.rule, rule)
        check(board, rule)
    for rule, name in (("gamma", "gamma"), ("epsilon", "epsilon")):
        choose(board, board.rule, rule)
        before = board.heatmap.get_array().copy()
        click(board, board.sliders[name].ax)                                # the middle of 0 to 2
        assert board.sliders[name].val == pytest.approx(1, abs=0.02)
        assert np.abs(board.heatmap.get_array() - before).max() > 1e-3
        check(board, rule, **{name: board.sliders[name].val})


def test_the_class_explained(board):
    board.load()
    for text in ("3", "9", "0", "predicted"):
        choose(board, board.target, text)
        check(board, target=None if text == "predicted" else int(text))


def test_the_ledger_in_a_line(board):
    """Its terms add up to the logit, to two digits, for a deeper network too."""
    board.load()
    choose(board, board.rule, "epsilon")
    e = check(board, "epsilon")
    for ledger, logit in ((e.ledger, e.logits.max()), (deep_ledger(), 2.0)):
        line = draw.ledger_line(ledger)
        assert line == board.line.get_text() or ledger is not e.ledger
        words = line.replace("= ", "").replace("+ ", "").split()
        parts = dict(zip(words[::2], map(float, words[1::2])))
        assert list(parts) == ["logit", "pixels", "bias", "epsilon", "dropped"]
        assert parts["logit"] == pytest.approx(logit, abs=0.006)
        assert sum(list(parts.values())[1:]) == pytest.approx(parts["logit"], abs=0.025)
        assert parts["epsilon"] > 0.05


def deep_ledger():
    net = lrp.MLP.random([20, 15, 12, 3], "relu", rng=0)
    return lrp.explain(net, np.random.default_rng(0).random((1, 20)), "epsilon", 1,
                       start=2.0).ledger


def test_events_elsewhere_are_ignored(board):
    board.load()
    before = board.ink
    for place in ((1, 1), (600, 400), (880, 590), (-5, 700)):
        for name in ("button_press_event", "motion_notify_event", "button_release_event"):
            send(board, name, *place)
    drag(board, SLANTED, button=2)
    assert board.ink is before


def test_a_stroke_that_leaves_the_sheet(board):
    """Out to the right, over the heatmap, and back in further down: drawn inside only."""
    drag(board, [(200, 100), (400, 120), (600, 200), (240, 200)])
    assert board.ink[100, 200] == 1 and board.ink[108:109, 270].item() == 1
    assert board.ink[200, 245:].min() == 1 and not board.ink[150, 200:].any()
    drag(board, [(100, 100), (100, -5000), (-5000, 100)])
    assert board.ink[:100, 100].min() == 1
    check(board)


@pytest.mark.long
def test_repainting_above_the_background_equals_a_full_drawing(board):
    """After strokes, sliders and a new size of the window."""
    canvas = board.figure.canvas
    canvas.draw()

    def compare():
        blitted = np.array(canvas.buffer_rgba())
        canvas.draw()
        np.testing.assert_array_equal(blitted, np.asarray(canvas.buffer_rgba()))

    for size in ((9, 6), (7, 5), (12, 6)):
        board.figure.set_size_inches(size)
        canvas.callbacks.process("resize_event", ResizeEvent("resize_event", canvas))
        drag(board, SLANTED)
        compare()
        click(board, board.sliders["gamma"].ax)
        choose(board, board.target, "2")
        board.clear()
        drag(board, [(100, 100), (150, 180)])
        compare()
        assert board.ink[140, 125] == 1


def test_the_picture(board, tmp_path):
    board.load()
    path = board.save(tmp_path / "draw.png")
    pixels = plt.imread(path)
    assert pixels.shape == (600, 900, 4)
    box = board.axes["sheet"].get_window_extent()
    part = pixels[int(600 - box.y1) + 2:int(600 - box.y0) - 2, int(box.x0) + 2:int(box.x1) - 2]
    assert 1 - part[..., :3].mean() == pytest.approx(board.ink.mean(), rel=0.05)


def test_there_is_no_window():
    with pytest.raises(ValueError, match=r"draw needs a display and a GUI toolkit .*\(matplotlib "
                                         r"draws with [Aa]gg\); --picture FILE"):
        draw.window()
    assert not plt.get_fignums()


IN_A_WINDOW = """
import sys
import matplotlib.pyplot as plt
from lrp_numpy.cli import main as cli

def draw_a_1(figure, widget):
    def send(event, column, row):
        x, y = figure.axes[0].transData.transform((column, row))
        widget.event_generate(event, x=round(x), y=round(figure.bbox.height - y))
        widget.update()

    widget.update()
    send("<ButtonPress-1>", 150, 40)
    send("<Motion>", 140, 140)
    send("<Motion>", 130, 240)
    send("<ButtonRelease-1>", 130, 240)
    ink = figure.axes[0].images[0].get_array()
    print(type(figure.canvas).__name__, ink[140, 140], ink[90, 145], ink[:, :100].sum())
    print([text.get_text() for text in figure.axes[3].texts][-1])
    plt.close(figure)

def show(show=plt.show):
    widget = plt.gcf().canvas.get_tk_widget()
    widget.after(500, draw_a_1, plt.gcf(), widget)
    show()

plt.show = show
sys.exit(cli.main(["draw", "--network", sys.argv[1]]))
"""


@pytest.fixture
def display():
    """The name of an invisible display."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    pytest.importorskip("tkinter")
    with subprocess.Popen(["Xvfb", "-displayfd", "1", "-screen", "0", "1000x700x24"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        yield f":{int(server.stdout.readline())}"
        server.terminate()


def test_a_real_window(tmp_path, trained, display, monkeypatch):
    """python -m lrp_numpy draw, with mouse events from Tk."""
    trained.save(tmp_path / "network.npz")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    result = subprocess.run([sys.executable, "-c", IN_A_WINDOW, str(tmp_path / "network.npz")],
                            cwd=tmp_path, text=True, capture_output=True, timeout=120)
    assert result.returncode == 0 and result.stderr == "", result.stderr
    *_, drawn, prediction = result.stdout.splitlines()
    assert drawn == "FigureCanvasTkAgg 1.0 1.0 0.0" and prediction.startswith("predicts 1 (")
    assert {path.name for path in tmp_path.iterdir()} == {"network.npz"}
