"""The command line: reads the arguments, calls a command, and says in one line what is wrong."""
import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import matplotlib

from lrp_numpy.cli import commands
from lrp_numpy.utils.files import error_text
from lrp_numpy.composites import PRESETS
from lrp_numpy.rules import RULES

ABOUT = """\
Layer-wise Relevance Propagation by hand, on MNIST.

Without a command, or with "redo": train the network of the paper, explain its
answers with LRP-gamma and LRP-0, remove the most and the least relevant 15 % of
the pixels, ask again, and write both tables and all five figures. The options of
"redo" can then be given without its name.
"""
EXAMPLES = """\
examples:
  python -m lrp_numpy                                 the whole paper, 10,000 shipped digits
  python -m lrp_numpy --activation relu --rule 0 epsilon --epsilon 0.1
  python -m lrp_numpy --data mnist                    all 70,000 digits
  python -m lrp_numpy train --hidden 300 100          two hidden layers
  python -m lrp_numpy explain --network out/network.npz --digits 4 --target 9
                                                      why not a 9?
  python -m lrp_numpy explain --image my_digit.png    a digit of your own
  python -m lrp_numpy draw                            or draw one, and watch
  python -m lrp_numpy paper --data mnist              every test image, with chance to compare
  python -m lrp_numpy paper --model cnn               the same of a convolutional network
  python -m lrp_numpy redo --help                     all options of a command
"""

