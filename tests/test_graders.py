"""The graders of lessons/exercises: what they accept, what they refuse, and their diagnoses.

The right answers are loops written for this test, and the near misses are written as a student
would write them: neither comes from lessons/exercises/tasks.
"""
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lrp_numpy import evaluation, rules, training
from lrp_numpy.ops import reference
from lrp_numpy.layers import Dense, SoftMin

EXERCISES = Path(__file__).parent.parent / "lessons" / "exercises"
sys.path.insert(0, str(EXERCISES))
from grader import grade, load, told, verdicts  # noqa: E402
from judging import judge, run  # noqa: E402
from tasks import TASKS  # noqa: E402

BY_NAME = {task.name: task for tasks in TASKS.values() for task in tasks}


# Independent answers, as loops

def as_rows(images):
    return [[int(pixel) / 255 for row in image for pixel in row] for image in images]


def linear(a, W, b, bias=1.0):
    return [[sum(a[n, j] * W[j, k] for j in range(len(W))) + bias * b[k] for k in range(len(b))]
            for n in range(len(a))]


def softmax(logits):
    return [[1 / sum(math.exp(min(other - z, 700)) for other in row) for z in row]
            for row in logits]


def forward(x, W1, b1, W2, b2):
    hidden = np.array([[max(z, 0) for z in row] for row in linear(x, W1, b1)])
    return linear(hidden, W2, b2)


def dlogits(logits, labels):
    p = np.array(softmax(logits))
    for n, label in enumerate(labels):
        p[n, label] -= 1
    return p / len(labels)


def gradients(a, dz):
    (N, D), K = a.shape, dz.shape[1]
    dW = [[sum(a[n, j] * dz[n, k] for n in range(N)) for k in range(K)] for j in range(D)]
    return np.array(dW), np.array([sum(dz[n, k] for n in range(N)) for k in range(K)])


def hand_down(dz, W, a):
    return [[sum(dz[n, k] * W[j, k] for k in range(W.shape[1])) if a[n, j] > 0 else 0
             for j in range(len(W))] for n in range(len(a))]


def adam_step(w, gradient, m, v, t, learning_rate, root=math.sqrt):
    new = [np.empty_like(w), np.empty_like(m), np.empty_like(v)]
    for i in np.ndindex(w.shape):
        new[1][i] = 0.9 * m[i] + 0.1 * gradient[i]
        new[2][i] = 0.999 * v[i] + 0.001 * gradient[i] ** 2
        slope, size = new[1][i] / (1 - 0.9**t), new[2][i] / (1 - 0.999**t)
        new[0][i] = w[i] - learning_rate * slope / (root(size) + 1e-8)
    return tuple(new)


def lrp(a, W, b, R, epsilon=0.0, gamma=0.0, bias=1.0, sign=lambda z: 1 if z >= 0 else -1,
        weight=lambda w, gamma: w + gamma * max(w, 0), give=None):
    """Relevance by loops over images, outputs and inputs, with parts that can be changed."""
    result = np.zeros(a.shape)
    for n in range(len(a)):
        for k in range(W.shape[1]):
            parts = [a[n, j] * weight(W[j, k], gamma) for j in range(len(W))]
            z = sum(parts) + bias * weight(b[k], gamma)
            denominator = z + epsilon * sign(z)
            for j, part in enumerate(parts):
                if denominator != 0:
                    result[n, j] += part / denominator * (R[n, k] if give is None else give)
    return result


def lrp_epsilon(a, W, b, R, epsilon):
    return lrp(a, W, b, R, epsilon)


def lrp_gamma(a, W, b, R, gamma):
    return lrp(a, W, b, R, gamma=gamma)


def relevance_of_pixels(x, W1, b1, W2, b2, target, upper=lrp, lower=lrp, start=None):
    a = np.maximum(np.array(linear(x, W1, b1)), 0)
    z = np.array(linear(a, W2, b2))
    R = np.zeros_like(z)
    for n, k in enumerate(target):
        R[n, k] = z[n, k] if start is None else start
    return lower(x, W1, b1, upper(a, W2, b2, R))


def ledger(a, W, b, R, epsilon, sign=lambda z: 1 if z >= 0 else -1):
    columns = np.zeros((5, len(a)))
    for n in range(len(a)):
        for k in range(len(b)):
            z = sum(a[n, j] * W[j, k] for j in range(len(W))) + b[k]
            denominator = z + epsilon * (1 if z >= 0 else -1)
            s = R[n, k] / denominator if denominator else 0
            columns[:, n] += [R[n, k], (z - b[k]) * s, b[k] * s, epsilon * sign(z) * s,
                              0 if denominator else R[n, k]]
    return tuple(columns)


def centred_bias(W, b, f0):
    return [b[k] + sum(f0 * W[j, k] for j in range(len(W))) for k in range(len(b))]


def flip(x, R, fraction, key=lambda r: -r, number=round):
    flipped = x.copy()
    for n in range(len(x)):
        order = sorted(range(x.shape[1]), key=lambda j: key(R[n, j]))
        for j in order[:number(fraction * x.shape[1])]:
            flipped[n, j] = 0
    return flipped


def confidence(logits):
    return [(sorted(row)[-1] - sorted(row)[-2]) / sorted(row)[-1] for row in logits]


def fewer_inputs(x, W, R, count, size=lambda column: sum(map(abs, column))):
    order = sorted(range(len(W)), key=lambda j: -size(R[:, j]))
    kept = sorted(order[:count])
    return np.stack([x[:, j] for j in kept], axis=1), np.stack([W[j] for j in kept])


def multiplications(a, K):
    return sum(1 for row in a for a_j in row for _ in range(K) if a_j != 0)


def linear_skipping(a, W, b):
    return [[b[k] + sum(row[j] * W[j, k] for j in range(len(W)) if row[j] != 0)
             for k in range(len(b))] for row in a]


def relevance_skipping(a, s, W):
    return [[a[n, j] * sum(s[n, k] * W[j, k] for k in range(W.shape[1])) if a[n, j] != 0 else 0
             for j in range(len(W))] for n in range(len(a))]


def residual_share(a, F, R, epsilon, up=1.0, sign=lambda y: 1 if y >= 0 else -1):
    shares = np.zeros((2, *a.shape))
    for n, d in np.ndindex(a.shape):
        y = a[n, d] + F[n, d]
        denominator = y + up * epsilon * sign(y)
        for part, value in ((0, a[n, d]), (1, F[n, d])):
            shares[part, n, d] = value * R[n, d] / denominator if denominator != 0 else 0
    return tuple(shares)


def fold_batchnorm(W, b, mean, variance, scale, shift, epsilon, mean_of=1.0, root=math.sqrt):
    factor = [scale[k] / root(variance[k] + epsilon) for k in range(len(b))]
    return ([[W[j, k] * factor[k] for k in range(len(b))] for j in range(len(W))],
            [b[k] * factor[k] - mean_of * mean[k] * factor[k] + shift[k] for k in range(len(b))])


def product_rule(A, V, R, half=2.0):
    R_A, R_V = np.zeros(A.shape), np.zeros(V.shape)
    for i, d in np.ndindex(R.shape):
        O_id = sum(A[i, j] * V[j, d] for j in range(len(V)))
        for j in range(len(V)):
            part = A[i, j] * V[j, d] / O_id * R[i, d] / half if O_id != 0 else 0
            R_A[i, j] += part
            R_V[j, d] += part
    return R_A, R_V


def softmax_rule(s, R, of=None):
    R_s = np.zeros(s.shape)
    for i in range(len(s)):
        A = softmax(s[i:i + 1])[0]
        for j in range(s.shape[1]):
            R_s[i, j] = (s if of is None else of)[i, j] * (R[i, j] - A[j] * sum(R[i]))
    return R_s


def attention_rollout(maps, shortcut=1.0):
    rows = []
    for i in range(len(maps[0])):
        weights = [1.0 if j == i else 0.0 for j in range(len(maps[0]))]
        for A in maps[::-1]:        # from token i at the end back to the first tokens
            weights = [sum(weights[k] * (A[k, j] + shortcut * (k == j)) / (1 + shortcut)
                           for k in range(len(A))) for j in range(len(A))]
        rows.append(weights)
    return np.mean(rows, axis=0)


