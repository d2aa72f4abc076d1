"""The whole study: trains the networks, measures, and writes pages with tables and figures."""
import platform
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lrp_numpy.plotting import figures as plots
from lrp_numpy.evaluation import pruning
from lrp_numpy.evaluation import study
from lrp_numpy.cli import tables
from lrp_numpy.datasets.mnist import Digits
from lrp_numpy.explanation import explain
from lrp_numpy.utils.files import write_text
from lrp_numpy.utils.types import Seed, Table
from lrp_numpy.network import MLP, Network, lenet, zero_centred
from lrp_numpy.training.train import accuracy, train

Networks = list[dict[str, Network]]
STUDIED = {"0": {}, "epsilon": {"epsilon": 0.25}, "gamma": {"gamma": 0.25}}
CNN_LEARNING_RATE = 2e-3
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
    """{name: network}: the ReLU network of the paper and a convolutional one, for comparison."""
    mlp = MLP.random([digits.train_images.shape[1], settings.hidden, 10], "relu", rng=seed)
    train(mlp, digits, settings.epochs, rng=seed)
    cnn = lenet(seed)
    train(cnn, digits, settings.epochs, learning_rate=CNN_LEARNING_RATE, rng=seed)
    return {"relu": mlp, "CNN": cnn}


def trained_networks(digits: Digits, seed: int,
                     settings: Settings = Settings()) -> dict[str, Network]:
    """{name: MLP}: sigmoid, the same zero-centred, tanh and ReLU, trained with one seed."""
    networks: dict[str, Network] = {}
    for activation in ("sigmoid", "tanh", "relu"):
        sizes = [digits.train_images.shape[1], settings.hidden, 10]
        net = MLP.random(sizes, activation, rng=seed)
        train(net, digits, settings.epochs, rng=seed)
        networks[activation] = net
        if activation == "sigmoid":
            networks["sigmoid, zero-centred"] = zero_centred(net)
    return networks


def removal_rows(digits: Digits, networks_of_seeds: Networks, fraction: float = 0.15) -> Table:
    """One row for each network, rule and condition: accuracy, confidence and margin as Estimates.

    networks_of_seeds: one dict of `trained_networks` for each seed.
    """
    x, labels, rows = digits.test_images, digits.test_labels, []
    for name in networks_of_seeds[0]:
        runs = [_knowingly(study.outcomes, networks[name], x, labels, STUDIED, fraction)
                for networks in networks_of_seeds]
        for (condition, rule), measures in study.estimates(runs).items():
            row = {"network": name, "rule": rule or "-", "removed": condition}
            for measure, estimate in measures.items():
                row |= {f"{measure}_{part}": value for part, value in estimate._asdict().items()}
            rows.append(row)
    return rows


def removal_cells(rows: Table) -> Table:
    """The rows of `removal_rows` as a person reads them; the spread over seeds of accuracy only."""
    return [{"network": row["network"], "rule": row["rule"], "removed": row["removed"],
             "right (%)": _interval(row, "accuracy", 100, 2),
             "seeds": f"{100 * row['accuracy_least']:.2f}..{100 * row['accuracy_most']:.2f}",
             "confidence": _interval(row, "confidence", 1, 3),
             "median": f"{row['confidence_median']:.3f}",
             "margin": _interval(row, "margin", 1, 3),
             "median margin": f"{row['margin_median']:.3f}"} for row in rows]


def _interval(row, measure, unit, digits):
    mean, low, high = (unit * row[f"{measure}_{part}"] for part in ("mean", "low", "high"))
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def curve_results(digits: Digits,
                  networks: dict[str, Network]) -> dict[tuple[str, str, str], study.Curves]:
    """{(network, rule, fill): Curves} for all rules, with pixels filled with 0 and the mean."""
    x, labels, results = digits.test_images, digits.test_labels, {}
    fills = {"0": 0.0, "mean": digits.train_images.mean(axis=0)}
    for name, net in networks.items():
        for rule, parameters in STUDIED.items():
            relevance = _knowingly(explain, net, x, rule, intermediate=False, **parameters).input
            for fill, value in fills.items():
                results[name, rule, fill] = study.perturbation_curves(
                    net, x, labels, relevance, FRACTIONS, value)
    return results


