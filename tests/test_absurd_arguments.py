"""Every public function with one absurd argument: it works, or it says in one sentence which
argument is wrong."""
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

import lrp_numpy as lrp
from lrp_numpy import composites, dialects, evaluation, plotting, rules, training
from lrp_numpy.datasets import Digits, read_idx
from lrp_numpy.datasets.handwriting import Reading
from lrp_numpy.evaluation import study

RNG = np.random.default_rng(0)
X, LABELS = RNG.random((6, 9), np.float32), np.arange(6) % 3
DIGITS = Digits(X, LABELS, X, LABELS)
R = RNG.normal(size=(6, 9)).astype(np.float32)
BAG = lrp.BagOfWords.fit(X, LABELS, words=2, size=2, step=1, cells=1)
W, b, RK = RNG.normal(size=(9, 4)), RNG.normal(size=4), RNG.normal(size=(6, 4))
ABSURD = [None, "text", b"bytes", (), [], {}, (1, 2), -1, 1.5, np.nan, True, 10**30, object(),
          np.array([]), np.array("text"), np.array([None]), np.zeros(3), lambda: None, int]
OTHERS = (ValueError, TypeError, FileNotFoundError, IsADirectoryError, FloatingPointError)


def net():
    return lrp.MLP.random([9, 5, 3], "relu", rng=0)


def curves():
    return {("net", "0"): evaluation.perturbation_curves(net(), X, LABELS, R, [0.5])}


def runs():
    return [study.outcomes(net(), X, LABELS, {})]


TABLE = [{"ranking": "random", "kept": 2, "accuracy": 0.5, "retrained": None}]
RULE_ARGUMENTS = {"a": X.astype(float), "W": W, "b": b, "R": RK}

READINGS = [Reading(np.zeros((9, 9, 3)), np.zeros((9, 9)), np.zeros(784))]

