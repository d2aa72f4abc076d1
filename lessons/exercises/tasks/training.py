"""Lessons 3 and 4: backpropagation and Adam."""
import numpy as np

from judging import Case, Task
from lrp_numpy.layers import activations
from lrp_numpy.ops import reference
from lrp_numpy.training import softmax
from tasks.changes import array, normal


def dlogits(values, labels):
    return reference.cross_entropy(values, labels)[1]


def one_hot(values, labels):
    return np.eye(values.shape[1])[labels]


DLOGITS = Task("dlogits", dlogits, [
    Case({"logits": array([0, np.log(3)]), "labels": np.array([0])}),
    Case({"logits": array([1, 2, 3], [0, 0, 0]), "labels": np.array([2, 1])}),
    Case({"logits": normal(4, (4, 3))[0], "labels": np.array([0, 2, 2, 1])})], [
    ("the mean is forgotten: the loss is a mean over N images, so divide by N",
     lambda z, y: dlogits(z, y) * len(y)),
    ("the sign is wrong: raising the right logit lowers the loss", lambda z, y: -dlogits(z, y)),
    ("the label is forgotten: subtract 1 at the label",
     lambda z, y: softmax(z) / len(y)),
    ("the label is forgotten: subtract 1 at the label", lambda z, y: softmax(z)),
    ("divided by the number of classes as well; the mean is over the images",
     lambda z, y: dlogits(z, y) / z.shape[1]),
    ("divided by the number of classes; the mean is over the images",
     lambda z, y: dlogits(z, y) * len(y) / z.shape[1]),
    ("the softmax is forgotten: subtract the label from p, not from the logit",
     lambda z, y: (z - one_hot(z, y)) / len(y)),
    ("softmax normalised over the wrong axis: each row must sum to 1",
     lambda z, y: (softmax(z.T).T - one_hot(z, y)) / len(y)),
])


def of_two(first, second):
    """A function with two results from two functions with one."""
    return lambda *values: (first(*values), second(*values))


def dW(a, dz):
    return reference.gradients(a, dz)[0]


def db(a, dz):
    return reference.gradients(a, dz)[1]


GRADIENTS = Task("gradients", reference.gradients, [
    Case({"a": array([1, 2]), "dz": array([3.0])}),
    Case({"a": array([1, 2], [0, 1]), "dz": array([3, 1], [1, -1])}),
    Case(dict(zip(("a", "dz"), normal(5, (4, 3), (4, 2)))))], [
    ("the mean over the images is taken, but dz has its 1/N already",
     lambda a, dz: tuple(x / len(a) for x in reference.gradients(a, dz))),
    ("dW is transposed: dW[j, k] is for the weight from j to k",
     of_two(lambda a, dz: dz.T @ a, db)),
    ("db is summed over the wrong axis: all images share b[k]",
     of_two(dW, lambda a, dz: dz.sum(axis=1))),
    ("db is not summed over the images, which all share b",
     of_two(dW, lambda a, dz: dz)),
    ("db is multiplied by the activations, but b is not",
     of_two(dW, lambda a, dz: (a.sum(axis=1, keepdims=True) * dz).sum(axis=0))),
    ("activations ignored: a weight whose input is 0 changes nothing",
     lambda a, dz: reference.gradients(np.ones_like(a), dz)),
    ("the mean over the images is taken for db, but dz has its 1/N already",
     of_two(dW, lambda a, dz: dz.mean(axis=0))),
], outputs=("dW", "db"))


def hand_down(dz, W, a):
    return reference.transpose(dz, W) * activations.ACTIVATIONS["relu"].derivative(a, a)


def hand_down_cases():
    names, square = ("dz", "W", "a"), normal(6, (2, 3), (3, 3), (2, 3))
    dz, W, a = normal(7, (4, 2), (2, 3), (4, 2))
    return [Case(dict(zip(names, (array([3.0]), array([2], [-1], [4]), array([0.5, 2, 0]))))),
            Case(dict(zip(names, (*square[:2], activations.relu(square[2]))))),
            Case(dict(zip(names, (dz @ np.ones((2, 3)), W, activations.relu(a)))))]


