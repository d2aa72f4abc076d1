"""A window to draw a digit in: at every stroke it shows the prediction and its relevance.

The state of a `Board` is its ink and its widgets; `update` computes and shows the rest. What never
changes is painted once and kept as the background; a stroke repaints only what is above it.
"""
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.widgets import Button, RadioButtons, Slider

from lrp_numpy import Network, explain, training
from lrp_numpy.composites import parameters_of
from lrp_numpy.datasets.handwriting import like_mnist
from lrp_numpy.datasets.idx import SIDE
from lrp_numpy.datasets.pictures import MIN_CONTRAST
from lrp_numpy.plotting import draw_image, draw_relevance, symmetric_limit
from lrp_numpy.rules import LedgerRow
from lrp_numpy.utils.files import atomic_write
from lrp_numpy.utils.types import FilePath, Seed

SCALE = 10          # pixels of the sheet for one pixel of MNIST, along each side
PEN = 12.0          # radius in pixels of the sheet: MNIST's strokes, in a large digit
ERASER = 20.0       # radius
RULES = ("0", "epsilon", "gamma", "gamma_generalized", "alpha_beta", "z_plus")
HINT = "draw here; right button (or shift): erase"


def stroke(ink: np.ndarray, start: tuple[float, float], end: tuple[float, float], radius: float,
           erase: bool = False) -> np.ndarray:
    """The sheet `ink` (H, W) after one straight stroke with round ends, as a new array.

        covered = clip(radius + 1/2 - distance from the line, 0, 1)
        ink = max(ink, covered),  or, to erase,  min(ink, 1 - covered)

    start, end: (column, row), inside or outside the sheet. All lengths in pixels of the sheet.
    """
    columns, rows = np.arange(ink.shape[1]), np.arange(ink.shape[0])[:, None]
    (x, y), (dx, dy) = start, np.subtract(end, start)
    along = (columns - x) * dx + (rows - y) * dy
    t = np.clip(along / max(dx * dx + dy * dy, 1e-12), 0, 1)    # of the line, at the nearest point
    distance = np.hypot(columns - x - t * dx, rows - y - t * dy)
    covered = np.clip(radius + 0.5 - distance, 0, 1)
    return np.minimum(ink, 1 - covered) if erase else np.maximum(ink, covered)


def ledger_line(ledger: list[LedgerRow]) -> str:
    """The ledger of one image, all layers summed, in one line that adds up to the logit."""
    parts = {"pixels": ledger[0].inputs[0]} | {
        name: sum(getattr(row, name)[0] for row in ledger) for name in ("bias", "epsilon",
                                                                        "dropped")}
    return f"logit {ledger[-1].received[0]:.2f} = " + " + ".join(
        f"{name} {part:.2f}" for name, part in parts.items())


def window() -> Figure:
    """An empty figure in a window, which opens with plt.show(). Raises ValueError if matplotlib
    cannot open a window."""
    try:
        figure = sheet()
        if figure.canvas.required_interactive_framework is not None:
            return figure
        plt.close(figure)
        reason = f"matplotlib draws with {plt.get_backend()}"
    except ImportError as error:
        reason = str(error)
    raise ValueError("draw needs a display and a GUI toolkit that matplotlib can use, such as "
                     f"tkinter, got none ({reason}); --picture FILE writes a PNG file instead")


def sheet() -> Figure:
    """An empty figure of the right size, without a toolbar."""
    with plt.rc_context({"toolbar": "None"}):
        figure: Any = plt.figure(figsize=(9, 6), dpi=100)
    figure.canvas.manager.set_window_title("lrp_numpy")
    if figure.canvas.manager.key_press_handler_id is not None:      # keys such as l, for curves
        figure.canvas.mpl_disconnect(figure.canvas.manager.key_press_handler_id)
    return figure