def area_rows(results: dict[tuple[str, str, str], study.Curves]) -> Table:
    """One row for each entry of `curve_results`: the areas between its curves."""
    return [{"network": name, "rule": rule, "fill": fill,
             "area (accuracy)": f"{curves.area(curves.accuracy):.3f}",
             "area (probability)": f"{curves.area(curves.probability):.3f}"}
            for (name, rule, fill), curves in results.items()]


def pruning_rows(digits: Digits, net: Network, layer: int, settings: Settings = Settings(),
                 rng: Seed = 0) -> Table:
    """One row for each ranking and share kept of what enters `layer`: before and after retraining.

    Accuracies are of the test images; "retrained" is None where no retraining was done. The ranking
    "most important removed" keeps the least by mean absolute relevance.
    """
    sample = digits.train_images[:settings.sample]
    scores = {by: pruning.neuron_importance(net, sample, layer, by, rng=rng) for by in RANKINGS}
    scores["most important removed"] = -scores["mean absolute relevance"]
    rows = []
    for by, score in scores.items():
        for share in KEPT:
            kept = pruning.keep_most(score, max(1, round(share * net.sizes[layer])), rng)
            small = pruning.keep_neurons(net, layer, kept)
            fewer = pruning.keep_pixels(digits, kept) if layer == 0 else digits
            row = {"ranking": by, "kept": len(kept), "of": net.sizes[layer],
                   "parameters": pruning.parameters_count(small),
                   "multiplications": pruning.multiplications(small),
                   "accuracy": accuracy(small, fewer.test_images, fewer.test_labels),
                   "retrained": None}
            if share in RETRAINED:
                train(small, fewer, settings.retrain_epochs, rng=rng)
                row["retrained"] = accuracy(small, fewer.test_images, fewer.test_labels)
            rows.append(row)
    return rows


def pruning_cells(rows: Table) -> Table:
    """The rows of `pruning_rows` as a person reads them."""
    return [{"ranking": row["ranking"], "kept": f"{row['kept']} of {row['of']}",
             "parameters": f"{row['parameters']:,}",
             "multiplications": f"{row['multiplications']:,}",
             "right (%)": f"{100 * row['accuracy']:.2f}",
             "retrained (%)": "" if row["retrained"] is None else f"{100 * row['retrained']:.2f}"}
            for row in rows]


def timing_rows(digits: Digits, net: Network) -> Table:
    """Measured time of the forward pass, per image, by the number of inputs kept."""
    counts = [net.sizes[0], *(round(share * net.sizes[0]) for share in RETRAINED)]
    small = [pruning.keep_neurons(net, 0, np.arange(count)) for count in counts]
    images = [np.ascontiguousarray(digits.test_images[:, :count]) for count in counts]
    times = pruning.microseconds_per_image(small, images)
    return [{"inputs": str(count), "multiplications": f"{pruning.multiplications(one):,}",
             "microseconds an image": f"{time:.2f}", "share": f"{time / times[0]:.2f}"}
            for count, one, time in zip(counts, small, times)]


