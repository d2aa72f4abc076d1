"""Lesson 11: occlusion and integrated gradients."""
import numpy as np

from judging import Case, Task
from lrp_numpy import evaluation
from lrp_numpy.network import MLP
from tasks.changes import array, normal
from tasks.forward import OF_NETWORK

SMALL = (array([2, 1]), array([1, 1], [1, -1]), array(-1, 0), array([2, 0], [1, 1]), array(0, 0))


def network(W1, b1, W2, b2):
    return MLP.from_arrays([W1, W2], [b1, b2], "relu")


def cases(**more):
    x, W1, b1, W2, b2 = normal(21, (4, 3), (3, 5), 5, (5, 3), 3)
    wide = normal(22, (2, 4), (4, 3), 3, (3, 2), 2)
    return [Case({**dict(zip(OF_NETWORK, values)), "target": np.array(target), **more})
            for values, target in ((SMALL, [0]), ((np.abs(x), W1, b1, W2, b2), [0, 2, 1, 1]),
                                   ((2 * np.abs(wide[0]), *wide[1:]), [1, 0]))]


def occlusion(x, W1, b1, W2, b2, target):
    return evaluation.occlusion(network(W1, b1, W2, b2), x, target)


def occluded(fill=0.0, logit=lambda z: z, part=lambda whole, without: whole - without,
             others=False):
    """Occlusion with one part of it changed."""
    def of(x, W1, b1, W2, b2, target):
        rows, R = np.arange(len(x)), np.zeros_like(x)
        for i in range(x.shape[1]):
            keep = np.arange(x.shape[1]) == i
            without = np.where(~keep if others else keep, fill, x)
            whole, less = (logit(network(W1, b1, W2, b2).forward(one))[rows, target]
                           for one in (x, without))
            R[:, i] = part(whole, less)
        return R
    return of


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gradient_times_input(x, W1, b1, W2, b2, target):
    return evaluation.gradient_times_input(network(W1, b1, W2, b2), x, target)


OCCLUSION = Task("occlusion", occlusion, cases(), [
    ("the sign is wrong: the logit with the pixel, less that without it",
     occluded(part=lambda whole, without: without - whole)),
    ("the pixel becomes 1; set it to 0", occluded(fill=1.0)),
    ("all other pixels are set to 0, and this one is kept",
     occluded(part=lambda whole, without: without, others=True)),
    ("all other pixels are set to 0: that is the worth of the others", occluded(others=True)),
    ("it is the logit without the pixel: subtract it from the logit with it",
     occluded(part=lambda whole, without: without)),
    ("the softmax is compared; compare the logits", occluded(logit=softmax)),
    ("divided by the logit: R is in units of the logit",
     occluded(part=lambda whole, without: (whole - without) / whole)),
    ("that is gradient x input: the pixel must be set to 0, not changed a little",
     gradient_times_input),
    ("the target is ignored: the predicted class is explained",
     lambda x, W1, b1, W2, b2, target: evaluation.occlusion(network(W1, b1, W2, b2), x)),
    ("pixels stay 0 once they are: set only one to 0 at a time",
     lambda x, W1, b1, W2, b2, target: one_after_another(network(W1, b1, W2, b2), x, target)),
])


def one_after_another(net, x, target):
    rows, R, gone = np.arange(len(x)), np.zeros_like(x), x.copy()
    for i in range(x.shape[1]):
        gone[:, i] = 0
        R[:, i] = (net.forward(x) - net.forward(gone))[rows, target]
    return R


def integrated_gradients(x, W1, b1, W2, b2, target, samples):
    return evaluation.integrated_gradients(network(W1, b1, W2, b2), x, target, 0.0, samples)


def integrated(place=lambda m, samples: (m + 0.5) / samples, times=lambda x: x, mean=True,
               bias=True, relu=True):
    """Integrated gradients with one part of it changed."""
    def of(x, W1, b1, W2, b2, target, samples):
        total = np.zeros_like(x)
        for m in range(samples):
            z = place(m, samples) * x @ W1 + b1 * bias
            total += ((W2.T[target] * (z > 0) if relu else W2.T[target]) @ W1.T)
        return times(x) * total / (samples if mean else 1)
    return of


INTEGRATED_GRADIENTS = Task("integrated_gradients", integrated_gradients, cases(samples=7), [
    ("not multiplied by x: the gradient's mean, times the way from the empty image",
     integrated(times=np.ones_like)),
    ("the gradients are added up; take their mean", integrated(mean=False)),
    ("that is gradient x input: the gradient belongs to points on the way, t x",
     integrated(place=lambda m, samples: 1.0)),
    ("t begins at 0: with t = m / samples the last part of the way is missing; use (m + 1/2)",
     integrated(place=lambda m, samples: m / samples)),
    ("t = (m + 1) / samples leaves out the first part of the way; use (m + 1/2)",
     integrated(place=lambda m, samples: (m + 1) / samples)),
    ("bias forgotten: it decides where a ReLU switches on", integrated(bias=False)),
    ("the derivative of the ReLU is forgotten", integrated(relu=False)),
    ("the target is ignored: the predicted class is explained",
     lambda x, W1, b1, W2, b2, target, samples: evaluation.integrated_gradients(
         network(W1, b1, W2, b2), x, None, 0.0, samples)),
])