def convolve(a, W, b, at=lambda W, c, k, i, j: W[c, k, i, j], bias=1.0):
    (N, C, H, wide), (K, h, w) = a.shape, W.shape[1:]
    z = np.zeros((N, K, H - h + 1, wide - w + 1))
    for n, k, y, x in np.ndindex(z.shape):
        z[n, k, y, x] = bias * b[k, 0, 0] + sum(
            a[n, c, y + i, x + j] * at(W, c, k, i, j)
            for c in range(C) for i in range(h) for j in range(w))
    return z


def convolve_transpose(s, W, at=lambda W, c, k, i, j: W[c, k, i, j], add=True):
    C, K, h, w = W.shape
    result = np.zeros((len(s), C, s.shape[2] + h - 1, s.shape[3] + w - 1))
    for n, k, y, x in np.ndindex(s.shape):
        for c in range(C):
            for i in range(h):
                for j in range(w):
                    value = s[n, k, y, x] * at(W, c, k, i, j)
                    result[n, c, y + i, x + j] = value + (result[n, c, y + i, x + j] if add else 0)
    return result


def soft_min(h, beta, sign=-1):
    """By logarithms of sums of two: log(exp(a) + exp(b)) cannot overflow in this way."""
    f, p = [], []
    for row in h:
        log = sign * beta * row[0]
        for one in row[1:]:
            a, b = sorted((log, sign * beta * one))
            log = b + math.log1p(math.exp(a - b))
        f.append(sign * log / beta)
        p.append([math.exp(sign * beta * one - log) for one in row])
    return np.array(f), np.array(p)


def midpoint_rule(x, mu, c, R, middle=lambda own, rival: (own + rival) / 2, factor=2, zero=None):
    result = np.zeros(x.shape)
    rivals = [k for k in range(len(mu)) if k != c]
    for n in range(len(x)):
        for place, k in enumerate(rivals):
            h = sum(2 * (mu[c, i] - mu[k, i]) * (x[n, i] - (middle if zero is None else zero)(
                mu[c, i], mu[k, i])) for i in range(x.shape[1]))
            for i in range(x.shape[1]):
                part = factor * (mu[c, i] - mu[k, i]) * (x[n, i] - middle(mu[c, i], mu[k, i]))
                result[n, i] += part / h * R[n, place] if h else 0
    return result


def intersection_relevance(x, u, alpha, b, kernel=min, bias=None):
    V = x.shape[1]
    return [[(b / V if bias is None else bias) + sum(
        alpha[i] * kernel(row[d], u[i, d]) for i in range(len(u))) for d in range(V)] for row in x]


def root_point(a, w, b, v, turn=1, bias=1, unit=None):
    """t from two points of the line: by how much z falls from t = 0 to t = 1."""
    roots = []
    for start, way in zip(a, v):
        here = sum(x * y for x, y in zip(start, w)) + bias * b
        further = sum((x - d) * y for x, d, y in zip(start, way, w)) + bias * b
        t = here / ((here - further) if unit is None else unit(start, w, way))
        roots.append([x - turn * t * d for x, d in zip(start, way)])
    return np.array(roots)


def relevance_in_a_box(a, w, b, low, high, up=lambda w: w > 0, bias=1):
    result = []
    for row in a:
        falls = [x * y - (low if up(y) else high) * y for x, y in zip(row, w)]
        z = sum(x * y for x, y in zip(row, w)) + bias * b
        result.append([fall / sum(falls) * z for fall in falls])
    return np.array(result)


def gamma_for(a, w, share, at_least=0, missing=1):
    """1 + γ = (N / share + N) / P, from the sums over the inputs."""
    gammas = []
    for row in a:
        P = sum(x * y for x, y in zip(row, w) if y > 0)
        N = -sum(x * y for x, y in zip(row, w) if y < 0)
        gammas.append(max((N / share + missing * N) / P - 1, at_least))
    return np.array(gammas)


def put_mark(images, labels, of_class, pixels, value, gets=lambda n, label, c: label == c,
             new=lambda old, value: value):
    marked = images.copy()
    for n, label in enumerate(labels):
        for j in pixels:
            if gets(n, label, of_class):
                marked[n, j] = new(marked[n, j], value)
    return marked


def share_on(R, pixels, size=abs, below=None):
    shares = []
    for row in R:
        total = sum(map(below or size, row))
        shares.append(sum(size(row[j]) for j in pixels) / total if total else 0)
    return np.array(shares)


def matters_to_one_class(R, labels, mean=lambda column: sum(column) / len(column),
                         score=lambda means: means[-1] - means[-2]):
    return np.array([score(sorted(mean([R[n, j] for n in range(len(R)) if labels[n] == k])
                                  for k in set(labels.tolist()))) for j in range(R.shape[1])])


def occlusion(x, W1, b1, W2, b2, target, fill=0.0, of=lambda z: z):
    R = np.zeros(x.shape)
    for n, i in np.ndindex(x.shape):
        other = x[n:n + 1].copy()
        other[0, i] = fill
        whole, less = (of(forward(one, W1, b1, W2, b2))[0][target[n]]
                       for one in (x[n:n + 1], other))
        R[n, i] = whole - less
    return R


def gradient_x(x, W1, b1, W2, b2, target, places):
    """x times the mean gradient at the places t x."""
    R = np.zeros(x.shape)
    for n, i in np.ndindex(x.shape):
        for t in places:
            R[n, i] += sum(x[n, i] * W1[i, j] * W2[j, target[n]] for j in range(len(b1))
                           if t * x[n] @ W1[:, j] + b1[j] > 0) / len(places)
    return R


def integrated_gradients(x, W1, b1, W2, b2, target, samples):
    return gradient_x(x, W1, b1, W2, b2, target,
                      [(m + 0.5) / samples for m in range(samples)])


def similarity(R, S, x):
    """Spearman's formula for ranks without ties: 1 - 6 sum d^2 / (n (n^2 - 1))."""
    found = []
    for a, b, image in zip(R, S, x):
        lit = [i for i in range(len(image)) if image[i] > 0]
        ranks = [[sum(of[j] < of[i] for j in lit) for i in lit] for of in (a, b)]
        n, d = len(lit), sum((r - s) ** 2 for r, s in zip(*ranks))
        found.append(1 - 6 * d / (n * (n * n - 1)))
    return found


def cascade(weights, fresh, count):
    return [new if place >= len(weights) - count else old
            for place, (old, new) in enumerate(zip(weights, fresh))]


LOOPS = {**{name: globals()[name] for name in BY_NAME if name in globals()}, "lrp_0": lrp,
         "negative_logits": lrp, "the_way_back": relevance_of_pixels,
         "dead_neurons": lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon),
         "lost_relevance": lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma)}
LIBRARY = {"linear": reference.linear, "softmax": training.softmax, "lrp_0": rules.lrp_0,
           "lrp_epsilon": rules.lrp_epsilon, "lrp_gamma": rules.lrp_gamma,
           "confidence": evaluation.confidence, "convolve": reference.convolve,
           "soft_min": lambda h, beta: (SoftMin(beta).preactivation(h[None])[0],
                                        SoftMin(beta).shares(h[None])[0]),
           "hand_down": lambda dz, W, a: Dense(W, W[0], "relu").delta(a, a, dz @ W.T),
           "dlogits": lambda z, y: training.cross_entropy(z, y)[1],
           "flip": lambda x, R, fraction: evaluation.flip(x, R, "morf", fraction)}


# Near misses, as a student writes them, each with a part of the diagnosis that it must get

def flip_rows(W, c, k, i, j):
    return W[c, k, W.shape[2] - 1 - i, W.shape[3] - 1 - j]


def sigma(z):
    return 1 / (1 + np.exp(-z))


def raw_lrp(a, W, b, R):
    return a * (R / (a @ W + b) @ W.T)


def changing(a, W, b):
    a *= 2
    return a / 2 @ W + b