LONGEST = 2000          # characters of a message


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, or 2 after one line about a mistake, 130
    after Ctrl-C, and 1 if nobody reads on."""
    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:     # who read what we print has left, as `| head` does: say no more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _run(arguments):
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:          # closed, as by `>&-`: what is printed goes nowhere
            setattr(sys, name, open(os.devnull, "w"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")   # what its encoding lacks is spelled out
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "redo")
    options = _parser().parse_args(arguments)
    if options.run is not commands.run_draw:
        matplotlib.use("Agg")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = _say_once(set())
            options.run(options)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, FloatingPointError, MemoryError) as error:
        print(f"lrp_numpy: error: {in_one_line(error_text(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        kept = getattr(options, "checkpoint", None)
        print("lrp_numpy: interrupted" + (f"; the same command goes on from {kept}" if kept and
                                          os.path.exists(kept) else ""), file=sys.stderr)
        return 130
    return 0


def in_one_line(text: str) -> str:
    """A message as it can be printed: a file may have put line breaks into it, or escape sequences
    that a terminal obeys, or very many words."""
    text = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:LONGEST])
    return text if len(text) < LONGEST else f"{text[:LONGEST]} ..."


def _say_once(said):
    def show(message, *where):
        if str(message) not in said:
            said.add(str(message))
            print(f"lrp_numpy: warning: {in_one_line(str(message))}", file=sys.stderr)
    return show


def _at_least(least, kind):
    def parse(text):
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return value
    parse.__name__ = "integer" if kind is int else "number"     # argparse names it in errors
    return parse


def _fraction(text):
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, both excluded, got {text}")
    return value


_fraction.__name__ = "number"


def _output(folder):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", metavar="DIR", default=folder,
                        help="where files go (default: %(default)s)")
    return parser


def _explanation(rules):
    size = _at_least(0, float)
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("explanation")
    group.add_argument("--rule", metavar="NAME", nargs="+", default=rules,
                       help=f"one or more of {', '.join(RULES)}; names joined by commas are one "
                            "for each layer, input side first: gamma,epsilon; or a preset: "
                            f"{', '.join(PRESETS)} (default: {' '.join(rules)})")
    group.add_argument("--epsilon", metavar="X", type=size, default=0.25,
                       help="stabilizer of LRP-epsilon (default: %(default)s)")
    group.add_argument("--gamma", metavar="X", type=size, default=0.25,
                       help="how much LRP-gamma favours positive weights (default: %(default)s)")
    return parser


def _parser():
    count = _at_least(1, int)
    out = _output("out")

    data = argparse.ArgumentParser(add_help=False)
    group = data.add_argument_group("data")
    group.add_argument("--data", choices=["mnist-10k", "mnist"], default="mnist-10k",
                       help="mnist-10k: 10,000 digits, shipped (default); mnist: all 70,000, "
                            "downloaded once")
    group.add_argument("--folder", metavar="DIR",
                       help="with --data mnist: a folder with the four IDX files, gzipped or not "
                            "(default: what LRP_NUMPY_DATA names, else download)")
    seed = argparse.ArgumentParser(add_help=False)
    seed.add_argument("--seed", metavar="N", type=_at_least(0, int), default=0,
                      help="seed of all that is random: first weights, shuffling, ties (default: "
                           "%(default)s)")

    study = argparse.ArgumentParser(add_help=False)
    group = study.add_argument_group("study")
    group.add_argument("--seeds", metavar="N", type=_at_least(0, int), nargs="+", default=[0, 1, 2],
                       help="a network of each kind is trained for each of these (default: 0 1 2)")
    group.add_argument("--hidden", metavar="N", type=count, default=500,
                       help="hidden neurons (default: %(default)s)")
    group.add_argument("--epochs", metavar="N", type=count, default=10,
                       help="passes over the training digits (default: %(default)s)")

    training = argparse.ArgumentParser(add_help=False)
    group = training.add_argument_group("network and training")
    group.add_argument("--activation", choices=["sigmoid", "relu", "tanh"],
                       help="activation function of the hidden layers (default: sigmoid; cnn "
                            "and draw: relu)")
    group.add_argument("--model", choices=["mlp", "cnn"], default="mlp",
                       help="mlp: the paper's kind of network (default); cnn: a convolutional one")
    group.add_argument("--hidden", metavar="N", type=count, nargs="+",
                       help="neurons of each hidden layer (default: 500, one layer; cnn: 120)")
    group.add_argument("--epochs", metavar="N", type=count, default=10,
                       help="passes over the training digits (default: %(default)s)")
    group.add_argument("--batch-size", metavar="N", type=count, default=100,
                       help="digits to a step (default: %(default)s)")
    group.add_argument("--learning-rate", metavar="X", type=_at_least(1e-12, float),
                       help="learning rate of Adam (default: 0.001; cnn: 0.002)")

    group.add_argument("--checkpoint", metavar="FILE",
                       help="keep here, after each epoch and on Ctrl-C, what training has come to; "
                            "if the file is there, go on from it")

    saved = argparse.ArgumentParser(add_help=False)
    saved.add_argument("--network", metavar="FILE",
                       help="a network.npz saved earlier; the training options then have no "
                            "effect (default: train one now)")

    centred = argparse.ArgumentParser(add_help=False)
    group = centred.add_argument_group("explanation")
    group.add_argument("--zero-centred", action="store_true",
                       help="explain the equal network whose hidden activations are f(z) - f(0)")

    # gamma is not made for classes that the network speaks against, and the gallery has them all
    rule, gallery = _explanation(["gamma", "0"]), _explanation(["epsilon"])

    removal = argparse.ArgumentParser(add_help=False)
    group = removal.add_argument_group("removal")
    group.add_argument("--fraction", metavar="X", type=_fraction, default=0.15,
                       help="share of the pixels to remove (default: %(default)s)")
    group.add_argument("--fill", choices=["zero", "mean"], default="zero",
                       help="what removed pixels become: 0, or the mean training image (default: "
                            "%(default)s)")
    group.add_argument("--order", choices=["signed", "absolute"], default="signed",
                       help="rank by relevance, or by its absolute value (default: %(default)s)")
    group.add_argument("--pixels", choices=["all", "lit"], default="all",
                       help="rank all pixels, or only those with ink, of which the fraction is "
                            "then taken (default: %(default)s)")

    parser = Parser(prog="python -m lrp_numpy", usage="%(prog)s [COMMAND] [OPTION ...]",
                    description=ABOUT, epilog=EXAMPLES,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    subparsers = parser.add_subparsers(prog=parser.prog, title="commands", metavar="COMMAND",
                                       required=True)
    common = [data, seed, out]
    parents: Any
    for name, run, parents in (
            ("redo", commands.run_redo, [training, rule, centred, removal, *common]),
            ("paper", commands.run_paper, [study, data, out]),
            ("report", commands.run_report, [study, data, _output("lessons")]),
            ("train", commands.run_train, [training, *common]),
            ("explain", commands.run_explain, [saved, rule, centred, training, *common]),
            ("gallery", commands.run_gallery, [saved, gallery, centred, training, *common]),
            ("remove", commands.run_remove, [saved, rule, centred, removal, training, *common]),
            ("draw", commands.run_draw, [saved, centred, training, data, seed])):
        command = subparsers.add_parser(name, help=run.__doc__, description=run.__doc__,
                                        parents=parents)
        command.set_defaults(run=run)
        if name == "paper":
            command.add_argument("--model", choices=["mlp", "cnn"], default="mlp",
                                 help="mlp: the paper's network with four activations (default); "
                                      "cnn: a convolutional network beside the ReLU one")
        if name in ("redo", "explain", "gallery", "remove"):
            shown = command.add_argument_group("images").add_mutually_exclusive_group()
            shown.add_argument("--digits", metavar="D", type=int, nargs="+", choices=range(10),
                               default=[0, 1, 2, 4, 7],
                               help="show the first test image of each of these (default: 0 1 2 4 "
                                    "7)")
        if name == "explain":
            shown.add_argument("--image", metavar="FILE", nargs="+",
                               help="show these instead: PNG files, each with a digit of yours, "
                                    "dark on bright paper or bright on dark")
            command.add_argument("--target", metavar="K", type=int, choices=range(10),
                                 help="the class to explain (default: the predicted one)")
        if name == "draw":
            command.add_argument("--picture", metavar="FILE",
                                 help="write what the window would show of a test digit as PNG, "
                                      "and open none; the digit depends on --seed")
    return parser
