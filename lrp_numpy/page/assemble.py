"""The page in one file: the network and some digits as text, between its HTML and its scripts."""
import json
from base64 import b64encode
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from lrp_numpy.layers import Dense
from lrp_numpy.network import Network
from lrp_numpy.utils.files import write_text
from lrp_numpy.utils.types import FilePath

INPUTS, CLASSES = 784, 10
SCRIPTS = ("lrp.js", "network.js", "ink.js", "pictures.js", "show.js", "page.js")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "zero_centred_sigmoid", "identity")     # network.js
LARGEST = 2**15 - 1     # of 16 bits with a sign


def write_page(path: FilePath, net: Network, images: np.ndarray, labels: np.ndarray,
               made: str = "", first: int = 0) -> Path:
    """Write the page for a network of Dense layers, 784 pixels to 10 logits; returns its path.

    images (N, 784), float in [0, 1], labels (N,): digits that a visitor can choose; `first` is
    shown at the beginning. made: a sentence about the network. Nothing is half-written. Raises
    ValueError for another network, see `check_network_of_page`.
    """
    check_network_of_page(net)
    write_text(path, page_text(net, images, labels, made, first))
    return Path(path)


def check_network_of_page(net: Network) -> None:
    """Raise ValueError unless the page can compute what the network computes."""
    for number, layer in enumerate(net.layers):
        if type(layer) is not Dense:
            raise ValueError("network must be of Dense layers for the page, got layer "
                             f"{number}: {type(layer).__name__}")
        if layer.activation not in ACTIVATIONS:
            raise ValueError(f"network must have activations among {', '.join(ACTIVATIONS)} for "
                             f"the page, got layer {number}: {layer.activation}")
    if (net.sizes[0], net.sizes[-1]) != (INPUTS, CLASSES):
        raise ValueError(f"network must have {INPUTS} inputs and {CLASSES} outputs for the page, "
                         f"got {net.sizes[0]} and {net.sizes[-1]}")


def page_text(net: Network, images: np.ndarray, labels: np.ndarray, made: str = "",
              first: int = 0) -> str:
    """The HTML."""
    here = files("lrp_numpy.page")
    pixels = np.rint(images * 255).astype(np.uint8)
    data = {"network": {"layers": [_written(layer) for layer in net.layers]},
            "digits": {"labels": [int(label) for label in labels], "pixels": as_text(pixels),
                       "first": first}}
    parts = {"style": (here / "page.css").read_text("utf-8"), "made": made,
             "data": json.dumps(data).replace("<", "\\u003c"),
             "scripts": "\n".join((here / name).read_text("utf-8") for name in SCRIPTS)}
    text = (here / "page.html").read_text("utf-8")
    for name, part in parts.items():
        text = text.replace(f"{{{{{name}}}}}", part)
    return text


def _written(layer: Any) -> dict:
    """A Dense layer as JSON. W has 16 bits a weight, to halve the page: W = scale * whole number,
    off by at most half of scale, a 65,000th of the largest weight."""
    W, scale = quantized(layer.W)
    return {"rows": W.shape[0], "columns": W.shape[1], "scale": scale, "W": as_text(W),
            "b": as_text(layer.b.astype("<f4")), "activation": layer.activation}


def quantized(W: np.ndarray) -> tuple[np.ndarray, float]:
    """(whole numbers of 16 bits, scale) with W about scale times the whole numbers."""
    scale = float(np.abs(W).max()) / LARGEST or 1.0
    return np.rint(W / scale).astype("<i2"), scale


def network_of_page(net: Network) -> Network:
    """The network that the page runs: with the weights that 16 bits leave, in float32."""
    layers = []
    for layer in net.layers:
        W, scale = quantized(layer.W)
        layers.append(Dense((W * scale).astype(np.float32), layer.b.astype(np.float32),
                            layer.activation))
    return type(net)(layers)


def as_text(array: np.ndarray) -> str:
    """The bytes of an array, row by row, in base 64."""
    return b64encode(array.tobytes()).decode()