def short_adam(w, g, m, v, t, learning_rate, correct_m=True, correct_v=True, inside=False):
    m, v = m + 0.1 * (g - m), v + 0.001 * (g * g - v)
    mean = m / (1 - 0.9**t) if correct_m else m
    size = v / (1 - 0.999**t) if correct_v else v
    root = np.sqrt(size + 1e-8) if inside else np.sqrt(size) + 1e-8
    return w - learning_rate * mean / root, m, v


def changed(place, part):
    """The ledger by loops with one column replaced by part(columns, a, W, b, R, epsilon)."""
    def of(*values):
        columns = list(ledger(*values))
        columns[place] = part(columns, *values)
        return tuple(columns)
    return of


NEAR_MISSES = {
    "as_rows": [
        (lambda p: p.reshape(len(p), -1), "not divided"),
        (lambda p: p.reshape(len(p), -1) / 256, "white is 255"),
        (lambda p: p.reshape(len(p), -1) // 255, "whole numbers"),
        (lambda p: p.reshape(len(p), -1) / p.max(), "dark images become bright"),
        (lambda p: 1 - p.reshape(len(p), -1) / 255, "ink and paper"),
        (lambda p: np.array([image.T.ravel() for image in p]) / 255, "column by column"),
        (lambda p: p.reshape(-1) / 255, "shape")],
    "linear": [
        (lambda a, W, b: np.array(linear(a, W, 0 * b)), "bias forgotten"),
        (lambda a, W, b: linear(a, W, b, bias=-1), "wrong sign"),
        (lambda a, W, b: np.dot(a, W.T) + b, "W is transposed"),
        (lambda a, W, b: (a[:, :, None] * W + b).sum(axis=1), "once for every input"),
        (lambda a, W, b: np.array(linear(a, W, b)).clip(min=0), "activation function"),
        (lambda a, W, b: np.array(linear(a, W, b)).T, "transposed"),
        (changing, "changes its argument a"),
        (lambda a, W, b: None, "returns nothing"),
        (lambda a, W, b: a @ W + missing, "NameError"),     # noqa: F821
        (lambda a, W, b: 2 * (a @ W + b), "2 times too large")],
    "softmax": [
        (lambda x: np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True), "logits are large"),
        (lambda x: np.exp(x) / sum(np.exp(x)), "wrong axis"),
        (lambda x: np.exp(x) / np.exp(x).sum(), "whole batch"),
        (lambda x: np.exp(x - x.max(axis=1)[:, None]), "not normalised"),
        (lambda x: x / np.sum(x, axis=1)[:, None], "exp is forgotten"),
        (lambda x: np.log(softmax(x)), "logarithms"),
        (lambda x: softmax(-x), "sign is wrong"),
        (lambda x: np.exp(x) / np.exp(x).sum(axis=1), "it stops with ValueError")],
    "forward": [
        (lambda x, W1, b1, W2, b2: (x @ W1 + b1) @ W2 + b2, "ReLU between the layers"),
        (lambda *v: np.maximum(forward(*v), 0), "last layer is linear"),
        (lambda *v: softmax(forward(*v)), "softmax on the logits"),
        (lambda x, W1, b1, W2, b2: forward(x, W1, 0 * b1, W2, b2), "first layer"),
        (lambda x, W1, b1, W2, b2: forward(x, W1, b1, W2, 0 * b2), "last layer"),
        (lambda x, W1, b1, W2, b2: (np.maximum(x @ W1, 0) + b1) @ W2 + b2, "too early"),
        (lambda x, W1, b1, W2, b2: sigma(x @ W1 + b1) @ W2 + b2, "sigmoid")],
    "dlogits": [
        (lambda z, y: len(y) * dlogits(z, y), "mean is forgotten"),
        (lambda z, y: (np.eye(z.shape[1])[y] - softmax(z)) / len(y), "sign is wrong"),
        (lambda z, y: np.array(softmax(z)) / len(y), "label is forgotten"),
        (lambda z, y: dlogits(z, y) * len(y) / z.size * len(y), "number of classes"),
        (lambda z, y: (z - np.eye(z.shape[1])[y]) / len(y), "softmax is forgotten"),
        (lambda z, y: (np.exp(z) / np.exp(z).sum(0) - np.eye(z.shape[1])[y]) / len(y),
         "wrong axis")],
    "gradients": [
        (lambda a, dz: (a.T @ dz / len(a), dz.mean(0)), "mean over the images"),
        (lambda a, dz: (np.einsum("nj,nk->kj", a, dz), dz.sum(0)), "dW is transposed"),
        (lambda a, dz: (a.T @ dz, dz.sum(1)), "wrong axis"),
        (lambda a, dz: (a.T @ dz, dz), "not summed"),
        (lambda a, dz: (np.ones(a.shape).T @ dz, dz.sum(0)), "activations ignored"),
        (lambda a, dz: (a.T @ dz, dz.sum(0, keepdims=True)), "shape: db"),
        (lambda a, dz: (a.T @ dz, 2 * dz.sum(0)), "db wrong, the rest right"),
        (lambda a, dz: a.T @ dz, "must return 2 things"),
        (lambda a, dz: [(a.T @ dz) * 2, dz.sum(0)], "dW wrong, the rest right"),
        (lambda a, dz: [a.T @ dz, None], "not a number")],
    "hand_down": [
        (lambda dz, W, a: np.einsum("nk,jk->nj", dz, W), "derivative of the ReLU is forgotten"),
        (lambda dz, W, a: (dz @ W.T) * np.where(a >= 0, 1, 0), "derivative of the ReLU"),
        (lambda dz, W, a: (W @ dz.T).T * a, "whatever a is"),
        (lambda dz, W, a: np.maximum(dz @ W.T, 0), "whatever its sign"),
        (lambda dz, W, a: np.where(a > 0, dz @ W, 0), "must be transposed"),
        (lambda dz, W, a: np.where(a > 0, W.sum(axis=1), 0), "dz is ignored"),
        (lambda dz, W, a: (dz @ W.T) * (a > 0) * -1, "sign is wrong")],
    "adam_step": [
        (lambda *v: short_adam(*v, correct_m=False, correct_v=False), "correction is forgotten"),
        (lambda *v: short_adam(*v, correct_m=False), "correction of m"),
        (lambda *v: short_adam(*v, correct_v=False), "correction of v"),
        (lambda *v: short_adam(*v, inside=True), "inside the root"),
        (lambda *v: adam_step(*v, root=lambda size: size), "square root is forgotten"),
        (lambda w, g, m, v, t, rate: short_adam(w, g, m, v, t, -rate), "uphill"),
        (lambda w, *v: (w, *adam_step(w, *v)[1:]), "w wrong, the rest right"),
        (lambda w, g, m, v, t, rate: (adam_step(w, g, m, v, t, rate)[0],
                                      (0.9 * m + 0.1 * g) / (1 - 0.9**t),
                                      (0.999 * v + 0.001 * g**2) / (1 - 0.999**t)),
         "uncorrected ones"),
        (lambda *v: adam_step(*v)[0], "must return 3 things (w, m, v)")],
    "lrp_0": [
        (lambda a, W, b, R: lrp(a, W, b, R, bias=0), "bias forgotten"),
        (raw_lrp, "right except where z = 0"),
        (lambda a, W, b, R: lrp(a, W, b, R, give=1), "relevance ignored"),
        (lambda a, W, b, R: np.einsum("njk,nk->nj", a[:, :, None] * W
                                      / (a[:, :, None] * W).sum(2, keepdims=True), R),
         "wrong axis"),
        (lambda a, W, b, R: a / a.sum(1, keepdims=True) * R.sum(1, keepdims=True),
         "weights ignored"),
        (lambda a, W, b, R: np.where(a != 0, lrp(a, W, b, R) / np.where(a == 0, 1, a),
                                     np.nan_to_num(R / (a @ W + b), posinf=0) @ W.T),
         "the last line is missing"),
        (lambda a, W, b, R: a * (R @ W.T), "not divided by z"),
        (lambda a, W, b, R: lrp(a, W, b, R).sum(axis=0), "shape"),
        (lambda a, W, b, R: lrp(a, W, b, -R), "sign is wrong")],
    "relevance_of_pixels": [
        (lambda *v: relevance_of_pixels(*v, start=1), "must start at the logit"),
        (lambda x, W1, b1, W2, b2, target: lrp(
            x, W1, b1, lrp(np.maximum(x @ W1 + b1, 0), W2, b2,
                           np.maximum(x @ W1 + b1, 0) @ W2 + b2)), "from all logits"),
        (lambda x, W1, b1, W2, b2, target: relevance_of_pixels(
            x, W1, b1, W2, b2, np.argmax(forward(x, W1, b1, W2, b2), axis=1)),
         "target is ignored"),
        (lambda x, W1, b1, W2, b2, target: lrp(x, W1, b1, lrp(
            x @ W1 + b1, W2, b2, np.eye(W2.shape[1])[target] * ((x @ W1 + b1) @ W2 + b2))),
         "the ReLU is forgotten"),
        (lambda *v: relevance_of_pixels(*v, lower=lambda *u: lrp(*u, give=1)),
         "relevance ignored"),
        (lambda *v: relevance_of_pixels(*v, upper=lambda *u: lrp(*u, bias=0)), "last layer"),
        (lambda *v: relevance_of_pixels(*v, lower=lambda *u: lrp(*u, bias=0)), "first layer"),
        (lambda *v: relevance_of_pixels(*v, upper=lambda *u: lrp(*u, bias=0),
                                        lower=lambda *u: lrp(*u, bias=0)), "both layers")],
    "lrp_epsilon": [
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, bias=0), "bias forgotten"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R), "stabilizer forgotten"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=lambda z: 1),
         "stabilizer's sign"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, -epsilon), "away from 0"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=np.sign),
         "right except where z = 0"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=lambda z: 1 if z > 0 else -1),
         "right except where z = 0"),
        (lambda a, W, b, R, epsilon: a * (R / (a @ W + b + epsilon * np.sign(a @ W + b)) @ W.T),
         "right except where z = 0"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, give=1), "relevance ignored"),
        (lambda a, W, b, R, epsilon: lrp(a, W.T, b, R, epsilon), "W is transposed"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, 0.5), "epsilon makes no difference"),
        (lambda a, W, b, R, epsilon: (R / rules.stabilize(a @ W + b, epsilon)) @ W.T,
         "the last line is missing"),
        (lambda a, W, b, R, epsilon: a * ((R / (a @ W + epsilon * np.sign(a @ W))) @ W.T),
         "bias forgotten"),
        (lambda a, W, b, R, epsilon: a * ((R / (W.T @ a.T + epsilon)) @ W.T), "not what")],
    "lrp_gamma": [
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma, bias=0), "bias forgotten"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R), "this is LRP-0"),
        (lambda a, W, b, R, gamma: a * (rules.divide(
            R, a @ (W + gamma * W.clip(0)) + b) @ (W + gamma * W.clip(0)).T),
         "bias is not favoured"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma,
                                       weight=lambda w, g: w + g * w * max(w, 0)),
         "multiplied by W+"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma,
                                       weight=lambda w, g: w + g * min(w, 0)),
         "negative weights are favoured"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma,
                                       weight=lambda w, g: g * w if w > 0 else w), "1 + gamma"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma, give=1), "relevance ignored"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma,
                                       weight=lambda w, g: (1 + g) * w), "this is LRP-0")],
    "ledger": [
        (changed(1, lambda c, *v: c[1] + c[2]), "bias's share"),
        (changed(2, lambda c, *v: 0 * c[2]), "bias forgotten"),
        (changed(4, lambda c, *v: 0 * c[4]), "dropped forgotten"),
        (changed(4, lambda c, a, W, b, R, epsilon: ((a @ W + b == 0) * R).sum(1)),
         "dropped wrong"),
        (lambda *v: ledger(*v, sign=lambda z: 1), "sign is missing"),
        (changed(0, lambda c, *v: c[1]), "received wrong"),
        (changed(2, lambda c, a, W, b, R, epsilon: np.repeat(sum(b), len(a))), "bias wrong"),
        (lambda *v: tuple(sum(column) for column in ledger(*v)), "one number for all images")],
    "centred_bias": [
        (lambda W, b, f0: b + f0 * sum(W.T), "wrong axis"),
        (lambda W, b, f0: b - f0 * sum(W), "sign is wrong"),
        (lambda W, b, f0: f0 * sum(W), "bias forgotten"),
        (lambda W, b, f0: b + f0, "weights ignored"),
        (lambda W, b, f0: b + 0.5 * sum(W), "taken as 1/2"),
        (lambda W, b, f0: b + f0 * np.mean(W, axis=0), "averaged"),
        (lambda W, b, f0: b + f0 * np.sum(W), "over all weights")],
    "flip": [
        (lambda x, R, fraction: flip(x, R, fraction, key=lambda r: r), "least relevant"),
        (lambda x, R, fraction: flip(x, R, fraction, key=lambda r: -abs(r)), "ranked by |R|"),
        (lambda x, R, fraction: flip(x, R, fraction, number=math.floor), "rounded"),
        (lambda x, R, fraction: flip(x, x, fraction), "brightness"),
        (lambda x, R, fraction: x - flip(x, R, fraction), "the most relevant are kept"),
        (lambda x, R, fraction: np.where(R > np.sort(R.ravel())[-1 - round(fraction * R.size)],
                                         0, x), "whole batch"),
        (lambda x, R, fraction: np.put_along_axis(
            x, np.argsort(-R)[:, :round(fraction * x.shape[1])], 0, 1), "changes its argument x")],
    "confidence": [
        (lambda z: [(sorted(row)[-1] - sorted(row)[-2]) / sorted(row)[-2] for row in z],
         "divided by the second"),
        (lambda z: [sorted(row)[-1] - sorted(row)[-2] for row in z], "not divided"),
        (lambda z: confidence(np.array(softmax(z))), "softmax"),
        (lambda z: (z[:, 0] - z[:, 1]) / z[:, 0], "not sorted"),
        (lambda z: 1 - z.min(1) / z.max(1), "smallest"),
        (lambda z: np.array(confidence(z))[:, None], "shape"),
        (lambda z: [(sorted(row)[-1] - sorted(row)[-2]) / abs(max(row)) for row in z], "its sign"),
        (lambda z: 100 * np.array(confidence(z)), "100 times too large")],
    "fewer_inputs": [
        (lambda x, W, R, count: fewer_inputs(x, W, R, count, size=sum), "signs cancel"),
        (lambda x, W, R, count: fewer_inputs(x, W, R, count, size=lambda c: abs(sum(c))),
         "take the absolute value first"),
        (lambda x, W, R, count: fewer_inputs(x, W, R, count, size=lambda c: -sum(abs(c))),
         "least important"),
        (lambda x, W, R, count: fewer_inputs(x, W, x, count), "brightness"),
        (lambda x, W, R, count: (x[:, np.argsort(-abs(R).sum(0))[:count]],
                                 W[np.argsort(-abs(R).sum(0))[:count]]), "old order"),
        (lambda x, W, R, count: (x[:, np.argsort(R.sum(0))[::-1][:count]],
                                 W[np.argsort(R.sum(0))[::-1][:count]]),
         "signs cancel, and not in their old order"),
        (lambda x, W, R, count: (fewer_inputs(x, W, R, count)[0], W), "shape: W")],
    "multiplications": [
        (lambda a, K: a.shape[0] * a.shape[1] * K, "zeros are counted"),
        (lambda a, K: (a != 0).sum(), "by K weights"),
        (lambda a, K: len(a[a > 0]) * K, "negative ones"),
        (lambda a, K: (a == 0).sum() * K, "saved"),
        (lambda a, K: a.sum() * K, "count them"),
        (lambda a, K: (np.count_nonzero(a) + len(a)) * K, "additions of b")],
    "linear_skipping": [
        (lambda a, W, b: a @ W + b, "0 times infinity"),
        (lambda a, W, b: np.where(a != 0, a, 0) @ W + b, "0 times infinity"),
        (lambda a, W, b: np.array(linear_skipping(a, W, 0 * b)), "bias forgotten"),
        (lambda a, W, b: linear_skipping(np.maximum(a, 0), W, b), "negative inputs are skipped"),
        (lambda a, W, b: [b + W[row != 0].sum(axis=0) for row in a], "not multiplied by a"),
        (lambda a, W, b: [sum((row[j] * W[j] + b for j in np.flatnonzero(row)), 0 * b)
                          for row in a], "once for each input"),
        (lambda a, W, b: np.array(linear_skipping(a, W, b)).T, "shape")],
    "relevance_skipping": [
        (lambda a, s, W: a * (s @ W.T), "0 times infinity"),
        (lambda a, s, W: np.where(a == 0, 0, a * (s @ W.T)) if np.isfinite(W).all() else a * 0,
         "right except where a weight is infinite"),
        (lambda a, s, W: [[s[n] @ W[j] if a[n, j] else 0 for j in range(len(W))]
                          for n in range(len(a))], "line 4"),
        (lambda a, s, W: relevance_skipping(np.maximum(a, 0), s, W), "negative inputs"),
        (lambda a, s, W: a * np.array(relevance_skipping(a, s, W)), "twice"),
        (lambda a, s, W: np.sign(a) * relevance_skipping(a, s, W), "|a|")],
    "residual_share": [
        (lambda a, F, R, epsilon: (R / 2, R / 2), "half to each"),
        (lambda a, F, R, epsilon: (abs(a) / (abs(a) + abs(F)) * R,
                                   abs(F) / (abs(a) + abs(F)) * R), "signs count"),
        (lambda *values: residual_share(*values)[::-1], "exchanged"),
        (lambda a, F, R, epsilon: residual_share(a, F, R, 0), "epsilon is missing"),
        (lambda a, F, R, epsilon: residual_share(a, F, R, epsilon, sign=lambda y: 1),
         "always added"),
        (lambda a, F, R, epsilon: residual_share(a, F, R, epsilon, sign=np.sign), "np.sign(0)"),
        (lambda a, F, R, epsilon: (
            a * R / (a + F + epsilon * np.where(a + F >= 0, 1, -1)),
            F * R / (a + F + epsilon * np.where(a + F >= 0, 1, -1))), "not divided by 0"),
        (lambda a, F, R, epsilon: (residual_share(a, F, R, epsilon)[0],
                                   R - residual_share(a, F, R, epsilon)[0]), "what is left")],
    "fold_batchnorm": [
        (lambda W, b, m, v, g, s, e: (W * g / np.sqrt(v + e), b - m * g / np.sqrt(v + e) + s),
         "is not scaled"),
        (lambda W, b, m, v, g, s, e: (W * g / np.sqrt(v + e), s - m * g / np.sqrt(v + e)),
         "is missing"),
        (lambda W, b, m, v, g, s, e: fold_batchnorm(W, b, m, v, g, s, e, mean_of=0.0), "the mean"),
        (lambda W, b, m, v, g, s, e: fold_batchnorm(W, b, m, v, g, s, e, mean_of=-1.0),
         "subtract it"),
        (lambda W, b, m, v, g, s, e: fold_batchnorm(W, b, m, v, g, s, e, root=float),
         "square root"),
        (lambda W, b, m, v, g, s, e: fold_batchnorm(W, b, m, v, g, s, 0.0), "under the root"),
        (lambda W, b, m, v, g, s, e: (W * g / (np.sqrt(v) + e), (b - m) * g / (np.sqrt(v) + e) + s),
         "outside the root"),
        (lambda W, b, m, v, g, s, e: (W * g / np.sqrt(v + e), (b - m + s) * g / np.sqrt(v + e)),
         "comes last")],
    "product_rule": [
        (lambda A, V, R: product_rule(A, V, R, 1.0), "half"),
        (lambda A, V, R: product_rule(A, V, R, 4.0), "quarter"),
        (lambda A, V, R: (0 * A, product_rule(A, V, R, 1.0)[1]), "CP-LRP"),
        (lambda A, V, R: (A * (R / 2 @ V.T), V * (A.T @ (R / 2))), "not divided by O"),
        (lambda A, V, R: (A * (R / (2 * (A @ V)) @ V.T), V * (A.T @ (R / (2 * (A @ V))))),
         "O = 0"),
        (lambda A, V, R: product_rule(A, V, R)[::-1], "exchanged"),
        (lambda A, V, R: (product_rule(A, V, R)[0],
                          V * (A @ rules.divide(R, 2 * (A @ V)))), "A.T")],
    "softmax_rule": [
        (lambda s, R: s * (R - np.exp(s) / np.exp(s).sum(1, keepdims=True)
                           * R.sum(1, keepdims=True)), "scores are large"),
        (lambda s, R: softmax_rule(s, R, s - s.max(1, keepdims=True)), "less the largest"),
        (lambda s, R: softmax_rule(s, R, np.ones_like(s)), "not multiplied by the score"),
        (lambda s, R: s * R, "is missing"),
        (lambda s, R: s * (R - np.array(softmax(s)) * R), "sum of the row"),
        (lambda s, R: s * (R + np.array(softmax(s)) * R.sum(1, keepdims=True)), "subtract"),
        (lambda s, R: s * (R - np.array(softmax(s)) * R.sum()), "whole matrix"),
        (lambda s, R: softmax_rule(s, R, np.array(softmax(s))), "multiplied by A")],
    "attention_rollout": [
        (lambda maps: attention_rollout(maps, 0.0), "shortcuts"),
        (lambda maps: attention_rollout(maps[::-1]), "order"),
        (lambda maps: 2**len(maps) * attention_rollout(maps), "not halved"),
        (lambda maps: np.full(len(maps[0]), 1 / len(maps[0])), "over the columns"),
        (lambda maps: attention_rollout(maps[-1:]), "only the last"),
        (lambda maps: len(maps[0]) * attention_rollout(maps), "their mean")],
    "negative_logits": [
        (lambda a, W, b, R: lrp(a, W, b, np.where(a @ W + b < 0, 0, R)), "still there"),
        (raw_lrp, "z = 0"),
        (lambda a, W, b, R: lrp(a, W, b, R * np.sign(a @ W + b)), "sign of z is lost"),
        (lambda a, W, b, R: a * (R / np.where(a @ W + b <= 0, 1, a @ W + b) @ W.T),
         "every negative z"),
        (lambda a, W, b, R: a * (R / (a @ W + b + 1e-3) @ W.T), "not what"),
        (lambda a, W, b, R: lrp(a, W, b, R, 1e-3), "no stabilizer"),
        (lambda a, W, b, R: lrp(a, W, b, R, bias=0), "bias forgotten")],
    "dead_neurons": [
        (lambda a, W, b, R, epsilon: a * (R / (a @ W + b + epsilon * np.sign(a @ W + b)) @ W.T),
         "still there"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=np.sign), "R is dropped"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=lambda z: 1), "z - epsilon"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R, epsilon, sign=lambda z: 1 if z > 0 else -1),
         "must be +1, not -1"),
        (lambda a, W, b, R, epsilon: lrp(a, W, b, R), "stabilizer forgotten")],
    "lost_relevance": [
        (lambda a, W, b, R, gamma: a * (rules.divide(R, a @ W + b)
                                        @ (W + gamma * W.clip(0)).T), "still there"),
        (lambda a, W, b, R, gamma: a * (rules.divide(
            R, a @ (W + gamma * W.clip(0)) + b) @ (W + gamma * W.clip(0)).T), "is not favoured"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R), "this is LRP-0"),
        (lambda a, W, b, R, gamma: a * (rules.divide(
            R, a @ (W + gamma * W.clip(0)) + b + gamma * b.clip(0)) @ W.T), "only the denominator"),
        (lambda a, W, b, R, gamma: lrp(a, W, b, R, gamma=gamma, bias=0), "bias forgotten")],
    "the_way_back": [
        (lambda x, W1, b1, W2, b2, target: relevance_of_pixels(
            x, W1, b1, W2, b2, [target[0]] * len(x)), "still there"),
        (lambda *v: relevance_of_pixels(*v, start=1), "must start at the logit"),
        (lambda *v: relevance_of_pixels(*v, lower=lambda *u: lrp(*u, give=1)),
         "relevance ignored"),
        (lambda *v: relevance_of_pixels(*v, upper=lambda *u: lrp(*u, bias=0)), "last layer"),
        (lambda x, W1, b1, W2, b2, target: lrp(
            x, W1, b1, lrp(np.maximum(x @ W1 + b1, 0), W2, b2,
                           np.maximum(x @ W1 + b1, 0) @ W2 + b2)), "from all logits")],
    "convolve": [
        (lambda a, W, b: convolve(a, W, b, bias=0), "bias forgotten"),
        (lambda a, W, b: convolve(a, W, b, at=flip_rows), "flipped"),
        (lambda a, W, b: convolve(a[:, :1], W, b), "only the first channel"),
        (lambda a, W, b: convolve(a, W / len(W), b), "channels are averaged"),
        (lambda a, W, b: np.array(convolve(a, W, b))[:, :, :-1, :-1], "last place is missing"),
        (lambda a, W, b: convolve(np.pad(a, ((0, 0), (0, 0), (1, 1), (1, 1))), W, b), "shape"),
        (lambda a, W, b: convolve(a, W, b, at=lambda W, c, k, i, j: W[c, k, j, i])
         if W.shape[2] == W.shape[3] else 1 / 0, "swapped"),
        (lambda a, W, b: 0 * np.array(convolve(a, W, b)) + 1, "activations ignored"),
        (lambda a, W, b: convolve(a, W, b) + convolve(a, W, b) ** 2, "not what the formula")],
    "convolve_transpose": [
        (lambda s, W: convolve_transpose(s, W, add=False), "must be added"),
        (lambda s, W: convolve_transpose(s, W, at=flip_rows), "flipped"),
        (lambda s, W: convolve(s, flipped_and_swapped(W), np.zeros((len(W), 1, 1))), "grows"),
        (lambda s, W: convolve_transpose(s[:, :1], W), "sum over all k"),
        (lambda s, W: convolve_transpose(s, np.ones_like(W)), "weights ignored"),
        (lambda s, W: convolve_transpose(s, W)[:, :, :s.shape[2], :s.shape[3]], "shape")],
    "occlusion": [
        (lambda *v: -np.array(occlusion(*v)), "sign is wrong"),
        (lambda *v: occlusion(*v, fill=1), "becomes 1"),
        (lambda x, W1, b1, W2, b2, c: gradient_x(x, W1, b1, W2, b2, c, [1]), "gradient x input"),
        (lambda x, W1, b1, W2, b2, c: occlusion(
            x, W1, b1, W2, b2, np.argmax(forward(x, W1, b1, W2, b2), axis=1)), "target is ignored"),
        (lambda *v: occlusion(*v, of=softmax), "softmax"),
        (lambda *v: occlusion(*v)[0], "shape"),
        (lambda x, W1, b1, W2, b2, c: [[forward(np.where(np.arange(x.shape[1]) == i, 0, x), W1, b1,
                                                W2, b2)[n][c[n]] for i in range(x.shape[1])]
                                       for n in range(len(x))], "without the pixel")],
    "integrated_gradients": [
        (lambda *v: gradient_x(*v[:-1], [1]), "gradient x input"),
        (lambda *v: gradient_x(*v[:-1], [m / v[-1] for m in range(v[-1])]), "begins at 0"),
        (lambda *v: gradient_x(*v[:-1], [(m + 1) / v[-1] for m in range(v[-1])]), "first part"),
        (lambda *v: v[-1] * np.array(integrated_gradients(*v)), "take their mean"),
        (lambda x, *v: integrated_gradients(x, *v) / np.where(x == 0, 1, x), "not multiplied by x"),
        (lambda x, W1, b1, *v: integrated_gradients(x, W1, 0 * b1, *v), "bias forgotten")],
    "similarity": [
        (lambda R, S, x: similarity(R, S, x + 1), "all pixels count"),
        (lambda R, S, x: [np.corrcoef(a[i > 0], b[i > 0])[0, 1] for a, b, i in zip(R, S, x)],
         "Pearson"),
        (lambda R, S, x: [np.corrcoef(np.argsort(a[i > 0]), np.argsort(b[i > 0]))[1, 0]
                          for a, b, i in zip(R, S, x)], "argsort alone"),
        (lambda R, S, x: similarity(abs(R), abs(S), x), "sign counts"),
        (lambda R, S, x: similarity(R, -S, x), "sign is wrong"),
        (lambda R, S, x: np.array(similarity(R, S, x))[:, None], "shape")],
    "cascade": [
        (lambda W, fresh, count: fresh[:count] + W[count:], "lowest layers"),
        (lambda W, fresh, count: W[:count] + fresh[count:], "are kept"),
        (lambda W, fresh, count: W[:-count] + fresh[-count:], "count = 0"),
        (lambda W, fresh, count: W[:len(W) - count] + fresh[:count], "its own place"),
        (lambda W, fresh, count: W[:3 - count] + fresh[3 - count:][::-1], "wrong order"),
        (lambda W, fresh, count: [fresh[i] if i == 3 - count else W[i] for i in range(3)],
         "only one layer")],
    "soft_min": [
        (lambda h, beta: raw_soft_min(h, beta), "subtract the smallest h of the row first"),
        (lambda h, beta: raw_soft_min(h, beta, np.max), "not the largest"),
        (lambda h, beta: (-np.log(np.exp(-beta * (h - h.min())).sum(1)) / beta + h.min(),
                          np.exp(-beta * (h - h.min()))
                          / np.exp(-beta * (h - h.min())).sum(1)[:, None]),
         "not that of all rows"),
        (lambda h, beta: (soft_min(h - h.min(1)[:, None], beta)[0], soft_min(h, beta)[1]),
         "add it again"),
        (lambda h, beta: soft_min(h, beta, sign=1), "sign of h"),
        (lambda h, beta: (np.log(np.exp(-beta * h).sum(1)) / beta, soft_min(h, beta)[1]),
         "sign of f"),
        (lambda h, beta: (-np.log(np.exp(-beta * h).sum(1)), soft_min(h, beta)[1]),
         "not divided by beta"),
        (lambda h, beta: soft_min(h, 1.0), "beta ignored"),
        (lambda h, beta: (np.min(h, axis=1), (h == h.min(1)[:, None]) * 1.0), "minimum itself"),
        (lambda h, beta: (np.sum(h * soft_min(h, beta)[1], axis=1), soft_min(h, beta)[1]),
         "mean of h"),
        (lambda h, beta: (soft_min(h, beta)[0], np.exp(-beta * (h - h.min(1)[:, None]))),
         "not normalised"),
        (lambda h, beta: (soft_min(h, beta)[0], np.exp(-beta * (h - h.min(1)[:, None]))
                          / np.exp(-beta * (h - h.min(1)[:, None])).sum(0)), "wrong axis"),
        (lambda h, beta: soft_min(h, beta)[0], "must return 2 things (f, p)"),
        (lambda h, beta: (soft_min(h, beta)[0][:, None], soft_min(h, beta)[1]), "shape: f")],
    "midpoint_rule": [
        (lambda *v: midpoint_rule(*v, middle=lambda own, rival: 0,
                                  zero=lambda own, rival: (own + rival) / 2), "from 0"),
        (lambda *v: midpoint_rule(*v, zero=lambda own, rival: 0), "divided by w . x"),
        (lambda *v: midpoint_rule(*v, middle=lambda own, rival: 0), "midpoints forgotten"),
        (lambda *v: midpoint_rule(*v, middle=lambda own, rival: own), "own centroid"),
        (lambda *v: midpoint_rule(*v, middle=lambda own, rival: rival), "rival's centroid"),
        (lambda *v: shared_midpoint(*v, lambda mu, c: mu.mean(axis=0)), "one midpoint for all"),
        (lambda *v: shared_midpoint(*v, lambda mu, c: (mu[c] + mu[0 if c else 1]) / 2),
         "wrong pair"),
        (lambda *v: midpoint_rule(*v, factor=1), "factor 2 forgotten"),
        (lambda *v: midpoint_rule(*v, middle=lambda own, rival: own + rival), "half the sum"),
        (lambda *v: midpoint_rule(*v, factor=-2), "sign is wrong"),
        (lambda x, mu, c, R: midpoint_rule(x, mu, c, np.ones(R.shape)), "relevance ignored"),
        (lambda *v: raw_midpoint_rule(*v), "right except where h = 0")],
    "intersection_relevance": [
        (lambda x, u, alpha, b: intersection_relevance(x, u, alpha, b, bias=0), "bias forgotten"),
        (lambda x, u, alpha, b: intersection_relevance(x, u, alpha, b, bias=b), "whole bias"),
        (lambda x, u, alpha, b: intersection_relevance(x, u, alpha, b, bias=b / len(u)),
         "number of examples"),
        (lambda *v: intersection_relevance(*v, kernel=max), "maximum"),
        (lambda *v: intersection_relevance(*v, kernel=lambda one, other: one * other), "product"),
        (lambda x, u, alpha, b: sum(alpha[i] * (np.minimum(x, u[i]) + b / x.shape[1])
                                    for i in range(len(u))), "multiplied by the weights"),
        (lambda x, u, alpha, b: sum(np.minimum(x, one) for one in u) + b / x.shape[1],
         "alpha ignored"),
        (lambda x, u, alpha, b: b + (np.minimum(x[:, None], u) @ np.ones(u.shape[1])) @ alpha,
         "do not sum over the dimensions")],
    "root_point": [
        (lambda *v: root_point(*v, bias=0), "bias forgotten"),
        (lambda a, w, b, v: root_point(a, w, -b, v), "sign of b"),
        (lambda *v: root_point(*v, turn=-1), "wrong way"),
        (lambda *v: root_point(*v, unit=lambda a, w, v: 1), "not divided by v . w"),
        (lambda *v: root_point(*v, unit=lambda a, w, v: v @ v), "divided by v . v"),
        (lambda *v: root_point(*v, unit=lambda a, w, v: np.sum(w ** 2)), "divided by w . w"),
        (lambda *v: root_point(*v, unit=lambda a, w, v: a @ w), "divided by a . w"),
        (lambda *v: root_point(*v, unit=lambda a, w, v: abs(v @ w)), "t is negative"),
        (lambda a, w, b, v: root_point(a, w, b, np.stack([w] * len(a))), "walk along w"),
        (lambda a, w, b, v: root_point(a, w, b, a), "walk along a"),
        (lambda a, w, b, v: (a @ w + b) / (v @ w), "this is t"),
        (lambda a, w, b, v: (a @ w + b)[:, None] / (v @ w)[:, None] * v, "subtract it from a"),
        (lambda a, w, b, v: w * (a - root_point(a, w, b, v)), "the root itself"),
        (lambda a, w, b, v: a - (a @ w + b) / (v @ w) * v, "over the columns")],
    "relevance_in_a_box": [
        (lambda *v: relevance_in_a_box(*v, up=lambda w: w < 0), "bounds are exchanged"),
        (lambda *v: relevance_in_a_box(*v, up=lambda w: True), "all inputs move toward low"),
        (lambda *v: relevance_in_a_box(*v, up=lambda w: False), "all inputs move toward high"),
        (lambda a, w, b, low, high: relevance_in_a_box(a, w, b, 0, high), "low forgotten"),
        (lambda a, w, b, low, high: relevance_in_a_box(a, w, b, low, 0), "high forgotten"),
        (lambda a, w, b, low, high: relevance_in_a_box(a, w, b, 0, 0), "this is LRP-0"),
        (lambda *v: relevance_in_a_box(*v, bias=0), "bias forgotten"),
        (lambda a, w, *v: relevance_in_a_box(a, w, *v) / w, "multiply it by w"),
        (lambda a, w, *v: a - relevance_in_a_box(a, w, *v) / w, "this is the root"),
        (lambda a, w, *v: a * relevance_in_a_box(a, w, *v), "multiplied by a as well"),
        (lambda *v: -relevance_in_a_box(*v), "sign is wrong"),
        (lambda a, w, b, low, high: a * w - np.minimum(w * low, w * high), "beyond the root"),
        (lambda *v: relevance_in_a_box(*v).sum(axis=1), "shape")],
    "gamma_for": [
        (lambda *v: gamma_for(*v, at_least=-9), "must not be negative"),
        (lambda *v: gamma_for(*v, at_least=-9) + 1, "this is 1 + γ"),
        (lambda *v: gamma_for(*v, missing=0), "Q is missing"),
        (lambda *v: gamma_for(*v, missing=-1), "wrong sign in the denominator"),
        (lambda a, w, share: gamma_for(a, -w, share), "exchanged"),
        (lambda a, w, share: gamma_for(a, w, 1 / share), "upside down"),
        (lambda *v: [gamma_for(*v)[0]] * len(v[0]), "each has its own"),
        (lambda *v: [math.ceil(gamma) for gamma in gamma_for(*v)], "rounded up"),
        (lambda *v: gamma_for(*v)[:, None], "shape")],
    "put_mark": [
        (lambda *v: put_mark(*v, gets=lambda n, label, c: True), "all images get the mark"),
        (lambda *v: put_mark(*v, gets=lambda n, label, c: label != c), "other classes"),
        (lambda *v: put_mark(*v, gets=lambda n, label, c: n == c), "number of the class"),
        (lambda *v: put_mark(*v, new=lambda old, value: old + value), "value is added"),
        (lambda *v: put_mark(*v, new=lambda old, value: old * value), "multiplied"),
        (lambda *v: put_mark(*v, new=max), "brighter pixels are kept"),
        (lambda *v: put_mark(*v, new=lambda old, value: 1), "become 1"),
        (lambda x, y, c, pixels, value: put_mark(x, y, c, pixels[:1], value), "first pixel"),
        (lambda x, y, c, pixels, value: put_mark(x, y, c, range(x.shape[1]), value),
         "all pixels are set"),
        (lambda x, y, c, pixels, value: put_mark(x, y, c, [j - 1 for j in pixels], value),
         "begin at 0"),
        (lambda x, y, c, *v: put_mark(x, y, c, *v)[y == c], "images of the class alone"),
        (lambda *v: marking(*v), "changes its argument images")],
    "share_on": [
        (lambda R, pixels: abs(R[:, pixels]).sum(1) / abs(R).sum(1), "all R of an image are 0"),
        (lambda *v: share_on(*v, size=lambda r: r), "signs cancel: take |R| before"),
        (lambda *v: share_on(*v, size=lambda r: r, below=abs), "signs cancel on the pixels"),
        (lambda *v: share_on(*v, below=lambda r: r), "below the line"),
        (lambda *v: share_on(*v, size=lambda r: max(r, 0)), "only positive relevance"),
        (lambda *v: share_on(*v, size=lambda r: r * r), "squared"),
        (lambda R, pixels: abs(R[:, pixels]).sum(1), "not divided"),
        (lambda R, pixels: 1 * (abs(R).sum(1) > 0) - share_on(R, pixels), "other pixels"),
        (lambda R, pixels: abs(R[:, pixels]).sum(1) / abs(R).sum(), "each image has its own"),
        (lambda R, pixels: share_on(R, pixels).mean(), "mean over the images"),
        (lambda R, pixels: share_on(R, pixels) / len(pixels), "not what")],
    "matters_to_one_class": [
        (lambda *v: matters_to_one_class(*v, mean=sum), "sums of the classes"),
        (lambda *v: matters_to_one_class(*v, score=lambda m: m[-1]), "subtract the second"),
        (lambda *v: matters_to_one_class(*v, score=lambda m: m[-1] - m[0]), "smallest class mean"),
        (lambda *v: matters_to_one_class(*v, score=lambda m: m[-1] - np.mean(m)),
         "mean of all classes"),
        (lambda *v: matters_to_one_class(*v, score=lambda m: m[-1] - np.mean(m[:-1])),
         "mean of the other classes"),
        (lambda *v: matters_to_one_class(*v, score=np.var), "variance"),
        (lambda *v: matters_to_one_class(*v, score=np.std), "standard deviation"),
        (lambda *v: matters_to_one_class(*v, mean=max), "largest of each class"),
        (lambda R, y: matters_to_one_class(abs(R), y), "|R| is averaged"),
        (lambda R, y: -matters_to_one_class(R, y), "sign is wrong"),
        (lambda R, y: matters_to_one_class(-R, y), "smallest class means"),
        (lambda R, y: np.sort(R, axis=0)[-1] - np.sort(R, axis=0)[-2], "average each class"),
        (lambda R, y: matters_to_one_class(R, y).max(), "shape")],
}