class Board:
    """The content of the window, and its reactions to the mouse."""

    def __init__(self, figure: Figure, net: Network, images: np.ndarray, labels: np.ndarray,
                 rng: Seed = 0) -> None:
        """Fill `figure` for a network of 784 inputs and 10 outputs.

        images (N, 784), labels (N,): the test digits; `load` picks one at random by `rng` (a seed
        or a numpy.random.Generator).
        """
        self.figure: Any = figure
        self.net, self.images, self.labels = net, images, labels
        self.rng = np.random.default_rng(rng)
        self.ink = np.zeros((SCALE * SIDE, SCALE * SIDE))
        self.last = None            # (column, row) where the pen last touched the sheet
        self.erase = False
        self.background = None      # pixels of what never changes
        self._make_images()
        self._make_widgets()
        for name, react in (("draw_event", self.on_draw), ("resize_event", self.on_resize),
                            ("button_press_event", self.on_press),
                            ("motion_notify_event", self.on_move),
                            ("button_release_event", self.on_release)):
            figure.canvas.mpl_connect(name, react)     # type: ignore[call-overload]
        self.update()

    def _make_images(self):
        places = {"sheet": (0.02, 0.42, 0.345, 0.52), "heatmap": (0.385, 0.42, 0.345, 0.52),
                  "seen": (0.775, 0.66, 0.19, 0.28), "bars": (0.785, 0.09, 0.16, 0.46)}
        self.axes = {name: self.figure.add_axes(place) for name, place in places.items()}
        draw_image(self.axes["sheet"], self.ink.ravel(), HINT)
        draw_image(self.axes["seen"], np.zeros(SIDE * SIDE))
        draw_relevance(self.axes["heatmap"], np.zeros(SIDE * SIDE))
        images = [self.axes[name] for name in ("sheet", "seen", "heatmap")]
        (self.ink_shown,), (self.seen,), (self.heatmap,) = (axes.get_images() for axes in images)
        self.figure.text(0.87, 0.955, "input of the network", ha="center", fontsize=9)
        bars = self.axes["bars"]
        self.bars = bars.barh(range(10), np.zeros(10))
        self.percents = [bars.text(1.02, k, "", fontsize=8, va="center") for k in range(10)]
        self.prediction = bars.text(0.5, -0.9, "", fontsize=12, ha="center")
        bars.set(xlim=(-0.01, 1), ylim=(9.6, -0.6), yticks=range(10), xticks=[0, 0.5, 1])
        bars.set_xlabel("probability (softmax)", fontsize=8)
        bars.tick_params(labelsize=8)
        self.line = self.figure.text(0.375, 0.375, "", ha="center", fontsize=10)
        self.moving = [*images, *self.bars, *self.percents, self.prediction, self.line]

    def _make_widgets(self):
        self.sliders = {}
        for name, bottom in (("gamma", 0.27), ("epsilon", 0.21)):
            axes = self.figure.add_axes((0.09, bottom, 0.22, 0.04))
            self.figure.text(0.08, bottom + 0.02, name, ha="right", va="center", fontsize=10)
            self.sliders[name] = Slider(axes, "", 0, 2, valinit=0.25, valfmt="%.2f", color="0.5",
                                        initcolor="none")
            self.sliders[name].drawon = False       # `update` paints it with the rest
            self.sliders[name].on_changed(self.update)
            self.moving.append(axes)
        self.buttons = {}
        for name, left, react in (("clear", 0.04, self.clear), ("a test digit", 0.2, self.load)):
            axes = self.figure.add_axes((left, 0.06, 0.14, 0.08))
            self.buttons[name] = Button(axes, name, color="0.9", hovercolor="0.9")
            self.buttons[name].on_clicked(react)
        self.rule = self._radio("rule", RULES, 2, (0.385, 0.03, 0.19, 0.29))
        self.target = self._radio("explained class", ["predicted", *map(str, range(10))], 0,
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
        """Pen or eraser touches the sheet."""
        if event.inaxes is self.axes["sheet"] and event.button in (1, 3):
            self.erase = event.button == 3 or event.key == "shift"
            self.last = self._place(event)
            self.on_move(event)

    def on_move(self, event: MouseEvent) -> None:
        """A straight stroke from the last place of the mouse, to leave no gaps."""
        if self.last is not None:
            place = self._place(event)
            self.ink = stroke(self.ink, self.last, place, ERASER if self.erase else PEN, self.erase)
            self.last = place
            self.update()

    def on_release(self, event: MouseEvent) -> None:
        """The pen leaves the sheet."""
        self.last = None

    def _place(self, event):
        """(column, row) of the mouse in pixels of the sheet, also outside it."""
        return self.axes["sheet"].transData.inverted().transform((event.x, event.y))

    def clear(self, event: Any = None) -> None:
        """Empty the sheet."""
        self.ink = np.zeros_like(self.ink)
        self.axes["sheet"].set_title(HINT, fontsize=9)
        self.update()

    def load(self, event: Any = None) -> None:
        """Put a random test digit on the sheet, as if it had been drawn."""
        number = self.rng.integers(len(self.images))
        self.ink = np.kron(self.images[number].reshape(SIDE, SIDE), np.ones((SCALE, SCALE)))
        self.axes["sheet"].set_title(f"test digit {number} (label {self.labels[number]})",
                                     fontsize=9)
        self.update()

    def update(self, event: Any = None) -> None:
        """Predict, explain the prediction, and show both."""
        image = (like_mnist(self.ink) if self.ink.max() >= MIN_CONTRAST else
                 np.zeros(SIDE * SIDE, np.float32))
        rule, target = self.rule.value_selected, self.target.value_selected
        parameters: dict[str, Any] = {name: slider.val for name, slider in self.sliders.items()
                                      if name in parameters_of(rule)}
        e = explain(self.net, image[None], rule, None if target == "predicted" else int(target),
                    intermediate=False, **parameters)
        R, p = e.input[0], training.softmax(e.logits)[0]
        self.ink_shown.set_data(self.ink)
        self.seen.set_data(image.reshape(SIDE, SIDE))
        limit = symmetric_limit(R)
        self.heatmap.set_data(R.reshape(SIDE, SIDE))
        self.heatmap.set_clim(-limit, limit)
        for k, (bar, percent) in enumerate(zip(self.bars, self.percents)):
            bar.set(width=p[k], color="0.2" if k == p.argmax() else "0.7")
            percent.set_text(f"{p[k]:.0%}" if p[k] >= 0.005 else "")
        self.prediction.set_text(f"predicts {p.argmax()} ({p.max():.1%})")
        self.axes["heatmap"].set_title(f"LRP-{rule} explains {e.target[0]}, ±{limit:.2g}",
                                       fontsize=9)
        self.line.set_text(ledger_line(e.ledger))
        self._show()

    def save(self, path: FilePath) -> Path:
        """Write the content of the window as PNG, and close it. Returns the path."""
        self.figure.canvas.draw()
        with atomic_write(path) as file:
            imsave(file, np.asarray(self.figure.canvas.buffer_rgba()), format="png")
        plt.close(self.figure)
        return Path(path)

    def on_resize(self, event: Event) -> None:
        """Drop the background: it has the old size."""
        self.background = None

    def on_draw(self, event: Event) -> None:
        """Keep what has just been painted as the background, and paint the rest above it."""
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
