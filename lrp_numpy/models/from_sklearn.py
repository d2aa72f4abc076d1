"""Networks from models of scikit-learn, which is not imported."""
from collections.abc import Callable
from copy import copy
from typing import Any

import numpy as np

from lrp_numpy.models.convert import compare
from lrp_numpy.models.kmeans import KMeans
from lrp_numpy.models.one_class import OneClass
from lrp_numpy.network import MLP, Network
from lrp_numpy.utils.foreign import full_name, known_name, loaded

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
# Where the models are defined, and their methods that compute
METHODS = {"sklearn.neural_network": ("predict", "predict_proba", "_predict", "_forward_pass_fast"),
           "sklearn.cluster": ("predict", "transform", "_transform"),
           "sklearn.neighbors": ("score_samples",),
           "sklearn.svm": ("decision_function", "score_samples", "_decision_function")}


def from_sklearn(model: Any) -> Network:
    """A network that computes what a fitted model of scikit-learn computes.

    MLPClassifier: the logits, without its final softmax or logistic function: for two classes, one
    logit, which is positive for classes_[1]. The network has the model's labels: `classes` is its
    classes_. MLPRegressor: its predictions, one output per column of y.

    KMeans, MiniBatchKMeans: a models.kmeans.KMeans with its centroids. KernelDensity (Gaussian
    kernel): a models.one_class.OneClass, gamma = 1 / (2 bandwidth^2), alpha its sample weights over
    their sum. OneClassSVM (kernel "rbf"): the same, its support vectors with its dual_coef_; what
    it calls an outlier has o(x) > -log(offset_) / gamma.

    Raises ValueError for other models, one that is not fitted, out_activation_ 'exp' (of
    loss='poisson'), another kernel or metric, and if the model and the network differ on a few
    random rows.
    """
    kind = next((known for module, methods in METHODS.items() if (
        known := known_name(model, loaded(module), methods)) in READERS), None)
    if kind is None:
        raise ValueError(f"model must be one of {', '.join(READERS)} of scikit-learn, got "
                         f"{full_name(model)}{_advice(model)}")
    reader, fitted = READERS[kind]
    if not hasattr(model, fitted):
        raise ValueError(f"model must be fitted, got an {kind} without {fitted}")
    return reader(model, kind)


def _perceptron(model, kind):
    if model.activation not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got "
                         f"{model.activation!r}")
    if model.out_activation_ not in ("identity", "softmax", "logistic"):
        raise ValueError("out_activation_ must be 'identity', 'softmax' or 'logistic', got "
                         f"{model.out_activation_!r}")
    net = MLP.from_arrays(model.coefs_, model.intercepts_, ACTIVATIONS[model.activation])
    if kind == "MLPClassifier" and len(model.classes_) == max(2, net.sizes[-1]):
        net.classes = model.classes_
    compare(net, lambda x: _logits(model, kind, x).reshape(len(x), -1))
    return net


def _clusters(model, kind):
    mu = model.cluster_centers_
    net = KMeans(mu)

    def margins(x):     # how much nearer each centroid is than the nearest other
        d = _without_names(model).transform(x.astype(mu.dtype))**2
        return np.stack([np.delete(d, c, axis=1).min(axis=1) - d[:, c] for c in range(len(mu))], 1)
    compare(net, margins, mu.mean(axis=0), mu.std(axis=0))
    return net


def _density(model, kind):
    _check_is("kernel", model.kernel, "gaussian")
    _check_is("metric", model.metric, "euclidean")
    tree, width = model.tree_, float(getattr(model, "bandwidth_", model.bandwidth))
    u = np.array(tree.data)
    weights = np.ones(len(u)) if tree.sample_weight is None else np.array(tree.sample_weight)
    net = OneClass(u[weights > 0], 1 / (2 * width**2), weights[weights > 0] / weights.sum())
    height = -u.shape[1] * np.log(width * np.sqrt(2 * np.pi))      # of one kernel at its centre
    compare(net, lambda x: (height - _without_names(model).score_samples(x)[:, None]) / net.gamma,
            u.mean(axis=0), u.std(axis=0))
    return net


def _one_class_svm(model, kind):
    _check_is("kernel", model.kernel, "rbf")
    if not isinstance(model.support_vectors_, np.ndarray):
        raise ValueError("model must be fitted to an array, got one fitted to a sparse matrix")
    u, gamma = np.array(model.support_vectors_), float(model._gamma)
    net = OneClass(u, gamma, model.dual_coef_[0])

    def outlierness(x):
        return -np.log(_without_names(model).score_samples(x)[:, None]) / gamma
    compare(net, outlierness, u[0], 0.5 / np.sqrt(gamma * u.shape[1]))      # exp must not underflow
    return net


def _check_is(name, value, allowed):
    if value != allowed:
        raise ValueError(f"{name} must be {allowed!r}, got {value!r}")


# By the class of the model: what reads it, and what it has once it is fitted
READERS: dict[Any, tuple[Callable, str]] = {
    "MLPClassifier": (_perceptron, "coefs_"), "MLPRegressor": (_perceptron, "coefs_"),
    "KMeans": (_clusters, "cluster_centers_"), "MiniBatchKMeans": (_clusters, "cluster_centers_"),
    "KernelDensity": (_density, "tree_"), "OneClassSVM": (_one_class_svm, "support_vectors_")}


def _logits(model, kind, x):
    """The model's outputs for x, without the function at the end of a classifier."""
    if kind == "MLPRegressor":
        return _without_names(model).predict(x)
    twin = _without_names(model)
    twin.out_activation_ = "identity"
    logits = np.asarray(twin.predict_proba(x))
    return logits[:, 1:] if model.n_outputs_ == 1 else logits     # (1 - logit, logit)


def _without_names(model):
    """A copy that shares its arrays, and does not warn of rows without names of features."""
    twin = copy(model)
    vars(twin).pop("feature_names_in_", None)
    return twin


def _advice(model):
    """What to do with a model that holds another."""
    if hasattr(type(model), "best_estimator_") or "SearchCV" in type(model).__name__:
        return "; give its model.best_estimator_"
    if type(model).__name__ == "Pipeline":
        return ("; transform x first, x = model[:-1].transform(x), and give the last step, "
                "model[-1]")
    return ""