HAND_DOWN = Task("hand_down", hand_down, hand_down_cases(), [
    ("the derivative of the ReLU is forgotten: where a = 0, nothing goes down",
     lambda dz, W, a: dz @ W.T),
    ("multiplied by a; the derivative of the ReLU is 1 where a > 0, whatever a is",
     lambda dz, W, a: dz @ W.T * a),
    ("the ReLU is applied to the derivative; the derivative is 0 where a is 0, whatever its sign",
     lambda dz, W, a: activations.relu(dz @ W.T)),
    ("W must be transposed: the way back leads from k to j", lambda dz, W, a: dz @ W * (a > 0)),
    ("dz is ignored", lambda dz, W, a: np.ones_like(dz) @ W.T * (a > 0)),
    ("that is the derivative of the sigmoid", lambda dz, W, a: dz @ W.T * a * (1 - a)),
])


def adam_step(w, g, m, v, t, learning_rate):
    w, m, v = w.copy(), m.copy(), v.copy()
    reference.adam_step(w, g, m, v, t, learning_rate, 0.9, 0.999, 1e-8)
    return w, m, v


def adam(m_hat=lambda m, t: m / (1 - 0.9**t), v_hat=lambda v, t: v / (1 - 0.999**t),
         root=lambda v: np.sqrt(v) + 1e-8, betas=(0.9, 0.999), square=lambda g: g * g, sign=-1):
    """Adam with one part of it changed."""
    def step(w, g, m, v, t, learning_rate):
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * square(g)
        return w + sign * learning_rate * m_hat(m, t) / root(v_hat(v, t)), m, v
    return step


def adam_stores_the_corrected(w, g, m, v, t, learning_rate):
    w, m, v = adam_step(w, g, m, v, t, learning_rate)
    return w, m / (1 - 0.9**t), v / (1 - 0.999**t)


def adam_case(seed, t, shape):
    w, g, m, v = normal(seed, shape, shape, shape, shape)
    return Case({"w": w, "gradient": g, "m": m, "v": v * v, "t": t, "learning_rate": 0.01})


ADAM_STEP = Task("adam_step", adam_step, [
    Case({"w": array(1), "gradient": array(2), "m": array(0), "v": array(0), "t": 1,
          "learning_rate": 0.1}), adam_case(8, 2, 3), adam_case(9, 7, (2, 3)),
    Case({"w": array(1), "gradient": array(1e-8), "m": array(0), "v": array(0), "t": 1,
          "learning_rate": 0.1})], [
    ("the correction is forgotten: m and v start at 0, so divide by 1 - beta^t",
     adam(lambda m, t: m, lambda v, t: v)),
    ("the correction of m is forgotten: divide by 1 - beta1^t", adam(lambda m, t: m)),
    ("the correction of v is forgotten: divide by 1 - beta2^t", adam(v_hat=lambda v, t: v)),
    ("the square root is forgotten", adam(root=lambda v: v + 1e-8)),
    ("epsilon is added inside the root; add it to the root",
     adam(root=lambda v: np.sqrt(v + 1e-8))),
    ("epsilon is forgotten", adam(root=np.sqrt)),
    ("v is the running mean of the gradient's square", adam(square=lambda g: g)),
    ("v is the running mean of the gradient's square, not of its size", adam(square=np.abs)),
    ("uphill: w must go against the gradient", adam(sign=+1)),
    ("beta1 and beta2 are swapped",
     adam(lambda m, t: m / (1 - 0.999**t), lambda v, t: v / (1 - 0.9**t), betas=(0.999, 0.9))),
    ("the corrected m and v are returned; the next step needs the uncorrected ones",
     adam_stores_the_corrected),
    ("the correction is 1 - beta^t, not (1 - beta)^t",
     adam(lambda m, t: m / 0.1**t, lambda v, t: v / 0.001**t)),
    ("the correction is 1 - beta^t, not 1 - beta t",
     adam(lambda m, t: m / (1 - 0.9 * t), lambda v, t: v / (1 - 0.999 * t))),
], outputs=("w", "m", "v"))
