"""The commands: options -> library calls -> files and a printed report."""
import argparse
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from lrp_numpy import evaluation, explain, flip_and_measure, plotting, training
from lrp_numpy.cli import draw, report, tables
from lrp_numpy.cli.job import (Job, explained_network, load_digits, output_folder, print_written,
                               rule_file_name, rule_title, start, train_and_save, train_network)
from lrp_numpy.cli.warmup import warm_up
from lrp_numpy.datasets.handwriting import reading
from lrp_numpy.ops import choose, reference
from lrp_numpy.page.assemble import check_network_of_page, write_page
from lrp_numpy.utils.files import write_text, atomic_write
from lrp_numpy.utils.labels import predicted_labels

FIRST = 8       # of the page's digits, two of each: a 4

LEGEND = """
confidence: (top1 - top2) / top1 of the logits. IFRC, UFRC: the confidence after the most relevant
pixels (MoRF; the paper's important features) or the least relevant ones (LeRF; its unimportant
features) were flipped. margin: p1 - p2 of the softmax, in the same order. 0.45 [6]: misclassified
as a 6. accuracy: for the original images and after each flipping."""


def run_redo(options: argparse.Namespace) -> None:
    """Redo the paper: train, explain, flip pixels; its two tables and five figures."""
    job = start(options)
    print_written(train_and_save(job) + _sample_figure(job) + _flip(job))


def run_paper(options: argparse.Namespace) -> None:
    """Flip pixels of every test image: several networks, rules, baselines, perturbation curves."""
    out = output_folder(options.out)
    digits, settings = load_digits(options), _settings(options)
    networks = [report.trained_networks(digits, seed, settings) if options.model == "mlp" else
                report.trained_beside(options.model, digits, seed, settings)
                for seed in options.seeds]
    text, written = report.flipping_section(digits, networks, options.seeds[0], out)
    print(f"\n{text}")
    print_written(written)


def run_report(options: argparse.Namespace) -> None:
    """Write RESULTS.md and its figures: the study of `paper`, pruned inputs and neurons."""
    out = output_folder(options.out)
    output_folder(out / "figures")
    digits = load_digits(options)
    print_written(report.write_results(digits, options.data, options.seeds, _settings(options),
                                       out))


def run_train(options: argparse.Namespace) -> None:
    """Train a network and save it."""
    job = start(options)
    print_written(train_and_save(job) + _sample_figure(job))


def run_explain(options: argparse.Namespace) -> None:
    """Draw the relevance of some digits, or of your own as they are read, and print the ledger."""
    own = [reading(path) for path in options.image or []]
    job = start(options)
    written = train_and_save(job)
    if own:
        images, known = np.array([steps.digit for steps in own]), {"files": options.image}
        names = [os.fsencode(Path(path).stem).decode(errors="replace") for path in options.image]
        figure = plotting.readings(own, [textwrap.fill(name, 16) for name in names])
        written.append(plotting.save(figure, job.out / "explain_pictures.png"))
    else:
        images, labels = _chosen(job)
        known, names = {"labels": labels}, [f"digit {label}" for label in labels]
    net = explained_network(job)
    explanations = [explain(net, images, rule, options.target, **parameters)
                    for rule, parameters in job.rules]
    _print_ledgers(job, names, explanations)
    target = explanations[0].target
    rows = ["\n".join([*textwrap.wrap(name, 16), f"explained: {k}"])
            for name, k in zip(names, target)]
    figure = plotting.heatmaps([e.input for e in explanations], rows, _rule_titles(job), images)
    arrays: dict[str, Any] = {f"relevance_{rule_file_name(rule)}": e.input
                              for e, (rule, _) in zip(explanations, job.rules)}
    written += [plotting.save(figure, job.out / "explain_heatmaps.png"),
                job.out / "explain_relevance.npz"]
    with atomic_write(written[-1]) as file:
        np.savez(file, images=images, target=target, **known, **arrays)
    print_written(written)


