"""What the command line can do: options -> library calls -> files and a printed report.

Each command takes the parsed options of cli.py, prints its report, and ends by naming the files
that it wrote.
"""
import argparse
import os
import textwrap
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from lrp_numpy.cli import draw
from lrp_numpy.plotting import galleries
from lrp_numpy.plotting import figures as plots
from lrp_numpy.cli import report
from lrp_numpy.cli import tables
from lrp_numpy.datasets.mnist import Digits, load_mnist
from lrp_numpy.explanation import explain
from lrp_numpy.utils.files import atomic_write, write_text
from lrp_numpy.datasets.handwriting import read_digit
from lrp_numpy.network import MLP, Network, lenet, zero_centred
from lrp_numpy.composites import PRESETS
from lrp_numpy.evaluation.pixel_flipping import first_of_each, remove_and_measure
from lrp_numpy.rules import RULES, parameters_of
from lrp_numpy.training.train import accuracy, softmax, train

LEGEND = """
confidence: (top1 - top2) / top1 of the logits. IFRC, UFRC: the confidence after important
features (IFR: the most relevant pixels) or unimportant ones (UFR: the least relevant)
were removed. margin: p1 - p2 of the softmax. 0.45 [6]: misclassified as a 6.
right: the share of right answers, intact and after each removal."""

DEFAULTS = {"mlp": {"activation": "sigmoid", "hidden": [500], "learning_rate": 1e-3},
            "cnn": {"activation": "relu", "hidden": [120],
                    "learning_rate": report.CNN_LEARNING_RATE}}

RESULTS = ("network.npz", "explain_relevance.npz")     # in --out; what else is there is no .npz


def run_redo(options: argparse.Namespace) -> None:
    """Redo the paper: train, explain, remove; its two tables and five figures."""
    job = _start(options)
    written = _train(job) + _sample_figure(job) + _remove(job)
    _say_written(written)


def run_paper(options: argparse.Namespace) -> None:
    """Ask the paper's question of every test image: networks, rules, chance, curves."""
    out = _output_folder(options.out)
    digits, settings = _digits(options), _settings(options)
    trained = {"mlp": report.trained_networks, "cnn": report.trained_cnn}[options.model]
    networks = [trained(digits, seed, settings) for seed in options.seeds]
    text, written = report.removal_section(digits, networks, options.seeds[0], out)
    print(f"\n{text}")
    _say_written(written)


def run_report(options: argparse.Namespace) -> None:
    """Write RESULTS.md and its figures: the study of `paper`, and inputs and neurons removed."""
    out = _output_folder(options.out)
    _output_folder(out / "figures")
    digits = _digits(options)
    _say_written(report.write_results(digits, options.data, options.seeds, _settings(options), out))


def run_train(options: argparse.Namespace) -> None:
    """Train a network and save it."""
    job = _start(options)
    _say_written(_train(job) + _sample_figure(job))


def run_explain(options: argparse.Namespace) -> None:
    """Draw where the relevance of some digits, or of your own, lies, and print the ledger."""
    own = [read_digit(path) for path in options.image or []]
    job = _start(options)
    written = _train(job)
    if own:
        images, known = np.array(own), {"files": options.image}
        names = [os.fsencode(Path(path).stem).decode(errors="replace") for path in options.image]
    else:
        images, labels = job.digits.test_images[job.chosen], job.digits.test_labels[job.chosen]
        known, names = {"labels": labels}, [f"digit {label}" for label in labels]
    net = _explained(job)
    explanations = [explain(net, images, rule, options.target, **parameters)
                    for rule, parameters in job.rules]
    target, logits = explanations[0].target, explanations[0].logits
    predicted, probability = logits.argmax(axis=1), softmax(logits).max(axis=1)
    for e, (rule, parameters) in zip(explanations, job.rules):
        print(f"\n{_title(rule, parameters)}: the ledger, in units of the logit")
        for i, name in enumerate(names):
            print(f"\n{name}: predicted {predicted[i]} (probability {probability[i]:.2%}), "
                  f"explained {target[i]} (logit {logits[i, target[i]]:+.4f})")
            print(tables.as_text(tables.ledger_cells(e.ledger, i)))
    figure = plots.heatmaps([e.input for e in explanations],
                            ["\n".join([*textwrap.wrap(name, 16), f"why {t}?"])
                             for name, t in zip(names, target)],
                            [_title(rule, parameters, "\n") for rule, parameters in job.rules],
                            images)
    arrays: dict[str, Any] = {f"relevance_{_file_name(rule)}": e.input
                              for e, (rule, _) in zip(explanations, job.rules)}
    written += [plots.save(figure, job.out / "explain_heatmaps.png"),
                job.out / "explain_relevance.npz"]
    with atomic_write(written[-1]) as file:
        np.savez(file, images=images, target=target, **known, **arrays)
    _say_written(written)


