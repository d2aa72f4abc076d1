"""The study: train the networks, measure, and write pages with tables and figures."""
import platform
import re
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy import (MLP, BagOfWords, Digits, Network, composites, evaluation, explain,
                       fold_batchnorm, lenet, plotting, resnet, train, training, transformer,
                       zero_centred)
from lrp_numpy.cli import tables
from lrp_numpy.cli.parser import DEFAULTS, NAMES
from lrp_numpy.evaluation.study import INTENSITY
from lrp_numpy.utils.files import write_text
from lrp_numpy.utils.types import Seed, Table

Networks = list[dict[str, Network]]
STUDIED = {"0": {}, "epsilon": {"epsilon": 0.25}, "gamma": {"gamma": 0.25}}
TODAY: dict[str, dict[str, Any]] = {        # of networks with sums of both signs, and attention
    "0": {}, "0, CP-LRP": {"rule": "0", "attention": "cp"}, "epsilon": {"epsilon": 0.25},
    "gamma_generalized": {"gamma": 0.25}}
FRACTION = 0.3              # of the non-zero pixels, in the tables
FRACTIONS = np.linspace(0.05, 0.95, 10)     # in the curves
FILLS = ("0", "mean")       # of flipped pixels: black, or the mean of the training images
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
    bag: int = 8_000            # training images of the bag of words
    tested: int = 2_000         # test images whose pixels are flipped for slow models


def trained_beside(model: str, digits: Digits, seed: int,
                   settings: Settings = Settings()) -> dict[str, Network]:
    """{name: network}: the paper's network with ReLU, and one of another --model to compare,
    without BatchNorm."""
    mlp = MLP.random([digits.train_images.shape[1], settings.hidden, 10], "relu", rng=seed)
    models: dict[str, Any] = {"cnn": lenet, "transformer": transformer, "resnet": resnet}
    other = models[model](seed)
    _train(mlp, "relu", digits, seed, settings)
    _train(other, NAMES[model], digits, seed, settings, DEFAULTS[model]["learning_rate"])
    return {"relu": mlp, NAMES[model]: fold_batchnorm(other)}


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


def fill_of(digits: Digits, fill: str) -> float | np.ndarray:
    """The number that a flipped pixel gets, or one for each pixel."""
    return 0.0 if fill == "0" else digits.train_images.mean(axis=0)


def flipping_rows(digits: Digits, networks_of_seeds: Networks, fraction: float = FRACTION) -> Table:
    """One row for each network, fill, rule and condition: accuracy, confidence and margin as
    Estimates.

    networks_of_seeds: one dict of `trained_networks` or `trained_beside` for each seed.
    """
    x, labels, rows = digits.test_images, digits.test_labels, []
    for name, fill in product(networks_of_seeds[0], FILLS):
        runs = [_without_warnings(evaluation.outcomes, networks[name], x, labels, STUDIED, fraction,
                                  fill_of(digits, fill)) for networks in networks_of_seeds]
        for (condition, rule), measures in evaluation.estimates(runs).items():
            row = {"network": name, "fill": fill, "rule": rule or "-", "flipped": condition}
            for measure, estimate in measures.items():
                row |= {f"{measure}_{part}": value for part, value in estimate._asdict().items()}
            rows.append(row)
    return rows


def flipping_cells(rows: Table) -> Table:
    """The rows of `flipping_rows` rounded for a reader, both fills side by side; the range over
    seeds of accuracy only."""
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in rows:
        key = row["network"], row["rule"], row["flipped"]
        cell = cells.setdefault(key, dict(zip(("network", "rule", "flipped"), key)))
        cell[f"accuracy (%), fill {row['fill']}"] = _interval(row, "accuracy", 100, 2)
        if row["fill"] == "0":
            cell["seeds"] = f"{100 * row['accuracy_least']:.2f}..{100 * row['accuracy_most']:.2f}"
            cell["margin"] = _interval(row, "margin", 1, 3)
    return list(cells.values())