def marking(images, labels, of_class, pixels, value):
    images[np.ix_(labels == of_class, pixels)] = value
    return images


def raw_soft_min(h, beta, c=lambda row: 0):
    e = np.array([np.exp(-beta * (row - c(row))) for row in h])
    return ([c(row) - np.log(one.sum()) / beta for row, one in zip(h, e)],
            e / e.sum(1, keepdims=True))


def raw_midpoint_rule(x, mu, c, R):
    w, m = 2 * (mu[c] - np.delete(mu, c, 0)), (mu[c] + np.delete(mu, c, 0)) / 2
    parts = (x[:, None] - m) * w
    return (parts / parts.sum(2, keepdims=True) * R[:, :, None]).sum(1)


def shared_midpoint(x, mu, c, R, of):
    w = 2 * (mu[c] - np.delete(mu, c, 0))
    parts = (x[:, None] - of(mu, c)) * w
    return (rules.divide(R, parts.sum(2))[:, :, None] * parts).sum(1)


def flipped_and_swapped(W):
    return W[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)


@pytest.mark.parametrize("name", BY_NAME)
def test_right_answers_are_accepted(name):
    assert judge(LOOPS[name], BY_NAME[name]).status == "right"
    assert judge(LIBRARY.get(name, BY_NAME[name].solution), BY_NAME[name]).status == "right"