def run_gallery(options: argparse.Namespace) -> None:
    """Draw heatmaps side by side: every class by every class, for and against, all rules."""
    job = _start(options)
    written = _train(job)
    net, digits = _explained(job), job.digits
    images, labels = digits.test_images[job.chosen], digits.test_labels[job.chosen]
    for rule, parameters in job.rules:
        means = galleries.mean_relevances(net, digits.test_images, digits.test_labels, rule,
                                          **parameters)
        pair, (first, second) = galleries.for_and_against(net, images, rule, **parameters)
        rather = np.array([f"{one}, not {other}" for one, other in pair])
        name, title = _file_name(rule), _title(rule, parameters)
        written += [
            plots.save(plots.classes(means), job.out / f"gallery_classes_{name}.png"),
            plots.save(plots.heatmaps([first, second, first - second], labels,
                                      [f"{title}\nthe prediction", "the second", "the difference"],
                                      images, [*pair.T, rather]),
                       job.out / f"gallery_for_and_against_{name}.png")]
    relevances = galleries.every_rule(net, images, options.epsilon, options.gamma)
    titles = [name.replace("_", "\n") + ("\n(below)" if name in galleries.FOR_PIXELS else "")
              for name in relevances]
    figure = plots.heatmaps(list(relevances.values()), labels, titles, images)
    _say_written(written + [plots.save(figure, job.out / "gallery_rules.png")])


def run_remove(options: argparse.Namespace) -> None:
    """Remove pixels by relevance and print the paper's tables."""
    job = _start(options)
    _say_written(_train(job) + _remove(job))


def run_draw(options: argparse.Namespace) -> None:
    """Open a window to draw a digit in: at every stroke, what the network says to it, and why."""
    options.activation = options.activation or "relu"
    if options.picture is None:
        figure = draw.window()
    else:
        if Path(options.picture).suffix != ".png":
            raise ValueError(f"--picture must end in .png, got {options.picture!r}")
        _output_folder(Path(options.picture).parent, "the folder of --picture")
        matplotlib.use("Agg")
    job = _start(options)
    _trained(job)
    images, labels = job.digits.test_images, job.digits.test_labels
    if options.picture is None:
        board = draw.Board(figure, _explained(job), images, labels, options.seed)
        print("draw with the left button, rub out with the right one; close the window to end")
        plt.show()
    else:
        board = draw.Board(draw.sheet(), _explained(job), images, labels, options.seed)
        board.load()
        _say_written([board.save(options.picture)])


# What the commands share

class Job(NamedTuple):
    """What a command works with."""
    options: argparse.Namespace
    out: Any            # a Path, or None for a command without --out
    digits: Digits
    net: Network
    chosen: list        # positions of the test images that are shown
    rules: list         # [(rule, its parameters), ...] as `explain` takes them


