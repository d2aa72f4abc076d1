"""Lessons 1 and 2: digits, and the forward pass."""
import numpy as np

from judging import Case, Task
from lrp_numpy.layers import activations
from lrp_numpy.network import MLP
from lrp_numpy.ops import reference
from lrp_numpy.training import log_softmax, softmax
from tasks.changes import array, normal, turned, with_ones, without


def as_rows(images):
    return images.reshape(len(images), -1).astype(np.float32) / 255


def random_images(seed, *shape):
    images = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    images[:, 0, 0] = 7     # no image has a 255, so that dividing by the largest is noticed
    return images


AS_ROWS = Task("as_rows", as_rows, [
    Case({"images": np.array([[[0, 51], [102, 204]]], np.uint8)}),
    Case({"images": random_images(0, 2, 3, 3)}), Case({"images": random_images(1, 3, 2, 4)})], [
    ("not divided: pixels must lie in [0, 1]", lambda p: as_rows(p) * 255),
    ("divided by 256; white is 255", lambda p: as_rows(p) * 255 / 256),
    ("divided by //, which gives whole numbers only; / gives fractions", lambda p: as_rows(p) // 1),
    ("divided by the largest pixel, so that dark images become bright; divide by 255",
     lambda p: as_rows(p) * 255 / p.max()),
    ("divided by the largest pixel of each, so that dark images become bright; divide by 255",
     lambda p: as_rows(p) / as_rows(p).max(axis=1, keepdims=True)),
    ("pixels must lie in [0, 1], not in [-1, 1]", lambda p: 2 * as_rows(p) - 1),
    ("ink and paper are swapped", lambda p: 1 - as_rows(p)),
    ("column by column; a row of numbers holds the image row by row",
     lambda p: as_rows(p.transpose(0, 2, 1))),
    ("shape: images, not rows of numbers", lambda p: p / 255),
])


def linear_cases():
    a, W, b = normal(0, (4, 3), (3, 2), 2)
    square = normal(1, (2, 3), (3, 3), 3)
    names = ("a", "W", "b")
    return [Case(dict(zip(names, (array([1, 2]), array([3], [-1]), array(1))))),
            Case(dict(zip(names, square))), Case(dict(zip(names, (a, W, b))))]


LINEAR = Task("linear", reference.linear, linear_cases(), [
    ("bias forgotten: the layer is z = a @ W + b", without(reference.linear, 2)),
    ("the bias has the wrong sign", lambda a, W, b: a @ W - b),
    ("the bias is counted once for every input", lambda a, W, b: a @ W + a.shape[1] * b),
    ("W is transposed: W[j, k] leads from input j to output k", turned(reference.linear, 1)),
    ("activations ignored: each weight is multiplied by its input", with_ones(reference.linear, 0)),
    ("an activation function is applied; z is what comes before it",
     lambda a, W, b: np.maximum(a @ W + b, 0)),
    ("only the first image is done", lambda a, W, b: (a @ W + b)[:1]),
])

SOFTMAX = Task("softmax", softmax, [
    Case({"logits": array([0, np.log(3)])}),
    Case({"logits": array([1, 2, 3], [0, 0, 0])}),
    Case({"logits": array([1000, 999], [-1000, -1001])}, "the logits are large: exp(1000) is "
                                                         "infinite, but exp(0) is not"),
    Case({"logits": normal(2, (4, 5))[0]})], [
    ("normalised over the wrong axis: each row, an image, must sum to 1",
     lambda x: np.exp(x) / np.exp(x).sum(axis=0)),
    ("normalised over the wrong axis: each row, an image, must sum to 1",
     lambda x: softmax(x.T).T),
    ("normalised over the whole batch: each row, an image, must sum to 1",
     lambda x: np.exp(x) / np.exp(x).sum()),
    ("normalised over the whole batch: each row, an image, must sum to 1",
     lambda x: np.exp(x - x.max()) / np.exp(x - x.max()).sum()),
    ("not normalised: each row must sum to 1", np.exp),
    ("not normalised: each row must sum to 1",
     lambda x: np.exp(x - x.max(axis=1, keepdims=True))),
    ("exp is forgotten: logits may be negative, probabilities not",
     lambda x: x / x.sum(axis=1, keepdims=True)),
    ("these are the logarithms of the probabilities", log_softmax),
    ("the sign is wrong: the largest logit must get the largest probability",
     lambda x: softmax(-x)),
])


def network(x, W1, b1, W2, b2):
    return MLP.from_arrays([W1, W2], [b1, b2], "relu").forward(x)


def logits(x, W1, b1, W2, b2, hidden=activations.relu, last=lambda z: z):
    return last(hidden(x @ W1 + b1) @ W2 + b2)


OF_NETWORK = ("x", "W1", "b1", "W2", "b2")
SMALL = (array([1, 0.5]), array([2, 1], [-2, 4]), array(-0.5, 0.5), array([2], [-1]), array(0.5))
LARGE = normal(3, (5, 4), (4, 6), 6, (6, 3), 3)

FORWARD = Task("forward", network, [
    Case(dict(zip(OF_NETWORK, SMALL))), Case(dict(zip(OF_NETWORK, LARGE)))], [
    ("the ReLU between the layers is forgotten",
     lambda *values: logits(*values, hidden=lambda z: z)),
    ("there is a ReLU on the logits; the last layer is linear",
     lambda *values: logits(*values, last=activations.relu)),
    ("there is a softmax on the logits; the last layer is linear",
     lambda *values: logits(*values, last=softmax)),
    ("bias forgotten, that of the first layer", without(logits, 2)),
    ("bias forgotten, that of the last layer", without(logits, 4)),
    ("the ReLU comes too early: the bias is part of z",
     lambda x, W1, b1, W2, b2: (activations.relu(x @ W1) + b1) @ W2 + b2),
    ("that is a sigmoid, not a ReLU",
     lambda *values: logits(*values, hidden=activations.sigmoid)),
])