@pytest.mark.parametrize("name", BY_NAME)
def test_the_teachers_solutions_are_right(name):
    solutions = load(EXERCISES.parent / "teachers" / "solutions.py")
    assert judge(getattr(solutions, name), BY_NAME[name]).status == "right"


def test_a_list_of_results_will_do():
    assert judge(lambda a, dz: list(gradients(a, dz)), BY_NAME["gradients"]).status == "right"
    assert judge(lambda *values: list(ledger(*values)), BY_NAME["ledger"]).status == "right"
    wrong = judge(lambda a, dz: [np.ones(a.shape).T @ dz, dz.sum(0)], BY_NAME["gradients"])
    assert wrong.what == judge(lambda a, dz: (np.ones(a.shape).T @ dz, dz.sum(0)),
                               BY_NAME["gradients"]).what
    wrong = judge(lambda a, dz: [np.sin(a).T @ dz * 0 + 3, dz.sum(0) + 1], BY_NAME["gradients"])
    assert "activations ignored" in wrong.what


@pytest.mark.parametrize("name, number", [(name, number) for name, misses in NEAR_MISSES.items()
                                          for number in range(len(misses))])
def test_near_misses_are_told(name, number):
    function, what = NEAR_MISSES[name][number]
    verdict = judge(function, BY_NAME[name])
    assert verdict.status == "wrong" and what in verdict.what
    text = "\n".join(told(verdict, BY_NAME[name].outputs))
    assert "yours" in text and "expected" in text and "= " in text