# The good arguments of each function, by name
GOOD = {
    "explain": (lrp.explain, dict(net=net(), x=X, rule="0", target=None, intermediate=True,
                                  engine="numpy", progress=False, start=None, layer=None)),
    "explain_batches": (lambda **k: list(lrp.explain_batches(**k)), dict(
        net=net(), x=X, rule="0", target=None, intermediate=True, engine="numpy", progress=False,
        start=None, batch_size=2, layer=None)),
    "train": (lrp.train, dict(net=net(), digits=DIGITS, epochs=1, batch_size=2, learning_rate=1e-3,
                              rng=0, progress=False, engine="numpy", checkpoint=None)),
    "Adam": (lrp.Adam, dict(net=net(), learning_rate=1e-3, beta1=0.9, beta2=0.9, epsilon=1e-8)),
    "accuracy": (training.accuracy, dict(net=net(), images=X, labels=LABELS, engine=None)),
    "init_state": (training.init_state, dict(net=net())),
    "softmax": (training.softmax, dict(logits=RK)),
    "MLP": (lrp.MLP, dict(layers=net().layers, classes=None)),
    "Network": (lrp.Network, dict(layers=net().layers, classes=None)),
    "MLP.random": (lrp.MLP.random, dict(sizes=[9, 3], activation="relu", rng=0,
                                        dtype=np.float32)),
    "MLP.from_arrays": (lrp.MLP.from_arrays, dict(weights=[W], biases=[b], activation="relu")),
    "forward": (net().forward, dict(x=X, engine=None)),
    "forward_pass": (net().forward_pass, dict(x=X, engine=None)),
    "activations": (net().activations, dict(x=X, engine=None)),
    "predict": (net().predict, dict(x=X, engine=None)),
    "backward": (net().backward, dict(forward_pass=net().forward_pass(X),
                                      dlogits=np.ones((6, 3), np.float32))),
    "up_to": (net().up_to, dict(number=0)),
    "Network.load": (lrp.Network.load, dict(path="missing.npz")),
    "from_folder": (lambda path: lrp.from_folder(path, "relu"), dict(path="missing")),
    "from_torch": (lrp.from_torch, dict(model=None)),
    "from_sklearn": (lrp.from_sklearn, dict(model=None)),
    "from_keras": (lrp.from_keras, dict(model=None)),
    "KMeans": (lrp.KMeans, dict(centroids=X[:3], beta=np.inf, classes=None)),
    "KMeans.fit": (lrp.KMeans.fit, dict(x=X, clusters=2, rng=0, iterations=3, starts=1,
                                        centroids=None, progress=False)),
    "KMeans.predict": (lrp.KMeans(X[:3]).predict, dict(x=X)),
    "KMeans.inertia": (lrp.KMeans(X[:3]).inertia, dict(x=X)),
    "KMeans.load": (lrp.KMeans.load, dict(path="missing.npz")),
    "explain clusters": (lambda **k: lrp.explain(lrp.KMeans(X[:3]), X, **k), dict(beta=1.0)),
    "OneClass": (lrp.OneClass, dict(points=X, gamma=1.0, alpha=None, classes=None)),
    "OneClass.fit": (lrp.OneClass.fit, dict(x=X, gamma=None, rng=0)),
    "OneClass.load": (lrp.OneClass.load, dict(path="missing.npz")),
    "BagOfWords": (lrp.BagOfWords, dict(layers=net().layers, classes=None)),
    "BagOfWords.fit": (lrp.BagOfWords.fit, dict(
        images=X, labels=LABELS, words=2, size=2, step=1, cells=1, kernel="intersection",
        mapping="hard", ridge=1.0, rng=0, progress=False)),
    "BagOfWords.load": (lrp.BagOfWords.load, dict(path="missing.npz")),
    "outlierness": (lrp.OneClass(X, 1.0).outlierness, dict(x=X)),
    "lenet": (lrp.lenet, dict(rng=0, activation="relu")),
    "transformer": (lrp.transformer, dict(rng=0, activation="relu", width=8, heads=2, hidden=3,
                                          blocks=1, size=7, dtype=np.float32)),
    "resnet": (lrp.resnet, dict(rng=0, activation="relu", channels=(2, 3), dtype=np.float32)),
    "zero_centred": (lrp.zero_centred, dict(net=net())),
    "contrast": (lrp.contrast, dict(net=net(), this=0, other=1)),
    "fold_batchnorm": (lrp.fold_batchnorm, dict(net=net())),
    "load_mnist": (lrp.load_mnist, dict(name="mnist", folder="missing")),
    "read_idx": (read_idx, dict(path="missing")),
    "read_digit": (lrp.read_digit, dict(path="missing")),
    "readings": (plotting.readings, dict(steps=READINGS, names=["a"])),
    "flip": (lrp.flip, dict(x=X, relevance=R, first="morf", fraction=0.5, fill=0.0,
                            order="signed", pixels="all", rng=0)),
    "flip_ranked": (evaluation.flip_ranked, dict(
        x=X, ranks=evaluation.rank(X, R, "morf"), fraction=0.5, fill=0.0, pixels="all")),
    "rank": (evaluation.rank, dict(x=X, relevance=R, first="morf", order="signed", pixels="all",
                                   rng=0)),
    "size_matched_random": (evaluation.size_matched_random, dict(
        x=X, flipped=lrp.flip(X, R, "morf"), fill=0.0, rng=0)),
    "measure": (lrp.measure, dict(net=net(), x=X, labels=LABELS)),
    "flip_and_measure": (lrp.flip_and_measure, dict(
        net=net(), x=X, labels=LABELS, rule="0", fraction=0.5, fill=0.0, order="signed",
        pixels="all", rng=0)),
    "confidence": (evaluation.confidence, dict(logits=RK)),
    "margin": (evaluation.margin, dict(logits=RK)),
    "first_of_each": (evaluation.first_of_each, dict(labels=LABELS, digits=[1, 2])),
    "check_classes": (evaluation.check_classes, dict(net=net())),
    "count_parameters": (evaluation.count_parameters, dict(net=net())),
    "importance": (evaluation.importance, dict(net=net(), x=X, by="mean relevance", rule="0",
                                               rng=0)),
    "neuron_importance": (evaluation.neuron_importance, dict(
        net=net(), x=X, layer=1, by="mean relevance", rule="0", rng=0)),
    "top_k": (evaluation.top_k, dict(importance=R[0], count=2, rng=0)),
    "prune_inputs": (evaluation.prune_inputs, dict(net=net(), kept=np.array([0, 1]))),
    "prune_neurons": (evaluation.prune_neurons, dict(net=net(), layer=1, kept=np.array([0, 1]))),
    "select_pixels": (evaluation.select_pixels, dict(digits=DIGITS, kept=np.array([0, 1]))),
    "microseconds_per_image": (evaluation.microseconds_per_image, dict(
        nets=[net()], images=[X], repetitions=1)),
    **{method.__name__: (method, dict(net=net(), x=X, target=None, **settings))
       for method, settings in ((evaluation.gradient, {}), (evaluation.gradient_times_input, {}),
                                (evaluation.integrated_gradients, dict(baseline=0.0, samples=2)),
                                (evaluation.smooth_grad, dict(noise=0.1, samples=2, rng=0)),
                                (evaluation.occlusion, dict(fill=0.0)))},
    "mean_relevances": (evaluation.mean_relevances, dict(net=net(), x=X, labels=LABELS, rule="0")),
    "explain_top_two": (evaluation.explain_top_two, dict(net=net(), x=X, rule="0")),
    "every_rule": (evaluation.every_rule, dict(net=net(), x=X, epsilon=0.25, gamma=0.25)),
    "outcomes": (study.outcomes, dict(net=net(), x=X, labels=LABELS, rules={"0": {}}, fraction=0.5,
                                      fill=0.0, rng=0)),
    "estimate": (study.estimate, dict(values=R, rng=0, resamples=3)),
    "estimates": (study.estimates, dict(runs=runs(), rng=0)),
    "perturbation_curves": (evaluation.perturbation_curves, dict(
        net=net(), x=X, labels=LABELS, relevance=R, fractions=[0.5], fill=0.0, pixels="all",
        rng=0)),
    "heatmaps": (plotting.heatmaps, dict(
        relevances=[R], row_titles=list("abcdef"), column_titles=["a"], images=X,
        targets=[LABELS], title="", dots=False, limit=None)),
    "three_levels": (plotting.three_levels, dict(net=BAG, images=X, row_titles=list("abcdef"),
                                                 target=None)),
    "samples": (plotting.samples, dict(images=X, labels=LABELS, predictions=LABELS)),
    "loss_curve": (plotting.loss_curve, dict(loss=R[0], epochs=1, title="")),
    "show": (plotting.show, dict(figure=Figure(), name="one", alt="an empty figure")),
    "class_matrix": (plotting.class_matrix, dict(means=RNG.normal(size=(2, 2, 9)), dots=False)),
    "bars": (plotting.bars, dict(R=R[0], names=list("abcdefghi"), unassigned={"bias": 0.5},
                                 values=X[0], most=3, unit="years")),
    "flipped_images": (plotting.flipped_images, dict(
        variants=[X], predictions=[LABELS], labels=LABELS, column_titles=["a"], title="")),
    "flipping_curves": (plotting.flipping_curves, dict(results=curves())),
    "pruning_curves": (plotting.pruning_curves, dict(rows=TABLE, what="inputs")),
    "draw_image": (lambda **k: plotting.draw_image(plt.gca(), **k), dict(image=X[0], title="")),
    "draw_relevance": (lambda **k: plotting.draw_relevance(plt.gca(), **k), dict(
        R=R[0], title="", limit=None, dots=False)),
    **{f"rules.{name}": (rule, RULE_ARGUMENTS) for name, rule in rules.RULES.items()},
    **{f"dialects.{name}": (rule, RULE_ARGUMENTS) for name, rule in dialects.DIALECTS.items()},
    **{f"composites.{name}": (composite, dict(net=lrp.MLP.random([9, 5, 4, 4, 3])))
       for name, composite in composites.COMPOSITES.items()}}