def removal_section(digits: Digits, networks: Networks, seed: int, out: Path, figures: str = ".",
                    model: str = "") -> tuple[str, list[Path]]:
    """The removal study as Markdown; removal.csv goes into `out`, figures into out/figures.

    networks: one dict of `trained_networks` or `trained_cnn` for each seed; the curves are those of
    the first, `seed`; model: what the names of the files end in, such as "_cnn".
    Returns the text and the paths that were written.
    """
    rows = removal_rows(digits, networks)
    curves = curve_results(digits, networks[0])
    written = [out / f"removal{model}.csv"]
    write_text(written[0], tables.as_csv(rows))
    for of, label in (("accuracy", "right"), ("probability", "probability")):
        written.append(plots.save(plots.perturbation(curves, of, label),
                                  out / figures / f"results_{of}{model}.png"))
    return f"""## Pixels removed

15 % of the pixels of every test image are removed and filled with 0. The relevance is that of the
predicted class; epsilon = 0.25, gamma = 0.25.

{tables.as_markdown(removal_cells(rows))}

- right: share of right answers, in brackets the 95 % interval by bootstrap over the test images.
- seeds: the least and the largest of the training seeds (removal{model}.csv: for all columns).
- confidence: (top1 - top2) / top1 of the logits, as in the paper; margin: p1 - p2 of the softmax.
- as many lit: as many pixels with ink as the relevance took, by lot: the fair chance.
- random, random lit: pixels by lot; those with ink first.

## A growing share of the pixels removed

Seed {seed}. Least relevant first is drawn solid, most relevant first dashed.

![share of right answers]({figures}/results_accuracy{model}.png)
![probability of the class explained]({figures}/results_probability{model}.png)

{tables.as_markdown(area_rows(curves))}

area: between the curves for the least and the most relevant pixels removed first: the mean of their
difference over 5 % to 95 % of the pixels. 1 is the best there can be, 0 is chance.
""", written


def pruning_section(digits: Digits, net: Network, layer: int, what: str, seed: int,
                    settings: Settings, out: Path) -> tuple[str, list[Path]]:
    """Inputs (layer 0) or hidden neurons removed for good, as Markdown; the figure in out/figures.

    Returns the text and the paths that were written.
    """
    rows = pruning_rows(digits, net, layer, settings)
    name = f"results_{what.replace(' ', '_')}"
    path = plots.save(plots.kept(rows, what), out / "figures" / f"{name}.png")
    return f"""## {what.capitalize()} removed for good

From the sigmoid network, zero-centred, seed {seed}. Importance: LRP-0, averaged over
{min(settings.sample, len(digits.train_images)):,} training images. Retrained for \
{settings.retrain_epochs} epochs.

![share of right answers against the number kept](figures/{name}.png)

{tables.as_markdown(pruning_cells(rows))}
""", [path]


def write_results(digits: Digits, data: str, seeds: Sequence[int], settings: Settings,
                  out: Path) -> list[Path]:
    """Everything, into out/RESULTS.md and out/figures; returns the paths that were written."""
    networks = [trained_networks(digits, seed, settings) for seed in seeds]
    centred = networks[0]["sigmoid, zero-centred"]
    removal, written = removal_section(digits, networks, seeds[0], out, "figures")
    pages = [f"""# Results

Written by `python -m lrp_numpy report --data {data} --seeds {' '.join(map(str, seeds))}` from
{len(digits.train_images):,} digits for training and {len(digits.test_images):,} for testing: \
{settings.hidden} hidden neurons, {settings.epochs} epochs, batches of 100, learning rate 0.001.
Python {platform.python_version()}, NumPy {version("numpy")}, numba {version("numba")}, \
matplotlib {version("matplotlib")}. Made again on the same machine it is the same, times aside.
""", removal]
    for layer, what in ((0, "inputs"), (1, "hidden neurons")):
        text, paths = pruning_section(digits, centred, layer, what, seeds[0], settings, out)
        pages.append(text)
        written += paths
    cnns = [trained_cnn(digits, seed, settings) for seed in seeds]
    text, paths = removal_section(digits, cnns, seeds[0], out, "figures", "_cnn")
    pages.append(f"""# A convolutional network

`lenet()`, trained for {settings.epochs} epochs with a learning rate of {CNN_LEARNING_RATE:g}, \
beside the ReLU network of above.

{text}""")
    written += paths
    pages.append(f"""## Time of the smaller networks

The forward pass of {len(digits.test_images):,} images. Only the ratios mean something elsewhere.

{tables.as_markdown(timing_rows(digits, centred))}
""")
    written.append(out / "RESULTS.md")
    write_text(written[-1], "\n".join(pages))
    return written


def _knowingly(function, *arguments, **parameters):
    """The study explains the sigmoid as it stands, and negative activations by gamma, on purpose;
    the warnings have nothing to add."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(zero_centred|gamma_generalized)")
        return function(*arguments, **parameters)