def _start(options):
    """Check the options, load the digits and make or load the network: what is wrong shows here,
    before a minute of training, not after it."""
    out = _output_folder(options.out) if "out" in options else None
    for name, value in DEFAULTS[options.model].items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    for text in getattr(options, "rule", []):
        _check_rule(text)
    digits = _digits(options)
    if _is_saved(options) and options.checkpoint is not None:
        raise ValueError("--checkpoint is for training, so not with --network, got "
                         f"{options.checkpoint}")
    if options.checkpoint is not None:
        _output_folder(Path(options.checkpoint).parent, "the folder of --checkpoint")
        path = Path(options.checkpoint).resolve()
        if out and path.parent == out.resolve() and (path.suffix != ".npz" or path.name in RESULTS):
            raise ValueError("--checkpoint, where it lies in --out, must end in .npz and not be "
                             f"{' or '.join(RESULTS)}, which are written there too, got "
                             f"{options.checkpoint}")
    if _is_saved(options):
        net = Network.load(options.network)
        if (net.sizes[0], net.sizes[-1]) != (784, 10):
            raise ValueError("--network must have 784 inputs and 10 outputs, got "
                             f"{options.network} with {'-'.join(map(str, net.sizes))}")
    else:
        net = _untrained(options)
    rules = [_rule(text, options, net) for text in options.rule] if "rule" in options else []
    chosen = first_of_each(digits.test_labels, options.digits) if rules else []
    with warnings.catch_warnings():     # tried on one image, so that a mistake shows now
        warnings.simplefilter("ignore")
        for rule, parameters in rules:
            explain(net, digits.test_images[:1], rule, **parameters)
    return Job(options, out, digits, net, chosen, rules)


def _untrained(options):
    """A new network of the kind and size that is asked for."""
    if options.model == "mlp":
        return MLP.random([784, *options.hidden, 10], options.activation, rng=options.seed)
    if len(options.hidden) > 1:
        raise ValueError(f"--hidden must be one number with --model cnn, got {options.hidden}")
    return lenet(options.seed, options.activation, hidden=options.hidden[0])


def _name(net):
    return "-".join(map(str, net.sizes)) if isinstance(net, MLP) else "CNN"


def _digits(options):
    if options.folder is not None and options.data != "mnist":
        raise ValueError(f"--folder needs --data mnist, got --data {options.data}")
    digits = load_mnist(options.data, options.folder)
    print(f"{options.data}: {len(digits.train_images):,} digits for training, "
          f"{len(digits.test_images):,} for testing")
    return digits


def _settings(options):
    return report.Settings(options.hidden, options.epochs)


def _is_saved(options):
    return getattr(options, "network", None) is not None


def _explained(job):
    """The network that is explained and asked again: as it stands, or zero-centred."""
    return zero_centred(job.net) if job.options.zero_centred else job.net


def _train(job):
    """Train the network unless it comes from a file; report, and write what came of it."""
    options, history = job.options, _trained(job)
    if history is None:
        return []
    figure = plots.loss_curve(history.loss, options.epochs,
                              f"Training loss, {options.activation}")
    written = [plots.save(figure, job.out / "figure1_loss.png"),
               job.out / "loss.csv", job.out / "network.npz"]
    write_text(written[1], tables.as_csv([{"step": step, "loss": float(loss)}
                                          for step, loss in enumerate(history.loss, 1)]))
    job.net.save(written[2])
    return written


def _trained(job):
    """Train the network and return the History, or None if it comes from a file; report either."""
    options, digits, net = job.options, job.digits, job.net
    name = _name(net)
    if _is_saved(options):
        right = accuracy(net, digits.test_images, digits.test_labels)
        print(f"{options.network}: {name}, {right:.2%} of the test digits right")
        return None
    if options.checkpoint is not None and Path(options.checkpoint).exists():
        print(f"going on from {options.checkpoint}")
    begin = time.perf_counter()
    history = train(net, digits, options.epochs, options.batch_size, options.learning_rate,
                    rng=options.seed, checkpoint=options.checkpoint)
    print(f"{name} {options.activation}: {history.accuracy[-1]:.2%} of the test digits right "
          f"after {options.epochs} epochs ({time.perf_counter() - begin:.1f} s)")
    return history


def _sample_figure(job):
    images, labels = job.digits.test_images[:50], job.digits.test_labels[:50]
    figure = plots.samples(images, labels, job.net.predict(images))
    return [plots.save(figure, job.out / "figure2_samples.png")]


