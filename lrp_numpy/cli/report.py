"""The study: train the networks, measure, and write pages with tables and figures."""
import platform
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lrp_numpy import (MLP, Digits, Network, evaluation, explain, lenet, plotting, train, training,
                       zero_centred)
from lrp_numpy.cli import tables
from lrp_numpy.cli.parser import DEFAULTS
from lrp_numpy.utils.files import write_text
from lrp_numpy.utils.types import Seed, Table

Networks = list[dict[str, Network]]
STUDIED = {"0": {}, "epsilon": {"epsilon": 0.25}, "gamma": {"gamma": 0.25}}
FRACTIONS = np.linspace(0.05, 0.95, 10)
KEPT = (0.9, 0.75, 0.5, 0.375, 0.25, 0.15, 0.1)
RETRAINED = (0.5, 0.25, 0.1)
RANKINGS = ("mean absolute relevance", "mean relevance", "variance", "activation times weight",
            "random")


class Settings(NamedTuple):
    """How the networks of the study are trained."""
    hidden: int = 500
    epochs: int = 10
    retrain_epochs: int = 5
    sample: int = 10_000        # training images over which importance is averaged


def trained_cnn(digits: Digits, seed: int, settings: Settings = Settings()) -> dict[str, Network]:
    """{name: network}: the paper's network with ReLU, and a convolutional one to compare."""
    mlp = MLP.random([digits.train_images.shape[1], settings.hidden, 10], "relu", rng=seed)
    cnn = lenet(seed)
    _train(mlp, "relu", digits, seed, settings)
    _train(cnn, "CNN", digits, seed, settings, DEFAULTS["cnn"]["learning_rate"])
    return {"relu": mlp, "CNN": cnn}


def trained_networks(digits: Digits, seed: int,
                     settings: Settings = Settings()) -> dict[str, Network]:
    """{name: MLP}: sigmoid, the same zero-centred, tanh and ReLU, trained with one seed."""
    networks: dict[str, Network] = {}
    for activation in ("sigmoid", "tanh", "relu"):
        sizes = [digits.train_images.shape[1], settings.hidden, 10]
        net = MLP.random(sizes, activation, rng=seed)
        _train(net, activation, digits, seed, settings)
        networks[activation] = net
        if activation == "sigmoid":
            networks["sigmoid, zero-centred"] = zero_centred(net)
    return networks


def _train(net, name, digits, seed, settings, learning_rate=1e-3):
    """Train a network of the study; print one line, also to a log."""
    begin = time.perf_counter()
    history = train(net, digits, settings.epochs, learning_rate=learning_rate, rng=seed,
                    progress=sys.stderr.isatty())
    print(f"{name}, seed {seed}: test accuracy {history.accuracy[-1]:.2%} "
          f"({time.perf_counter() - begin:.1f} s)", flush=True)


def flipping_rows(digits: Digits, networks_of_seeds: Networks, fraction: float = 0.15) -> Table:
    """One row for each network, rule and condition: accuracy, confidence and margin as Estimates.

    networks_of_seeds: one dict of `trained_networks` or `trained_cnn` for each seed.
    """
    x, labels, rows = digits.test_images, digits.test_labels, []
    for name in networks_of_seeds[0]:
        runs = [_without_warnings(evaluation.outcomes, networks[name], x, labels, STUDIED, fraction)
                for networks in networks_of_seeds]
        for (condition, rule), measures in evaluation.estimates(runs).items():
            row = {"network": name, "rule": rule or "-", "flipped": condition}
            for measure, estimate in measures.items():
                row |= {f"{measure}_{part}": value for part, value in estimate._asdict().items()}
            rows.append(row)
    return rows


def flipping_cells(rows: Table) -> Table:
    """The rows of `flipping_rows` rounded for a reader; the range over seeds of accuracy only."""
    return [{"network": row["network"], "rule": row["rule"], "flipped": row["flipped"],
             "accuracy (%)": _interval(row, "accuracy", 100, 2),
             "seeds": f"{100 * row['accuracy_least']:.2f}..{100 * row['accuracy_most']:.2f}",
             "confidence": _interval(row, "confidence", 1, 3),
             "median": f"{row['confidence_median']:.3f}",
             "margin": _interval(row, "margin", 1, 3),
             "median margin": f"{row['margin_median']:.3f}"} for row in rows]


