"""The labels of a network's outputs, such as the words that a classifier was trained on.

Inside, a class is the index of its logit. Labels are translated where they enter and leave: target
in `explain` and in its result, `Network.predict`, the labels of `train` and of the evaluation.
"""
from typing import Any

import numpy as np

from lrp_numpy.utils.types import Target
from lrp_numpy.utils.validation import check_labels


def as_classes(classes: Any, outputs: int) -> np.ndarray | None:
    """`classes` as an array of different labels, one for each of the outputs; None stays None.

    For a single output, two: its logit is positive for the second. Raises ValueError for others.
    """
    if classes is None:
        return None
    labels = np.asarray(classes)
    if labels.dtype.kind == "O":        # words in a table's column
        labels = np.array(labels.tolist())
    allowed = 2 if outputs == 1 else outputs
    if labels.shape != (allowed,) or labels.dtype.kind not in "iufbU" or (
            len(set(labels.tolist())) != allowed):
        raise ValueError(f"classes must be {allowed} different numbers or words, one for each "
                         f"{'side of the one output' if outputs == 1 else 'output'}, got "
                         f"{classes!r}")
    return labels


def predicted_labels(logits: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """The class with the largest logit (N,), by its label if there are labels; of the two classes
    of a single logit, the second if it is positive."""
    if classes is None:
        return logits.argmax(axis=1)
    return classes[(logits[:, 0] > 0).astype(int) if logits.shape[1] == 1 else
                   logits.argmax(axis=1)]


def as_labels(indices: np.ndarray, outputs: int, classes: np.ndarray | None) -> np.ndarray:
    """The labels of the logits numbered `indices`; a single logit speaks for the second class."""
    return indices if classes is None else classes[-outputs:][indices]


def as_indices(target: Target, N: int, outputs: int, classes: np.ndarray | None = None) -> Target:
    """`target` as the index of a logit, or one for each of N images; None stays None.

    If the classes have labels, target holds labels. An integer is an index only if no label is a
    number. Raises ValueError, naming the target, for anything else.
    """
    if target is None:
        return None
    try:
        each = np.asarray(target)
    except ValueError:      # lists of different lengths
        raise ValueError("target must be None, one class, or one class for each of the "
                         f"{N} images, got lists of different lengths: {target!r}") from None
    each = _found(each, outputs, classes, "target")
    if each.ndim > 0:
        check_labels(each, N, outputs, "target")
        return each
    if each.dtype.kind not in "iu":
        raise ValueError("target must be None, an integer, or one integer for each of the "
                         f"{N} images, got {target!r}")
    if not 0 <= each < outputs:
        raise ValueError(f"target must lie in 0..{outputs - 1}, got {target!r}")
    return int(each)


def label_indices(labels: np.ndarray, N: int, outputs: int, classes: np.ndarray | None = None,
                  name: str = "labels") -> np.ndarray:
    """The labels of N images (N,) as the indices of their logits; what is an index as above.

    Raises ValueError, naming them by `name`, if they do not fit.
    """
    indices = _found(np.asarray(labels), outputs, classes, name)
    check_labels(indices, N, outputs, name)
    return indices


def _found(labels, outputs, classes, name):
    """The index of the logit of each label."""
    if classes is None or classes.dtype.kind == "U" and labels.dtype.kind in "iu":
        return labels
    names = classes.tolist()
    index_of = {label: index for index, label in enumerate(names[-outputs:])}
    found = np.zeros(labels.shape, np.int64)
    for place in np.ndindex(labels.shape):
        label = labels[place].item() if isinstance(labels[place], np.generic) else labels[place]
        if label not in index_of:
            if outputs == 1 and label == names[0]:
                raise ValueError(f"{name} must be {names[1]!r}, or None: the network has one "
                                 f"logit, which is positive for {names[1]!r} and negative for "
                                 f"{label!r}, and so is its relevance; got {label!r}")
            raise ValueError(f"{name} must be one of the network's classes, "
                             f"{', '.join(map(repr, names))}, got {label!r}")
        found[place] = index_of[label]
    return found