def test_of_all_near_misses_95_percent_get_their_diagnosis():
    """And not only the remark that they are wrong."""
    whats = [judge(function, BY_NAME[name]).what
             for name, misses in NEAR_MISSES.items() for function, _ in misses]
    vague = [what for what in whats if what in ("not what the formula gives", "")]
    assert len(whats) >= 100 and len(vague) <= 0.05 * len(whats)


def test_each_task_has_five_near_misses():
    assert set(NEAR_MISSES) == set(BY_NAME) == set(LOOPS)
    assert all(len(misses) >= 5 for misses in NEAR_MISSES.values())


@pytest.mark.parametrize("name", BY_NAME)
def test_each_case_has_an_answer(name):
    """The library's own function stops in no case: one that does would tell nothing."""
    for case in BY_NAME[name].cases:
        assert all(np.isfinite(result).all() for result in run(BY_NAME[name].solution, case))


@pytest.mark.parametrize("name", BY_NAME)
def test_each_mistake_is_one(name):
    """What the grader takes for a mistake is not right in all cases, and not another one's twin."""
    task = BY_NAME[name]
    for what, mistaken in task.mistakes:
        verdict = judge(mistaken, task)
        assert (verdict.status, verdict.what) == ("wrong", what)


@pytest.mark.parametrize("stem", TASKS)
def test_stubs_are_not_started(stem):
    judged = verdicts(EXERCISES / f"{stem}.py")
    if stem == "ex13_broken_lrp":       # programs with a fault that is to be found
        assert all("the fault is still there" in verdict.what for verdict in judged.values())
        return
    assert {name: verdict.status for name, verdict in judged.items()} == {
        task.name: "not started" for task in TASKS[stem]}
    module = load(EXERCISES / f"{stem}.py")
    for task in TASKS[stem]:
        assert "Hint: " in getattr(module, task.name).__doc__


