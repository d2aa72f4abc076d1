"""The options of every command, their defaults and their help. Imports nothing slow, for --help."""
import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from lrp_numpy.composites import COMPOSITES
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.layers.activations import HIDDEN_ACTIVATIONS
from lrp_numpy.rules import RULES

EPSILON = GAMMA = 0.25
PAPER_RULES = ["gamma", "0"]
# LRP-gamma is not made for classes with a negative logit
TARGET_RULES, GALLERY_RULES = ["gamma_generalized", "0"], ["epsilon"]

ABOUT = """\
Layer-wise Relevance Propagation (LRP) by hand, on MNIST.

Without a command, or with "redo": train the paper's network, explain its
predictions with LRP-gamma and LRP-0, flip the 15 % most and least relevant
pixels, predict again, and write both tables and all five figures. The options
of "redo" also work without its name.
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
  python -m lrp_numpy draw                            draw one in a window
  python -m lrp_numpy page                            a page to draw on, for others
  python -m lrp_numpy paper --data mnist              every test image, with random baselines
  python -m lrp_numpy paper --model cnn               the same for a convolutional network
  python -m lrp_numpy redo --help                     all options of a command
"""

PATHS = ("out", "network", "checkpoint", "folder", "picture", "image")

DEFAULTS: dict[str, dict[str, Any]] = {     # by --model, of options that are not given
    "mlp": {"activation": "sigmoid", "hidden": [500], "learning_rate": 1e-3},
    "cnn": {"activation": "relu", "hidden": [120], "learning_rate": 2e-3},
    "transformer": {"activation": "gelu", "hidden": [96], "learning_rate": 2e-3},
    "resnet": {"activation": "relu", "hidden": [], "learning_rate": 1e-3}}
NAMES = {"cnn": "CNN", "transformer": "transformer", "resnet": "ResNet"}     # by --model


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see --help)\n")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of one command, with the defaults of its --model; its name is .command.

    Exits, as argparse does, for --help and for what is no option.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "redo")
    options = build_parser().parse_args(arguments)
    for name in PATHS:      # in --out=~/lrp, a shell leaves ~ as it is
        value = getattr(options, name, None)
        if value is not None:
            setattr(options, name, os.path.expanduser(value) if isinstance(value, str) else
                    list(map(os.path.expanduser, value)))
    for name, value in DEFAULTS[getattr(options, "model", "mlp")].items():
        if getattr(options, name, value) is None:
            setattr(options, name, value)
    if getattr(options, "target", None) is not None and options.rule is PAPER_RULES:
        options.rule = TARGET_RULES
    return options


def build_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="python -m lrp_numpy", usage="%(prog)s [COMMAND] [OPTION ...]",
                    description=ABOUT, epilog=EXAMPLES,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(prog=parser.prog, title="commands", metavar="COMMAND",
                                     dest="command", required=True)

    def add(name, text, *parents):
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.",
                                   parents=parents)

    data, seed, saved, training, study = _data(), _seed(), _saved(), _training(), _study()
    zero_centred, flipping, out = _zero_centred(), _flipping(), _output("out")
    common = (data, seed, out)
    paper_rules, gallery_rule = _explanation(PAPER_RULES), _explanation(GALLERY_RULES)

    redo = add("redo", "redo the paper: train, explain, flip pixels; its two tables and five "
               "figures", training, paper_rules, zero_centred, flipping, *common)
    paper = add("paper", "flip pixels of every test image: several networks, rules, random "
                "baselines, perturbation curves", study, data, out)
    paper.add_argument("--model", choices=list(DEFAULTS), default="mlp",
                       help="mlp: the paper's network with several activations (default); cnn, "
                            "transformer, resnet: such a network beside the ReLU one")
    add("report", "write RESULTS.md and its figures: the study of `paper`, pruned inputs and "
        "neurons", study, data, _output("lessons"))
    add("train", "train a network and save it", training, *common)
    explain = add("explain", "draw the relevance of some digits, or of your own, and print the "
                  "ledger", saved, paper_rules, zero_centred, training, *common)
    explain.add_argument("--target", metavar="K", type=int, choices=range(10),
                         help="class to explain (default: the predicted one); --rule is then "
                              f"{' '.join(TARGET_RULES)} by default, because the logit of another "
                              "class can be negative")
    gallery = add("gallery", "draw heatmaps side by side: every class for every class, prediction "
                  "against runner-up, all rules",
                  saved, gallery_rule, zero_centred, training, *common)
    flip = add("flip", "flip pixels by relevance and print the paper's tables",
               saved, paper_rules, zero_centred, flipping, training, *common)
    for command in (redo, explain, gallery, flip):
        shown = _add_digits(command)
        if command is explain:
            shown.add_argument("--image", metavar="FILE", nargs="+",
                               help="show these instead: pictures (PNG, JPEG, WebP, BMP, TIFF, "
                                    "GIF), each with one digit of your own; a figure shows what "
                                    "was taken for ink")
    draw = add("draw", "open a window to draw a digit in; at every stroke it shows the prediction "
               "and its relevance", saved, zero_centred, _training("relu"), data, seed)
    draw.add_argument("--picture", metavar="FILE",
                      help="write a PNG file of what the window would show of a test digit, and "
                           "open no window; the digit depends on --seed")
    add("page", "write a web page in one file: whoever opens it draws a digit, and LRP explains it "
        "without a network connection", saved, zero_centred, _training("relu"), *common)
    add("warmup", "compile the loops now, and keep them on disk, so that no later command "
        "waits for it")
    return parser


# Options that commands share: each function returns a parent parser