def run_gallery(options: argparse.Namespace) -> None:
    """Draw heatmaps side by side: class for class, prediction against runner-up, all rules."""
    job = start(options)
    written = train_and_save(job)
    net, digits = explained_network(job), job.digits
    images, labels = _chosen(job)
    for rule, parameters in job.rules:
        means = evaluation.mean_relevances(net, digits.test_images, digits.test_labels, rule,
                                           **parameters)
        pair, of_each = evaluation.explain_top_two(net, images, rule, **parameters)
        difference = np.array([f"{one} - {other}" for one, other in pair])
        name = rule_file_name(rule)
        top_two = plotting.heatmaps(list(of_each), _as_text(labels),
                                    ["prediction", "runner-up", "why not the runner-up"], images,
                                    [*pair.T, difference], rule_title(rule, parameters))
        written += [
            plotting.save(plotting.class_matrix(means), job.out / f"gallery_classes_{name}.png"),
            plotting.save(top_two, job.out / f"gallery_top_two_{name}.png")]
    relevances = evaluation.every_rule(net, images, **{
        name: value for name, value in (("epsilon", options.epsilon), ("gamma", options.gamma))
        if value is not None})
    del relevances["flat"]      # the same for all pixels of every image
    titles = [name.replace("_", "\n") + ("\n(first)" if name in evaluation.FOR_PIXELS else "")
              for name in relevances]
    figure = plotting.heatmaps(list(relevances.values()), _as_text(labels), titles, images)
    print_written(written + [plotting.save(figure, job.out / "gallery_rules.png")])


def run_flip(options: argparse.Namespace) -> None:
    """Flip pixels by relevance and print the paper's tables."""
    job = start(options)
    print_written(train_and_save(job) + _flip(job))


def run_draw(options: argparse.Namespace) -> None:
    """Open a window to draw a digit in; or, with --picture, write what it would show."""
    if options.picture is None:
        figure = draw.window()
    else:
        if Path(options.picture).suffix != ".png":
            raise ValueError(f"--picture must end in .png, got {options.picture!r}")
        output_folder(Path(options.picture).parent, "the folder of --picture")
    job = start(options)
    train_network(job)
    if options.picture is not None:
        figure = draw.sheet()
    board = draw.Board(figure, explained_network(job), job.digits.test_images,
                       job.digits.test_labels, options.seed)
    if options.picture is None:
        print("draw with the left button, erase with the right one; close the window to end")
        plt.show()
    else:
        board.load()
        print_written([board.save(options.picture)])


def run_page(options: argparse.Namespace) -> None:
    """Write the page that explains itself."""
    job = start(options)
    net, (images, labels) = explained_network(job), job.digits[2:]
    check_network_of_page(net)      # before training
    train_network(job)
    net = explained_network(job)
    chosen = [place for digit in range(10) for place in np.flatnonzero(labels == digit)[:2]]
    size = "-".join(map(str, net.sizes))
    made = (f"The network: {size}, {net.layers[0].activation}; it reads "
            f"{training.accuracy(net, images, labels):.1%} of {len(images):,} test digits.")
    written = write_page(job.out / "page.html", net, images[chosen], labels[chosen], made, FIRST)
    print_written([written])
    print(f"  {written.stat().st_size / 1e6:.2f} MB, to open in any browser")


def run_warmup(options: argparse.Namespace) -> None:
    """Compile the loops now."""
    if choose("numba") is reference:        # which has said why
        raise ValueError("numba must be installed, or there are no loops to compile")
    for line in warm_up():
        print(line, flush=True)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "redo": run_redo, "paper": run_paper, "report": run_report, "train": run_train,
    "explain": run_explain, "gallery": run_gallery, "flip": run_flip, "draw": run_draw,
    "page": run_page, "warmup": run_warmup}


def run(options: argparse.Namespace) -> None:
    """Run the command that `options` names. Raises ValueError or OSError for what is wrong."""
    if options.command != "draw" or options.picture is not None:
        matplotlib.use("Agg")       # no window, so no display needed
    COMMANDS[options.command](options)


def _settings(options):
    return report.Settings(options.hidden, options.epochs)


