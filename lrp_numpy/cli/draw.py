"""A sheet to draw on: at every stroke, what the network says to the digit, and why.

The state of a `Board` is its ink and its widgets; `update` shows what follows from them. What does
not change is painted once and kept as the background; a stroke only paints the rest above it.
"""
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.widgets import Button, RadioButtons, Slider

from lrp_numpy.plotting import figures as plots
from lrp_numpy.datasets.mnist import SIDE
from lrp_numpy.explanation import explain
from lrp_numpy.utils.files import atomic_write
from lrp_numpy.datasets.handwriting import MIN_CONTRAST, like_mnist
from lrp_numpy.utils.types import FilePath, Seed
from lrp_numpy.network import Network
from lrp_numpy.rules import LedgerRow, parameters_of
from lrp_numpy.training.train import softmax

SCALE = 10          # pixels of the sheet, along its side, to a pixel of MNIST
PEN = 12.0          # its radius in pixels of the sheet: in a large digit, MNIST's strokes
RUBBER = 20.0
RULES = ("0", "epsilon", "gamma", "gamma_generalized", "alpha_beta", "z_plus")
HINT = "draw here; the right button (or shift) rubs out"


def stroke(ink: np.ndarray, start: tuple[float, float], end: tuple[float, float], radius: float,
           rub_out: bool = False) -> np.ndarray:
    """The sheet `ink` (H, W) after one straight stroke with round ends, as a new array.

        covered = clip(radius + 1/2 - distance from the line, 0, 1)
        ink = max(ink, covered),  or, to rub out,  min(ink, 1 - covered)

    start, end: (column, row), which may lie outside; radius: all in pixels of the sheet.
    """
    columns, rows = np.arange(ink.shape[1]), np.arange(ink.shape[0])[:, None]
    (x, y), (dx, dy) = start, np.subtract(end, start)
    along = (columns - x) * dx + (rows - y) * dy
    t = np.clip(along / max(dx * dx + dy * dy, 1e-12), 0, 1)     # of the way, at the nearest point
    distance = np.hypot(columns - x - t * dx, rows - y - t * dy)
    covered = np.clip(radius + 0.5 - distance, 0, 1)
    return np.minimum(ink, 1 - covered) if rub_out else np.maximum(ink, covered)


def ledger_line(ledger: list[LedgerRow]) -> str:
    """All layers' ledger of one image in one line: where the relevance of the logit went."""
    parts = {"pixels": ledger[0].inputs[0]} | {
        name: sum(getattr(row, name)[0] for row in ledger) for name in ("bias", "epsilon",
                                                                        "dropped")}
    return f"logit {ledger[-1].received[0]:.2f} = " + " + ".join(
        f"{name} {part:.2f}" for name, part in parts.items())


def window() -> Figure:
    """An empty figure in a window, which opens with plt.show(). Raises ValueError if matplotlib
    has no window to open."""
    try:
        figure = sheet()
        if figure.canvas.required_interactive_framework is not None:
            return figure
        plt.close(figure)
        reason = f"matplotlib draws with {plt.get_backend()}"
    except ImportError as error:
        reason = str(error)
    raise ValueError("draw needs a display and a GUI toolkit that matplotlib can use, such as "
                     f"tkinter, got none ({reason}); --picture FILE writes a picture instead")


def sheet() -> Figure:
    """An empty figure of the right size, with nothing around it."""
    with plt.rc_context({"toolbar": "None"}):
        figure: Any = plt.figure(figsize=(9, 6), dpi=100)
    figure.canvas.manager.set_window_title("lrp_numpy")
    if figure.canvas.manager.key_press_handler_id is not None:      # l, g and k are for curves
        figure.canvas.mpl_disconnect(figure.canvas.manager.key_press_handler_id)
    return figure