def _group(title: str) -> tuple[argparse.ArgumentParser, Any]:
    parser = argparse.ArgumentParser(add_help=False)
    return parser, parser.add_argument_group(title)


def _output(folder):
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--out", metavar="DIR", default=folder,
                        help="folder for the files (default: %(default)s)")
    return parser


def _seed():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--seed", metavar="N", type=_at_least(0, int), default=0,
                        help="seed of everything random: first weights, shuffling, ties (default: "
                             "%(default)s)")
    return parser


def _saved():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--network", metavar="FILE",
                        help="a network.npz saved earlier; the training options then have no "
                             "effect (default: train one now)")
    return parser


def _data():
    parser, group = _group("data")
    group.add_argument("--data", choices=["mnist-10k", "mnist"], default="mnist-10k",
                       help="mnist-10k: 10,000 digits, shipped (default); mnist: all 70,000, "
                            "downloaded once")
    group.add_argument("--folder", metavar="DIR",
                       help="with --data mnist: a folder with the four IDX files, gzipped or not "
                            "(default: the folder in LRP_NUMPY_DATA, else download)")
    return parser


def _study():
    parser, group = _group("study")
    group.add_argument("--seeds", metavar="N", type=_at_least(0, int), nargs="+", default=[0, 1, 2],
                       help="train every network once for each of these (default: 0 1 2)")
    group.add_argument("--hidden", metavar="N", type=_at_least(1, int), default=500,
                       help="hidden neurons (default: %(default)s)")
    _add_epochs(group)
    return parser


def _training(activation=None):
    parser, group = _group("network and training")
    count = _at_least(1, int)
    group.add_argument("--activation", metavar="NAME", choices=HIDDEN_ACTIVATIONS,
                       default=activation, help="activation of the hidden layers: "
                       f"{', '.join(HIDDEN_ACTIVATIONS)} (default: sigmoid; cnn, resnet, draw and "
                       "page: relu; transformer: gelu)")
    group.add_argument("--model", choices=list(DEFAULTS), default="mlp",
                       help="mlp: fully connected, as in the paper (default); cnn: convolutional; "
                            "transformer: a small vision transformer; resnet: a residual CNN")
    group.add_argument("--hidden", metavar="N", type=count, nargs="+",
                       help="neurons of each hidden layer (default: 500, one layer; cnn: 120; "
                            "transformer: 96; resnet has none)")
    _add_epochs(group)
    group.add_argument("--batch-size", metavar="N", type=count, default=100,
                       help="digits in a batch (default: %(default)s)")
    group.add_argument("--learning-rate", metavar="X", type=_at_least(1e-12, float),
                       help="learning rate of Adam (default: 0.001; cnn, transformer: "
                            "0.002)")
    group.add_argument("--checkpoint", metavar="FILE",
                       help="save the state of training here after each epoch and on Ctrl-C; "
                            "if the file exists, continue from it")
    return parser


def _add_epochs(group):
    group.add_argument("--epochs", metavar="N", type=_at_least(1, int), default=10,
                       help="passes over the training digits (default: %(default)s)")


def _zero_centred():
    parser, group = _group("explanation")
    group.add_argument("--zero-centred", action="store_true",
                       help="explain the equivalent network with hidden activations f(z) - f(0)")
    return parser


def _explanation(rules):
    size = _at_least(0, float)
    parser, group = _group("explanation")
    dialects = f"; as other software defines it: {', '.join(DIALECTS)}" if DIALECTS else ""
    group.add_argument("--rule", metavar="NAME", nargs="+", default=rules,
                       help=f"one or more of {', '.join(RULES)}{dialects}; a composite: "
                            f"{', '.join(COMPOSITES)}; or names joined by commas, one for each "
                            "layer, input side first, as in gamma,epsilon (default: "
                            f"{' '.join(rules)})")
    group.add_argument("--epsilon", metavar="X", type=size,
                       help="stabilizer of LRP-epsilon: it enlarges each denominator by epsilon "
                            f"(default: {EPSILON}; for rules of other software: theirs)")
    group.add_argument("--gamma", metavar="X", type=size,
                       help="LRP-gamma counts positive weights 1 + gamma times (default: "
                            f"{GAMMA})")
    return parser


def _flipping():
    parser, group = _group("pixel flipping")
    group.add_argument("--fraction", metavar="X", type=_fraction, default=0.15,
                       help="fraction of the pixels to flip (default: %(default)s)")
    group.add_argument("--fill", choices=["zero", "mean"], default="zero",
                       help="value of flipped pixels: 0, or the mean training image (default: "
                            "%(default)s)")
    group.add_argument("--order", choices=["signed", "absolute"], default="signed",
                       help="rank by relevance, or by its absolute value (default: %(default)s)")
    group.add_argument("--pixels", choices=["all", "nonzero"], default="all",
                       help="rank all pixels, or the non-zero ones only, and flip the fraction of "
                            "these (default: %(default)s)")
    return parser


def _add_digits(command):
    """Add --digits; return its group, of which only one option can be given. A parent parser would
    lose the group's title."""
    group = command.add_argument_group("images").add_mutually_exclusive_group()
    group.add_argument("--digits", metavar="D", type=int, nargs="+", choices=range(10),
                       default=[0, 1, 2, 4, 7],
                       help="show the first test image of each of these (default: 0 1 2 4 7)")
    return group


# Types of options: the name of each is the word for it in argparse's messages

def _at_least(least: float, kind: Callable) -> Callable:
    def convert(text):
        value = kind(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, got {text}")
        return value
    convert.__name__ = "integer" if kind is int else "number"
    return convert


def _fraction(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie between 0 and 1, got {text}")
    return value


_fraction.__name__ = "number"