def test_each_file_has_its_tasks():
    assert {path.stem for path in EXERCISES.glob("ex*.py")} == set(TASKS)


def handed_in(folder, stem, **bodies):
    """A copy of an exercise with some of its functions written."""
    folder.mkdir(exist_ok=True)
    text = (EXERCISES / f"{stem}.py").read_text()
    for name, body in bodies.items():
        before, after = text.split(f"def {name}(")
        text = before + f"def {name}(" + after.replace("raise NotImplementedError", body, 1)
    (folder / f"{stem}.py").write_text(text)
    return folder / f"{stem}.py"


EPSILON = """z = a @ W + b
    s = R / (z + epsilon * np.where(z >= 0, 1, -1))
    return a * (s @ W.T)"""


def test_a_file_is_graded(tmp_path):
    path = handed_in(tmp_path, "ex06_rules", lrp_epsilon=EPSILON,
                     lrp_gamma="return a * (R @ W.T)")
    program = f"import sys; sys.path.insert(0, {str(EXERCISES)!r}); from grader import grade; "
    result = subprocess.run([sys.executable, "-c", f"{program} grade({str(path)!r})"], text=True,
                            capture_output=True)
    lines = result.stdout.splitlines()
    assert lines[0] == "ex06_rules.py" and lines[1].split() == ["lrp_epsilon", "right"]
    assert lines[2].startswith("  lrp_gamma    wrong: ") and lines[3].strip() == "a = [[1. 2.]]"
    assert lines[-1] == "1 right, 1 wrong, 0 not started"
    assert result.returncode == 1 and result.stderr == ""