class Board:
    """All that is in the window, and what the mouse does to it."""

    def __init__(self, figure: Figure, net: Network, images: np.ndarray, labels: np.ndarray,
                 rng: Seed = 0) -> None:
        """Fill `figure` for a network of 784 inputs and 10 outputs.

        images (N, 784), labels (N,): the test digits, of which `load` takes one by `rng` (a seed or
        a numpy.random.Generator).
        """
        self.figure: Any = figure
        self.net, self.images, self.labels = net, images, labels
        self.rng = np.random.default_rng(rng)
        self.ink = np.zeros((SCALE * SIDE, SCALE * SIDE))
        self.last = None            # where the pen touched the sheet last, (column, row)
        self.rub_out = False
        self.background = None      # what is always the same, as pixels
        self._make_pictures()
        self._make_widgets()
        for name, react in (("draw_event", self.on_draw), ("resize_event", self.on_resize),
                            ("button_press_event", self.on_press),
                            ("motion_notify_event", self.on_move),
                            ("button_release_event", self.on_release)):
            figure.canvas.mpl_connect(name, react)     # type: ignore[call-overload]
        self.update()

    def _make_pictures(self):
        places = {"sheet": (0.02, 0.42, 0.345, 0.52), "heatmap": (0.385, 0.42, 0.345, 0.52),
                  "seen": (0.775, 0.66, 0.19, 0.28), "bars": (0.785, 0.09, 0.16, 0.46)}
        self.axes = {name: self.figure.add_axes(place) for name, place in places.items()}
        plots.draw_image(self.axes["sheet"], self.ink.ravel(), HINT)
        plots.draw_image(self.axes["seen"], np.zeros(SIDE * SIDE))
        plots.draw_relevance(self.axes["heatmap"], np.zeros(SIDE * SIDE))
        pictures = [self.axes[name] for name in ("sheet", "seen", "heatmap")]
        (self.ink_shown,), (self.seen,), (self.heatmap,) = (axes.get_images() for axes in pictures)
        self.dots, = self.axes["heatmap"].collections
        self.dots.set_sizes([5])
        self.figure.text(0.87, 0.955, "what the network sees", ha="center", fontsize=9)
        bars = self.axes["bars"]
        self.bars = bars.barh(range(10), np.zeros(10))
        self.percents = [bars.text(1.02, k, "", fontsize=8, va="center") for k in range(10)]
        self.answer = bars.text(0.5, -0.9, "", fontsize=12, ha="center")
        bars.set(xlim=(-0.01, 1), ylim=(9.6, -0.6), yticks=range(10), xticks=[0, 0.5, 1])
        bars.set_xlabel("probability (softmax)", fontsize=8)
        bars.tick_params(labelsize=8)
        self.line = self.figure.text(0.375, 0.375, "", ha="center", fontsize=10)
        self.moving = [*pictures, *self.bars, *self.percents, self.answer, self.line]

    def _make_widgets(self):
        self.sliders = {}
        for name, bottom in (("gamma", 0.27), ("epsilon", 0.21)):
            axes = self.figure.add_axes((0.09, bottom, 0.22, 0.04))
            self.figure.text(0.08, bottom + 0.02, name, ha="right", va="center", fontsize=10)
            self.sliders[name] = Slider(axes, "", 0, 2, valinit=0.25, valfmt="%.2f", color="0.5",
                                        initcolor="none")
            self.sliders[name].drawon = False       # it is painted by `update`, with the rest
            self.sliders[name].on_changed(self.update)
            self.moving.append(axes)
        self.buttons = {}
        for name, left, react in (("clear", 0.04, self.clear), ("a test digit", 0.2, self.load)):
            axes = self.figure.add_axes((left, 0.06, 0.14, 0.08))
            self.buttons[name] = Button(axes, name, color="0.9", hovercolor="0.9")
            self.buttons[name].on_clicked(react)
        self.rule = self._radio("rule", RULES, 2, (0.385, 0.03, 0.19, 0.29))
        self.target = self._radio("explained", ["predicted", *map(str, range(10))], 0,
                                  (0.6, 0.03, 0.13, 0.29))
        for artist in self.moving:
            artist.set_animated(True)

    def _radio(self, title, labels, active, place):
        axes = self.figure.add_axes(place)
        axes.set_title(title, fontsize=9)
        radio = RadioButtons(axes, labels, active, activecolor="0", useblit=False,
                             label_props={"fontsize": [8]}, radio_props={"s": [20]})
        radio.on_clicked(self.update)
        return radio

    def on_press(self, event: MouseEvent) -> None:
        """The pen, or the rubber, touches the sheet."""
        if event.inaxes is self.axes["sheet"] and event.button in (1, 3):
            self.rub_out = event.button == 3 or event.key == "shift"
            self.last = self._place(event)
            self.on_move(event)

    def on_move(self, event: MouseEvent) -> None:
        """A straight stroke from where the mouse was last, so that there are no gaps."""
        if self.last is not None:
            place = self._place(event)
            self.ink = stroke(self.ink, self.last, place, RUBBER if self.rub_out else PEN,
                              self.rub_out)
            self.last = place
            self.update()

    def on_release(self, event: MouseEvent) -> None:
        """The pen is lifted, wherever it is."""
        self.last = None

    def _place(self, event):
        """(column, row) on the sheet, also for a pen that has left it."""
        return self.axes["sheet"].transData.inverted().transform((event.x, event.y))

    def clear(self, event: Any = None) -> None:
        """An empty sheet."""
        self.ink = np.zeros_like(self.ink)
        self.axes["sheet"].set_title(HINT, fontsize=9)
        self.update()

    def load(self, event: Any = None) -> None:
        """One of the test digits, by lot, as if it had been drawn."""
        number = self.rng.integers(len(self.images))
        self.ink = np.kron(self.images[number].reshape(SIDE, SIDE), np.ones((SCALE, SCALE)))
        self.axes["sheet"].set_title(f"test digit {number} (label {self.labels[number]})",
                                     fontsize=9)
        self.update()

    def update(self, event: Any = None) -> None:
        """Ask the network, explain its answer, and show both."""
        image = (like_mnist(self.ink) if self.ink.max() >= MIN_CONTRAST else
                 np.zeros(SIDE * SIDE, np.float32))
        rule, target = self.rule.value_selected, self.target.value_selected
        parameters: dict[str, Any] = {name: slider.val for name, slider in self.sliders.items()
                                      if name in parameters_of(rule)}
        e = explain(self.net, image[None], rule, None if target == "predicted" else int(target),
                    intermediate=False, engine="numpy", **parameters)
        R, p = e.input[0], softmax(e.logits)[0]
        self.ink_shown.set_data(self.ink)
        self.seen.set_data(image.reshape(SIDE, SIDE))
        limit = np.abs(R).max() or 1
        self.heatmap.set_data(R.reshape(SIDE, SIDE))
        self.heatmap.set_clim(-limit, limit)
        self.dots.set_offsets(plots.against(R, limit))
        for k, (bar, percent) in enumerate(zip(self.bars, self.percents)):
            bar.set(width=p[k], color="0.2" if k == p.argmax() else "0.7")
            percent.set_text(f"{p[k]:.0%}" if p[k] >= 0.005 else "")
        self.answer.set_text(f"says {p.argmax()} ({p.max():.1%})")
        self.axes["heatmap"].set_title(f"why {e.target[0]}?  LRP-{rule}, ±{limit:.2g}", fontsize=9)
        self.line.set_text(ledger_line(e.ledger))
        self._show()

    def save(self, path: FilePath) -> Path:
        """Write what the window shows as PNG, and close it. Returns the path."""
        self.figure.canvas.draw()
        with atomic_write(path) as file:
            imsave(file, np.asarray(self.figure.canvas.buffer_rgba()), format="png")
        plt.close(self.figure)
        return Path(path)

    def on_resize(self, event: Event) -> None:
        """The background is that of another size: all is to be painted anew."""
        self.background = None

    def on_draw(self, event: Event) -> None:
        """All has been painted but what moves: keep it, and paint the rest."""
        self.background = self.figure.canvas.copy_from_bbox(self.figure.bbox)
        self._paint()

    def _paint(self):
        for artist in self.moving:
            self.figure.draw_artist(artist)

    def _show(self):
        canvas = self.figure.canvas
        if self.background is None:
            canvas.draw_idle()
        else:
            canvas.restore_region(self.background)
            self._paint()
            canvas.blit(self.figure.bbox)