def _interval(row, measure, unit, digits):
    mean, low, high = (unit * row[f"{measure}_{part}"] for part in ("mean", "low", "high"))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def relevance_of(net: Network, x: np.ndarray, rule: str,
                 studied: dict[str, dict[str, Any]] = STUDIED) -> np.ndarray:
    """The relevance of images x by a rule of `studied`, or what a baseline takes for it."""
    if rule == INTENSITY:
        return x
    if rule == "random":
        return np.random.default_rng(0).random(x.shape, np.float32)
    how = {"rule": rule, "intermediate": False, **studied[rule]}
    return _without_warnings(explain, net, x, **how).input


def curve_results(digits: Digits, networks: dict[str, Network],
                  studied: dict[str, dict[str, Any]] = STUDIED
                  ) -> dict[tuple[str, str, str], evaluation.Curves]:
    """{(network, rule, fill): Curves} for all rules of `studied` and baselines, with both fills.
    CP-LRP is left out for networks without attention."""
    x, labels, results = digits.test_images, digits.test_labels, {}
    for name, net in networks.items():
        rules = list(studied) if composites.layers_with_rule(net) else ["0"]
        rules = [rule for rule in rules if "attention" not in studied[rule]
                 or any("attention" in layer.options for layer in net.layers)]
        for rule in [*rules, INTENSITY, "random"]:
            R = relevance_of(net, x, rule, studied)
            for fill in FILLS:
                results[name, rule, fill] = evaluation.perturbation_curves(
                    net, x, labels, R, FRACTIONS, fill_of(digits, fill))
    return results


def srg_rows(results: dict[tuple[str, str, str], evaluation.Curves]) -> Table:
    """One row for each network and rule of `curve_results`: the areas between its LeRF and MoRF
    curves, with their 95 % intervals."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for (name, rule, fill), curves in results.items():
        row = rows.setdefault((name, rule), {"network": name, "rule": rule})
        for of, values in (("accuracy", curves.correct), ("probability", curves.probabilities)):
            e = curves.srg_estimate(values)
            row[f"SRG ({of}), fill {fill}"] = f"{e.mean:.3f} [{e.low:.3f}, {e.high:.3f}]"
    return list(rows.values())


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

    networks: one dict of `trained_networks` or `trained_beside` for each seed; the curves are those
    of the first, `seed`; model: the end of the files' names, such as "_cnn".
    Returns the text and the paths written.
    """
    rows = flipping_rows(digits, networks)
    table = out / f"pixel_flipping{model}.csv"
    write_text(table, tables.as_csv(rows))
    curves, figure = curves_section(digits, networks[0],
                                    out / figures / f"results_curves{model}.png", figures)
    return f"""## Pixel flipping

{100 * FRACTION:.0f} % of the non-zero pixels of every test image are flipped. The relevance is that
of the predicted class; epsilon = 0.25, gamma = 0.25.

{tables.as_markdown(flipping_cells(rows))}

- original: no pixel flipped. MoRF, LeRF: the most, the least relevant non-zero pixels.
- Baselines that know nothing of the network: random, as many pixels of all (most of them are
  0); size-matched random, as many non-zero ones; pixel intensity, the brightest first (MoRF)
  and the dimmest first (LeRF).
- fill: flipped pixels become 0, or the mean of the training images.
- accuracy: the mean over the seeds, with its 95 % interval by bootstrap over the test images.
  seeds: smallest and largest
  accuracy of a seed, fill 0. margin: largest less second
  largest probability of the softmax, fill 0.
  The paper's confidence and all other columns: pixel_flipping{model}.csv.

## Perturbation curves

Seed {seed}. {curves}""", [table, figure]