def _chosen(job):
    """(images, labels) of the test digits to show."""
    return job.digits.test_images[job.chosen], job.digits.test_labels[job.chosen]


def _rule_titles(job):
    return [rule_title(rule, parameters, "\n") for rule, parameters in job.rules]


def _as_text(labels):
    return [str(label) for label in labels]


def _sample_figure(job):
    images, labels = job.digits.test_images[:50], job.digits.test_labels[:50]
    figure = plotting.samples(images, labels, job.net.predict(images))
    return [plotting.save(figure, job.out / "figure2_samples.png")]


def _print_ledgers(job, names, explanations):
    target, logits = explanations[0].target, explanations[0].logits
    predicted = predicted_labels(logits, job.net.classes)
    probability = training.softmax(logits).max(axis=1)
    for e, (rule, parameters) in zip(explanations, job.rules):
        print(f"\n{rule_title(rule, parameters)}: the ledger, in units of the logit")
        for i, name in enumerate(names):
            print(f"\n{name}: predicted {predicted[i]} (probability {probability[i]:.2%}), "
                  f"explained {target[i]} (logit {e.ledger[-1].received[i]:+.4f})")
            print(tables.as_text(tables.ledger_cells(e.ledger, i)))


def _flip(job: Job) -> list[Path]:
    """The paper's experiment for each rule: print the tables; write tables and figures 3 to 5."""
    options, digits, net = job.options, job.digits, explained_network(job)
    fill = 0.0 if options.fill == "zero" else digits.train_images.mean(axis=0)
    written, markdown, results = [], [], []
    for number, (rule, parameters) in enumerate(job.rules, 1):
        result = flip_and_measure(
            net, digits.test_images, digits.test_labels, rule, options.fraction, fill,
            options.order, options.pixels, options.seed, **parameters)
        numbers = tables.paper_numbers(result, digits.test_labels, job.chosen)
        cells = tables.paper_cells(numbers)
        heading = (f"Table {number}. {rule_title(rule, parameters)}: {_flipped_share(options)}, "
                   f"{options.order} order, fill: {options.fill}")
        print(f"\n{heading}\n{tables.as_text(cells)}")
        markdown.append(f"{heading}\n\n{tables.as_markdown(cells)}\n")
        written.append(job.out / f"table{number}_{rule_file_name(rule)}.csv")
        write_text(written[-1], tables.as_csv(numbers))
        results.append(result)
    print(LEGEND)
    written.append(job.out / "tables.md")
    write_text(written[-1], "\n".join(markdown) + LEGEND)
    return written + _flip_figures(job, net, results)


def _flipped_share(options):
    of = "non-zero pixels" if options.pixels == "nonzero" else "pixels"
    return f"{100 * options.fraction:g} % of the {of} flipped"


def _flip_figures(job, net, results):
    """Figures 3 to 5, for the chosen images."""
    images, labels = _chosen(job)
    variants, predictions = [images], [results[0].original.prediction[job.chosen]]
    titles, after = ["original"], []
    for (rule, parameters), result in zip(job.rules, results):
        for first, flipped, outcome in (("MoRF", result.morf_images, result.morf),
                                        ("LeRF", result.lerf_images, result.lerf)):
            variants.append(flipped[job.chosen])
            predictions.append(outcome.prediction[job.chosen])
            titles.append(f"{rule_title(rule, {})}\n{first}")
            after.append(explain(net, variants[-1], rule, **parameters))
    before = [result.relevance[job.chosen] for result in results]
    figures = {
        "figure3_relevance.png": plotting.heatmaps(before, _as_text(labels), _rule_titles(job),
                                                   images, title="Relevance for the prediction"),
        "figure4_flipped.png": plotting.flipped_images(variants, predictions, labels, titles,
                                                       _flipped_share(job.options)),
        "figure5_relevance_after.png": plotting.heatmaps(
            [e.input for e in after], _as_text(labels), titles[1:],
            targets=[e.target for e in after], title="Relevance after flipping")}
    return [plotting.save(figure, job.out / name) for name, figure in figures.items()]