def test_files_that_do_not_load(tmp_path):
    path = handed_in(tmp_path, "ex08_ledger", ledger="return (")
    assert "the file does not load: SyntaxError" in verdicts(path)["ledger"].what
    path.write_text("def ledgers():\n    pass\n")
    assert "there is no function ledger" in verdicts(path)["ledger"].what
    path.write_text("raise SystemExit('no')\n")
    assert "the file does not load: SystemExit" in verdicts(path)["ledger"].what
    path.unlink()
    assert verdicts(path)["ledger"].status == "not started"
    with pytest.raises(SystemExit, match="path must be one of .*, got ex99.py"):
        grade(tmp_path / "ex99.py")


def test_a_class_is_graded(tmp_path):
    handed_in(tmp_path / "Ada", "ex06_rules", lrp_epsilon=EPSILON)
    handed_in(tmp_path / "Bo-exner", "ex09_zero_centring", centred_bias="return b - f0 * W.sum(0)")
    result = subprocess.run([sys.executable, "-m", "pytest", "-q", EXERCISES, "-p",
                             "no:cacheprovider", "--class", tmp_path], text=True,
                            capture_output=True)
    assert "Ada: 1 of 3 right, 1 begun" in result.stdout     # of the two files handed in
    assert "Bo-exner: 0 of 3 right, 1 begun" in result.stdout
    assert "the sign is wrong" in result.stdout and "not started" in result.stdout
    assert result.returncode == 1