def _interval(row, measure, unit, digits):
    mean, low, high = (unit * row[f"{measure}_{part}"] for part in ("mean", "low", "high"))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def curve_results(digits: Digits, networks: dict[str, Network]
                  ) -> dict[tuple[str, str, str], evaluation.Curves]:
    """{(network, rule, fill): Curves} for all rules, with pixels filled with 0 and the mean."""
    x, labels, results = digits.test_images, digits.test_labels, {}
    fills = {"0": 0.0, "mean": digits.train_images.mean(axis=0)}
    for name, net in networks.items():
        for rule, parameters in STUDIED.items():
            relevance = _without_warnings(explain, net, x, rule, intermediate=False,
                                          **parameters).input
            for fill, value in fills.items():
                results[name, rule, fill] = evaluation.perturbation_curves(
                    net, x, labels, relevance, FRACTIONS, value)
    return results


def srg_rows(results: dict[tuple[str, str, str], evaluation.Curves]) -> Table:
    """One row for each entry of `curve_results`: the areas between its LeRF and MoRF curves."""
    return [{"network": name, "rule": rule, "fill": fill,
             "SRG (accuracy)": f"{curves.srg(curves.accuracy):.3f}",
             "SRG (probability)": f"{curves.srg(curves.probability):.3f}"}
            for (name, rule, fill), curves in results.items()]


def pruning_rows(digits: Digits, net: Network, layer: int, settings: Settings = Settings(),
                 rng: Seed = 0) -> Table:
    """One row for each ranking and share kept of the inputs of `layer`.

    Accuracies are of the test images; "retrained" is None for the shares that are not retrained.
    The ranking "most relevant pruned" keeps the least by mean absolute relevance.
    """
    sample = digits.train_images[:settings.sample]
    scores = {by: evaluation.neuron_importance(net, sample, layer, by, rng=rng) for by in RANKINGS}
    scores["most relevant pruned"] = -scores["mean absolute relevance"]
    rows = []
    for by, score in scores.items():
        for share in KEPT:
            kept = evaluation.top_k(score, max(1, round(share * net.sizes[layer])), rng)
            small = evaluation.prune_neurons(net, layer, kept)
            fewer = evaluation.select_pixels(digits, kept) if layer == 0 else digits
            row = {"ranking": by, "kept": len(kept), "of": net.sizes[layer],
                   "parameters": evaluation.count_parameters(small),
                   "multiplications": small.multiplications,
                   "accuracy": training.accuracy(small, fewer.test_images, fewer.test_labels),
                   "retrained": None}
            if share in RETRAINED:
                history = train(small, fewer, settings.retrain_epochs, rng=rng,
                                progress=sys.stderr.isatty())
                row["retrained"] = history.accuracy[-1]
            rows.append(row)
        print(f"layer {layer}, ranking {by!r}: pruned and retrained", flush=True)
    return rows


def pruning_cells(rows: Table) -> Table:
    """The rows of `pruning_rows` rounded for a reader."""
    return [{"ranking": row["ranking"], "kept": f"{row['kept']} of {row['of']}",
             "parameters": f"{row['parameters']:,}",
             "multiplications": f"{row['multiplications']:,}",
             "accuracy (%)": f"{100 * row['accuracy']:.2f}",
             "retrained (%)": "" if row["retrained"] is None else f"{100 * row['retrained']:.2f}"}
            for row in rows]


def timing_rows(digits: Digits, net: Network) -> Table:
    """Measured time of the forward pass, per image, by the number of inputs kept."""
    counts = [net.sizes[0], *(round(share * net.sizes[0]) for share in RETRAINED)]
    small = [evaluation.prune_inputs(net, np.arange(count)) for count in counts]
    images = [np.ascontiguousarray(digits.test_images[:, :count]) for count in counts]
    times = evaluation.microseconds_per_image(small, images)
    return [{"inputs": str(count), "multiplications": f"{one.multiplications:,}",
             "microseconds per image": f"{time:.2f}", "ratio": f"{time / times[0]:.2f}"}
            for count, one, time in zip(counts, small, times)]