def _remove(job):
    """The removal experiment for each rule: prints the tables, writes tables and figures."""
    options, digits, net = job.options, job.digits, _explained(job)
    fill = 0.0 if options.fill == "zero" else digits.train_images.mean(axis=0)
    lit = "lit " if options.pixels == "lit" else ""
    what = (f"{100 * options.fraction:g} % of the {lit}pixels removed, {options.order} order, "
            f"fill: {options.fill}")
    written, markdown, removals = [], [], []
    for number, (rule, parameters) in enumerate(job.rules, 1):
        removal = remove_and_measure(
            net, digits.test_images, digits.test_labels, rule, options.fraction, fill,
            options.order, options.pixels, options.seed, **parameters)
        numbers = tables.removal_numbers(removal, digits.test_labels, job.chosen)
        cells = tables.removal_cells(numbers)
        heading = f"Table {number}. {_title(rule, parameters)}: {what}"
        print(f"\n{heading}\n{tables.as_text(cells)}")
        markdown.append(f"{heading}\n\n{tables.as_markdown(cells)}\n")
        written.append(job.out / f"table{number}_{_file_name(rule)}.csv")
        write_text(written[-1], tables.as_csv(numbers))
        removals.append(removal)
    print(LEGEND)
    written.append(job.out / "tables.md")
    write_text(written[-1], "\n".join(markdown) + LEGEND)
    return written + _removal_figures(job, net, removals)


def _removal_figures(job, net, removals):
    """Figures 3 to 5, for the chosen images."""
    images, labels = job.digits.test_images[job.chosen], job.digits.test_labels[job.chosen]
    variants, predictions = [images], [removals[0].intact.prediction[job.chosen]]
    titles, after = ["intact"], []
    for (rule, parameters), removal in zip(job.rules, removals):
        for part in ("important", "unimportant"):
            variants.append(getattr(removal, f"without_{part}")[job.chosen])
            predictions.append(getattr(removal, f"{part}_removed").prediction[job.chosen])
            titles.append(f"{_title(rule, {})}\n{part}\nremoved")
            after.append(explain(net, variants[-1], rule, **parameters))
    intact = [removal.relevance[job.chosen] for removal in removals]
    figures = {
        "figure3_relevance.png": plots.heatmaps(
            intact, labels, [_title(rule, parameters, "\n") for rule, parameters in job.rules],
            images),
        "figure4_removed.png": plots.removals(variants, predictions, labels, titles),
        "figure5_relevance_after.png": plots.heatmaps(
            [e.input for e in after], labels, titles[1:], targets=[e.target for e in after])}
    return [plots.save(figure, job.out / name) for name, figure in figures.items()]


def _check_rule(text):
    if text not in PRESETS and not all(name in RULES for name in text.split(",")):
        raise ValueError(f"--rule must be one of {', '.join(RULES)}, one for each layer joined by "
                         f"commas, or a preset ({', '.join(PRESETS)}), got {text!r}")


def _rule(text, options, net):
    """(rule, its parameters) for one word of --rule: NAME, or NAME,NAME,... for the layers."""
    names = text.split(",")
    of_layers = [name for name, _ in PRESETS[text](net)] if text in PRESETS else names
    taken = {parameter for name in of_layers for parameter in parameters_of(name)}
    parameters = {key: getattr(options, key) for key in ("epsilon", "gamma") if key in taken}
    return (names[0] if len(names) == 1 else names), parameters


def _title(rule, parameters, separator=" "):
    name = f"LRP-{rule if isinstance(rule, str) else ','.join(rule)}"
    settings = ", ".join(f"{key}={value:g}" for key, value in parameters.items())
    return name + (f"{separator}({settings})" if settings else "")


def _file_name(rule):
    return rule if isinstance(rule, str) else "_".join(rule)


def _output_folder(path, option="--out"):
    """`path` as a folder that can be written; found out before any work is done."""
    out, probe = Path(path), Path(path) / ".lrp_numpy_probe"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"{option} must be a folder that can be written, got {str(path)!r}: "
                         f"{error.strerror}") from error
    return out


def _say_written(paths):
    print("\nwritten:")
    for path in paths:
        print(f"  {path}")
