"""What the commands share: options, digits, the network, rules, output files."""
import argparse
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from lrp_numpy import (MLP, Digits, History, Network, evaluation, explain, fold_batchnorm, lenet,
                       load_mnist, plotting, resnet, train, training, transformer, zero_centred)
from lrp_numpy.cli import tables
from lrp_numpy.cli.parser import EPSILON, GAMMA, NAMES
from lrp_numpy.composites import COMPOSITES, parameters_of
from lrp_numpy.dialects import DIALECTS
from lrp_numpy.rules import RULES
from lrp_numpy.utils.files import write_text

RESULTS = ("network.npz", "explain_relevance.npz")      # the .npz files that commands write


class Job(NamedTuple):
    """What a command works with."""
    options: argparse.Namespace
    out: Any            # a Path, or None for a command without --out
    digits: Digits
    net: Network
    chosen: list        # positions of the test images to show
    rules: list         # [(rule, its parameters), ...] as `explain` takes them


def start(options: argparse.Namespace) -> Job:
    """The `Job` of a command, its network not trained yet.

    All options are checked here, before any training. Raises ValueError for those that are wrong.
    """
    out = output_folder(options.out) if "out" in options else None
    for text in getattr(options, "rule", []):
        _check_rule(text)
    digits = load_digits(options)
    _check_checkpoint(options, out)
    net = _new_network(options) if _saved_in(options) is None else _load_network(options)
    folded = fold_batchnorm(net)        # as it is explained
    rules = [_rule(text, options, folded) for text in options.rule] if "rule" in options else []
    chosen = evaluation.first_of_each(digits.test_labels, options.digits) if rules else []
    with warnings.catch_warnings():     # one image is enough to find a wrong rule or parameter
        warnings.simplefilter("ignore")
        for rule, parameters in rules:
            explain(folded, digits.test_images[:1], rule, **parameters)
    return Job(options, out, digits, net, chosen, rules)


def load_digits(options: argparse.Namespace) -> Digits:
    """The digits of --data and --folder; prints how many they are."""
    if options.folder is not None and options.data != "mnist":
        raise ValueError(f"--folder needs --data mnist, got --data {options.data}")
    digits = load_mnist(options.data, options.folder)
    print(f"{options.data}: {len(digits.train_images):,} digits for training, "
          f"{len(digits.test_images):,} for testing")
    return digits


def explained_network(job: Job) -> Network:
    """The network to explain: without BatchNorm, and zero-centred if that is asked for."""
    net = fold_batchnorm(job.net)
    return zero_centred(net) if job.options.zero_centred else net


def train_network(job: Job) -> History | None:
    """Train the network, or take it from --network (None); print the test accuracy."""
    options, digits, net = job.options, job.digits, job.net
    name = "-".join(map(str, net.sizes)) if isinstance(net, MLP) else (
        NAMES[options.model] if _saved_in(options) is None else "network")
    if _saved_in(options) is not None:
        accuracy = training.accuracy(net, digits.test_images, digits.test_labels)
        print(f"{options.network}: {name}, test accuracy {accuracy:.2%}")
        return None
    if options.checkpoint is not None and Path(options.checkpoint).exists():
        print(f"continuing from {options.checkpoint}")
    begin = time.perf_counter()
    history = train(net, digits, options.epochs, options.batch_size, options.learning_rate,
                    rng=options.seed, checkpoint=options.checkpoint)
    print(f"{name} {options.activation}: test accuracy {history.accuracy[-1]:.2%} after "
          f"{options.epochs} epochs ({time.perf_counter() - begin:.1f} s)")
    return history


def train_and_save(job: Job) -> list[Path]:
    """`train_network`; a network trained now is saved, with its loss as CSV and figure 1.

    Returns the paths written.
    """
    history = train_network(job)
    if history is None:
        return []
    figure = plotting.loss_curve(history.loss, job.options.epochs,
                                 f"Training loss, {job.options.activation}")
    written = [plotting.save(figure, job.out / "figure1_loss.png"),
               job.out / "loss.csv", job.out / "network.npz"]
    write_text(written[1], tables.as_csv([{"step": step, "loss": float(loss)}
                                          for step, loss in enumerate(history.loss, 1)]))
    job.net.save(written[2])
    return written