def flipping_section(digits: Digits, networks: Networks, seed: int, out: Path, figures: str = ".",
                     model: str = "") -> tuple[str, list[Path]]:
    """The pixel-flipping study as Markdown; pixel_flipping.csv in `out`, figures in out/figures.

    networks: one dict of `trained_networks` or `trained_cnn` for each seed; the curves are those of
    the first, `seed`; model: the end of the files' names, such as "_cnn".
    Returns the text and the paths written.
    """
    rows = flipping_rows(digits, networks)
    curves = curve_results(digits, networks[0])
    written = [out / f"pixel_flipping{model}.csv"]
    write_text(written[0], tables.as_csv(rows))
    for of in ("accuracy", "probability"):
        written.append(plotting.save(plotting.flipping_curves(curves, of, of),
                                     out / figures / f"results_{of}{model}.png"))
    return f"""## Pixel flipping

15 % of the pixels of every test image are flipped, that is, set to 0. The relevance is that of the
predicted class; epsilon = 0.25, gamma = 0.25.

{tables.as_markdown(flipping_cells(rows))}

- original: no pixel flipped. MoRF, LeRF: the most, the least relevant pixels.
- random: pixels at random; random non-zero: non-zero pixels at random, before all others.
- size-matched random: at random, as many non-zero pixels as MoRF or LeRF flips.
- accuracy: with its 95 % interval, by bootstrap over the test images.
- seeds: smallest and largest accuracy of a seed (all columns: pixel_flipping{model}.csv).
- confidence: (top1 - top2) / top1 of the logits, as in the paper; margin: p1 - p2 of the softmax.

## Perturbation curves

The share of flipped pixels grows from 5 % to 95 %. Seed {seed}.

![accuracy]({figures}/results_accuracy{model}.png)
![probability of the explained class]({figures}/results_probability{model}.png)

{tables.as_markdown(srg_rows(curves))}

SRG: symmetric relevance gain, the mean difference between the LeRF and the MoRF curve. It is at
most 1; 0 is expected of random relevance.
""", written


def pruning_section(digits: Digits, net: Network, layer: int, what: str, seed: int,
                    settings: Settings, out: Path) -> tuple[str, list[Path]]:
    """Pruned inputs (layer 0) or hidden neurons as Markdown; the figure in out/figures.

    Returns the text and the paths written.
    """
    rows = pruning_rows(digits, net, layer, settings)
    name = f"results_{what.replace(' ', '_')}"
    path = plotting.save(plotting.pruning_curves(rows, what), out / "figures" / f"{name}.png")
    return f"""## Pruned {what}

The sigmoid network, zero-centred, seed {seed}. Importance: LRP-0, averaged over
{min(settings.sample, len(digits.train_images)):,} training images. Retraining: \
{settings.retrain_epochs} epochs.

![accuracy by number of {what} kept](figures/{name}.png)

{tables.as_markdown(pruning_cells(rows))}
""", [path]


def write_results(digits: Digits, data: str, seeds: Sequence[int], settings: Settings,
                  out: Path) -> list[Path]:
    """All studies in out/RESULTS.md and out/figures; returns the paths written."""
    networks = [trained_networks(digits, seed, settings) for seed in seeds]
    centred = networks[0]["sigmoid, zero-centred"]
    flipping, written = flipping_section(digits, networks, seeds[0], out, "figures")
    pages = [f"""# Results

Written by `python -m lrp_numpy report --data {data} --seeds {' '.join(map(str, seeds))}` from
{len(digits.train_images):,} digits for training and {len(digits.test_images):,} for testing: \
{settings.hidden} hidden neurons, {settings.epochs} epochs, batches of 100, learning rate 0.001.
{_versions()}. On the same machine the command writes the same again, except for times.
""", flipping]
    for layer, what in ((0, "inputs"), (1, "hidden neurons")):
        text, paths = pruning_section(digits, centred, layer, what, seeds[0], settings, out)
        pages.append(text)
        written += paths
    cnns = [trained_cnn(digits, seed, settings) for seed in seeds]
    text, paths = flipping_section(digits, cnns, seeds[0], out, "figures", "_cnn")
    pages.append(f"""# A convolutional network

`lenet()`, trained for {settings.epochs} epochs with a learning rate of \
{DEFAULTS["cnn"]["learning_rate"]:g}, beside the ReLU network from above.

{text}""")
    written += paths
    pages.append(f"""## Time of the pruned networks

Forward pass of {len(digits.test_images):,} images. Only the ratios carry over to other machines.

{tables.as_markdown(timing_rows(digits, centred))}
""")
    written.append(out / "RESULTS.md")
    write_text(written[-1], "\n".join(pages))
    return written


def _versions():
    found = [f"Python {platform.python_version()}"]
    for name in ("NumPy", "numba", "matplotlib"):
        with suppress(PackageNotFoundError):        # numba need not be there
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def _without_warnings(function, *arguments, **parameters):
    """The study explains sigmoid networks as they are, and negative activations with gamma, on
    purpose: hide the warnings about that."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(zero_centred|gamma_generalized)")
        return function(*arguments, **parameters)
