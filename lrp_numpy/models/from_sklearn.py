"""Networks from the neural networks of scikit-learn, which is not imported."""
from copy import copy
from typing import Any

import numpy as np

from lrp_numpy.models.convert import compare
from lrp_numpy.network import MLP
from lrp_numpy.utils.foreign import full_name, known_name, loaded

ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
MODELS = ("MLPClassifier", "MLPRegressor")
METHODS = ("predict", "predict_proba", "_predict", "_forward_pass_fast")    # that compute


def from_sklearn(model: Any) -> MLP:
    """A network that computes what a fitted MLPClassifier or MLPRegressor computes.

    For a classifier, the logits, without its final softmax or logistic function: for two classes,
    one logit, which is positive for classes_[1]. The network has the model's labels: `classes` is
    its classes_. For a regressor, its predictions: one output per column of y.

    Raises ValueError for other models, one that is not fitted, out_activation_ 'exp' (of
    loss='poisson'), and if the model and the network differ on a few random rows.
    """
    kind = known_name(model, loaded("sklearn.neural_network"), METHODS)
    if kind not in MODELS:
        raise ValueError("model must be an MLPClassifier or an MLPRegressor of scikit-learn, got "
                         f"{full_name(model)}{_advice(model)}")
    if not hasattr(model, "coefs_"):
        raise ValueError(f"model must be fitted, got an {kind} without coefs_")
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