FLAGS = ("intermediate", "progress")        # Python asks whether they are true
# As often as they are told
FOREVER = ("epochs", "resamples", "repetitions", "starts", "samples", "blocks")

# Functions that need none of this: classes of results, and what tells rather than does
NOT_CALLED = {
    "Explanation", "History", "Digits", "Outcome", "Outcomes", "PixelFlipping", "Curves",
    "Estimate", "FOR_PIXELS", "MEASURES", "RANKINGS", "RELEVANCE", "colour_bar", "save",
    "symmetric_limit", "negative_pixels",
    "cross_entropy", "log_softmax", "training_step", "Dense", "Conv2D", "AvgPool2D", "MaxPool2D",
    "Flatten", "Unflatten", "Permute", "BatchNorm", "Rivals", "SoftMin", "SquaredDistances",
    "Patches", "Histogram", "KernelMachine", "Residual", "LayerNorm", "SelfAttention", "Tokens",
    "Positions", "MeanOverTokens"}


def test_every_public_function_is_walked():
    public = {*lrp.__all__, *evaluation.__all__, *plotting.__all__, *training.__all__}
    public -= set(lrp.MODULES) if hasattr(lrp, "MODULES") else set()
    assert public - NOT_CALLED - set(GOOD) == set()


@pytest.mark.parametrize("name, argument", [(name, argument) for name in GOOD
                                            for argument in GOOD[name][1]])
@pytest.mark.filterwarnings("ignore")
def test_absurd_arguments(name, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, good = GOOD[name]
    wrong = []
    for absurd in ABSURD:
        if (absurd is ABSURD[11] and argument in FOREVER
                or isinstance(absurd, np.ndarray) and argument in FLAGS
                or absurd is ABSURD[-2] and argument == "rule"):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(**{**good, argument: absurd})
            except OTHERS as error:
                text = str(error)
                if not text or "\n" in text or len(text) > 1000:
                    wrong.append(f"{absurd!r}: {type(error).__name__}: {text}")
                elif not names(argument, text) and isinstance(error, ValueError | TypeError):
                    wrong.append(f"{absurd!r}: not named: {type(error).__name__}: {text}")
            except Exception as error:
                wrong.append(f"{absurd!r}: {type(error).__name__}: {error}")
            finally:
                plt.close("all")
    assert not wrong, "\n".join(wrong)


def names(argument, text):
    """Is it the package that speaks, of this argument?"""
    return argument in text or any(word in text for word in ALSO.get(argument, []))


ALSO = {"layers": ["layer"], "weights": ["W"], "W": ["a must have shape"],
        "images": ["image", "x must"], "x": ["image"], "biases": ["b"], "row_titles": ["row"],
        "number": ["layer"], "fractions": ["fraction"], "nets": ["net"], "path": ["such file"],
        "folder": ["such file"], "digits": ["train_"], "relevances": ["relevance"],
        "model": ["from_", "lrp_numpy"], "means": ["relevance"], "dtype": ["data type"],
        "R": ["relevance", "square"], "classes": ["class"], "rules": ["rule"], "runs": ["outcomes"]}