def curves_section(digits: Digits, networks: dict[str, Network], path: Path, folder: str,
                   studied: dict[str, dict[str, Any]] = STUDIED) -> tuple[str, Path]:
    """Perturbation curves as Markdown: the figure, saved as `path`, and the table of the SRG.

    folder: where the page finds the figure; studied: the rules. Returns the text and the path.
    """
    curves = curve_results(digits, networks, studied)
    shown = {(name, rule if rule == INTENSITY else f"LRP-{rule}"): one
             for (name, rule, fill), one in curves.items() if fill == "0" and rule != "random"
             and all((other, rule, fill) in curves for other in networks)}
    plotting.save(plotting.flipping_curves(shown), path)
    return f"""The share of the non-zero pixels that is flipped grows from 5 % to 95 %, of
{len(digits.test_images):,} test images.

![accuracy]({folder}/{path.name})

{tables.as_markdown(srg_rows(curves))}

SRG: symmetric relevance gain, the mean difference between the LeRF and the MoRF curve, with its
95 % interval by bootstrap over the test images. It is at most 1; 0 is expected of random relevance.
The dotted line is the size-matched random baseline.
""", path


def bag_section(digits: Digits, mlp: Network, settings: Settings, out: Path
                ) -> tuple[str, list[Path]]:
    """The bag of words beside a network, as Markdown; the figure in out/figures."""
    begin = time.perf_counter()
    x, labels = digits.train_images[:settings.bag], digits.train_labels[:settings.bag]
    bag = BagOfWords.fit(x, labels, step=2)
    accuracy = training.accuracy(bag, digits.test_images, digits.test_labels)
    print(f"bag of words: test accuracy {accuracy:.2%} ({time.perf_counter() - begin:.1f} s)",
          flush=True)
    text, path = curves_section(_few(digits, settings), {"relu": mlp, "bag of words": bag},
                                out / "figures" / "results_curves_bag.png", "figures")
    return f"""# Bag of words

`BagOfWords.fit(step=2)` on {len(x):,} training images (128 words of 7 x 7 pixels, 3 x 3 cells,
intersection kernel): accuracy {100 * accuracy:.2f} % on all test images. Beside it the ReLU network
from above. A bag of words has no rule to choose: its relevance stands as LRP-0.

## Perturbation curves, bag of words

{text}""", [path]


def today_section(digits: Digits, seed: int, settings: Settings, out: Path
                  ) -> tuple[str, list[Path]]:
    """A residual network and a transformer beside the ReLU network; the figure in out/figures."""
    networks: dict[str, Network] = {}
    for model in ("resnet", "transformer"):
        networks |= trained_beside(model, digits, seed, settings)
    accuracies = ", ".join(
        f"{name} {100 * training.accuracy(net, digits.test_images, digits.test_labels):.2f} %"
        for name, net in networks.items())
    text, path = curves_section(_few(digits, settings), networks,
                                out / "figures" / "results_curves_today.png", "figures", TODAY)
    return f"""# A residual network and a transformer

`resnet()`, its BatchNorm folded, and `transformer()`, trained for {settings.epochs} epochs, seed
{seed}, beside the ReLU network. Accuracy on all test images: {accuracies}. Attention by AttnLRP, or
its weights taken as constants (CP-LRP).

## Perturbation curves, residual network and transformer

{text}""", [path]


def _few(digits, settings):
    """The first of the test images, as many as slow models can be asked about."""
    return digits._replace(test_images=digits.test_images[:settings.tested],
                           test_labels=digits.test_labels[:settings.tested])


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
    cnns = [trained_beside("cnn", digits, seed, settings) for seed in seeds]
    text, paths = flipping_section(digits, cnns, seeds[0], out, "figures", "_cnn")
    pages.append(_one_level_lower(f"""# A convolutional network

`lenet()`, trained for {settings.epochs} epochs with a learning rate of \
{DEFAULTS["cnn"]["learning_rate"]:g}, beside the ReLU network from above.

{text}"""))
    written += paths
    for text, paths in (today_section(digits, seeds[0], settings, out),
                        bag_section(digits, networks[0]["relu"], settings, out)):
        pages.append(_one_level_lower(text))
        written += paths
    pages.append(f"""## Time of the pruned networks

Forward pass of {len(digits.test_images):,} images. Only the ratios carry over to other machines.

{tables.as_markdown(timing_rows(digits, centred))}
""")
    written.append(out / "RESULTS.md")
    write_text(written[-1], "\n".join(pages))
    return written


def _one_level_lower(text):
    """A page as a part of another: # becomes ##."""
    return re.sub("^#", "##", text, flags=re.MULTILINE)


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