def rule_title(rule: Any, parameters: dict[str, Any], separator: str = " ") -> str:
    """The rule as a title, such as "LRP-gamma (gamma=0.25)"."""
    name = f"LRP-{rule if isinstance(rule, str) else ','.join(rule)}"
    settings = ", ".join(f"{key}={value:g}" for key, value in parameters.items())
    return name + (f"{separator}({settings})" if settings else "")


def rule_file_name(rule: Any) -> str:
    """The rule as part of a file's name."""
    return rule if isinstance(rule, str) else "_".join(rule)


def output_folder(path: Any, option: str = "--out") -> Path:
    """Make the folder `path` unless it exists. Raises ValueError if it cannot be written to."""
    out, probe = Path(path), Path(path) / ".lrp_numpy_probe"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise ValueError(f"{option} must be a folder that can be written to, got {str(path)!r}: "
                         f"{error.strerror}") from error
    return out


def print_written(paths: list[Path]) -> None:
    """End a command with the files that it wrote."""
    print("\nwritten:")
    for path in paths:
        print(f"  {path}")


def _saved_in(options):
    return getattr(options, "network", None)


def _new_network(options):
    if options.model == "mlp":
        return MLP.random([784, *options.hidden, 10], options.activation, rng=options.seed)
    if options.model == "resnet":
        if options.hidden:
            raise ValueError("--hidden must be left out with --model resnet, which has no hidden "
                             f"Dense layer, got {options.hidden}")
        return resnet(options.seed, options.activation)
    if len(options.hidden) > 1:
        raise ValueError(f"--hidden must be one number with --model {options.model}, got "
                         f"{options.hidden}")
    model = lenet if options.model == "cnn" else transformer
    return model(options.seed, options.activation, hidden=options.hidden[0])


def _load_network(options):
    net = Network.load(options.network)
    if (net.sizes[0], net.sizes[-1]) != (784, 10):
        raise ValueError("--network must have 784 inputs and 10 outputs, got "
                         f"{options.network} with {'-'.join(map(str, net.sizes))}")
    return net


def _check_checkpoint(options, out):
    if options.checkpoint is None:
        return
    if _saved_in(options) is not None:
        raise ValueError("--checkpoint is for training, so not with --network, got "
                         f"{options.checkpoint}")
    output_folder(Path(options.checkpoint).parent, "the folder of --checkpoint")
    path = Path(options.checkpoint).resolve()
    if out and path.parent == out.resolve() and (path.suffix != ".npz" or path.name in RESULTS):
        raise ValueError("--checkpoint, if it is in --out, must end in .npz and not be "
                         f"{' or '.join(RESULTS)}, which are written there too, got "
                         f"{options.checkpoint}")


def _check_rule(text):
    if text not in COMPOSITES and not all(name in RULES or name in DIALECTS
                                          for name in text.split(",")):
        raise ValueError(f"--rule must be one of {', '.join([*RULES, *DIALECTS])}, one for each "
                         f"layer joined by commas, or a composite ({', '.join(COMPOSITES)}), got "
                         f"{text!r}")


def _rule(text, options, net):
    """(rule, its parameters) from one argument of --rule: NAME, or NAME,NAME,... by layer."""
    names = text.split(",")
    of_layers = [name for name, _ in COMPOSITES[text](net)] if text in COMPOSITES else names
    taken = {parameter for name in of_layers for parameter in parameters_of(name)}
    parameters = {}
    for key, default in (("epsilon", EPSILON), ("gamma", GAMMA)):
        value = getattr(options, key)
        of_others = any(name in DIALECTS and key in parameters_of(name) for name in of_layers)
        if key in taken and (value is not None or not of_others):
            parameters[key] = default if value is None else value
    return (names[0] if len(names) == 1 else names), parameters
