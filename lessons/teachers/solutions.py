"""One solution of each exercise, as short as a student's may be. The graders accept all of them.

Functions that use one another stand in the order of the lessons. Exercise 13 is here mended.
"""
import numpy as np


# 1. Digits

def as_rows(images):
    return images.reshape(len(images), -1) / 255


# 2. A forward pass by hand

def linear(a, W, b):
    return a @ W + b


def softmax(logits):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def forward(x, W1, b1, W2, b2):
    return np.maximum(x @ W1 + b1, 0) @ W2 + b2


# 3. Backpropagation by hand

def dlogits(logits, labels):
    p = softmax(logits)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


def gradients(a, dz):
    return a.T @ dz, dz.sum(axis=0)


def hand_down(dz, W, a):
    return dz @ W.T * (a > 0)


# 4. Adam and training

def adam_step(w, gradient, m, v, t, learning_rate):
    m = 0.9 * m + 0.1 * gradient
    v = 0.999 * v + 0.001 * gradient**2
    m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
    return w - learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8), m, v


# 5. LRP by hand

def divide(R, z):
    return np.where(z == 0, 0, R / np.where(z == 0, 1, z))


def lrp_0(a, W, b, R):
    z = a @ W + b
    s = divide(R, z)
    c = s @ W.T
    return a * c


def relevance_of_pixels(x, W1, b1, W2, b2, target):
    a = np.maximum(x @ W1 + b1, 0)
    logits = a @ W2 + b2
    R = np.where(np.arange(logits.shape[1]) == np.reshape(target, (-1, 1)), logits, 0)
    return lrp_0(x, W1, b1, lrp_0(a, W2, b2, R))


# 6. The rules

def lrp_epsilon(a, W, b, R, epsilon):
    z = a @ W + b
    return a * ((R / (z + epsilon * np.where(z >= 0, 1, -1))) @ W.T)


def lrp_gamma(a, W, b, R, gamma):
    return lrp_0(a, W + gamma * np.maximum(W, 0), b + gamma * np.maximum(b, 0), R)


# 7. Where do the rules come from?

def root_point(a, w, b, v):
    t = (a @ w + b) / (v @ w)
    return a - t[:, None] * v


def relevance_in_a_box(a, w, b, low, high):
    v = np.where(w > 0, a - low, np.where(w < 0, a - high, 0))
    return w * (a - root_point(a, w, b, v))


def gamma_for(a, w, share):
    P, N = a @ np.maximum(w, 0), -a @ np.minimum(w, 0)
    return np.maximum((N / share + N) / P - 1, 0)


# 8. The ledger

def ledger(a, W, b, R, epsilon):
    sign = np.where(a @ W + b >= 0, 1, -1)
    denominator = a @ W + b + epsilon * sign
    s = divide(R, denominator)
    return (R.sum(axis=1), (a * (s @ W.T)).sum(axis=1), (b * s).sum(axis=1),
            (epsilon * sign * s).sum(axis=1), np.where(denominator == 0, R, 0).sum(axis=1))


# 9. The sigmoid trap

def centred_bias(W, b, f0):
    return b + f0 * W.sum(axis=0)


# 10. Pixel flipping

def flip(x, R, fraction):
    flipped = x.copy()
    first = np.argsort(-R, axis=1)[:, :int(np.rint(fraction * x.shape[1]))]
    np.put_along_axis(flipped, first, 0, axis=1)
    return flipped


def confidence(logits):
    top = np.sort(logits, axis=1)
    return (top[:, -1] - top[:, -2]) / top[:, -1]


# 11. Beside other methods

def occlusion(x, W1, b1, W2, b2, target):
    rows, R = np.arange(len(x)), np.zeros(x.shape)
    for i in range(x.shape[1]):
        without = x.copy()
        without[:, i] = 0
        R[:, i] = (forward(x, W1, b1, W2, b2) - forward(without, W1, b1, W2, b2))[rows, target]
    return R


def integrated_gradients(x, W1, b1, W2, b2, target, samples):
    total = np.zeros(x.shape)
    for m in range(samples):
        z = (m + 0.5) / samples * x @ W1 + b1
        total += (W2.T[target] * (z > 0)) @ W1.T
    return x * total / samples


# 12. Clever Hans

def put_mark(images, labels, of_class, pixels, value):
    marked = images.copy()
    marked[np.ix_(labels == of_class, pixels)] = value
    return marked


def share_on(R, pixels):
    return divide(np.abs(R[:, pixels]).sum(axis=1), np.abs(R).sum(axis=1))


def matters_to_one_class(R, labels):
    means = np.sort([R[labels == c].mean(axis=0) for c in np.unique(labels)], axis=0)
    return means[-1] - means[-2]


# 13. Broken LRP

def negative_logits(a, W, b, R):
    z = a @ W + b                       # and not max(z, 0)
    return a * (divide(R, z) @ W.T)


def dead_neurons(a, W, b, R, epsilon):
    z = a @ W + b
    s = R / (z + epsilon * np.where(z >= 0, 1, -1))     # np.sign(0) is 0
    return a * (s @ W.T)


def lost_relevance(a, W, b, R, gamma):
    W, b = W + gamma * np.maximum(W, 0), b + gamma * np.maximum(b, 0)   # below the line as well
    z = a @ W + b
    return a * (divide(R, z) @ W.T)


def the_way_back(x, W1, b1, W2, b2, target):
    return relevance_of_pixels(x, W1, b1, W2, b2, target)       # of each image, not of the first


# 14. Sanity checks

def similarity(R, S, x):
    def ranks(values):
        return np.argsort(np.argsort(values))
    return np.array([np.corrcoef(ranks(a[image > 0]), ranks(b[image > 0]))[0, 1]
                     for a, b, image in zip(R, S, x)])


def cascade(weights, fresh, count):
    kept = len(weights) - count
    return weights[:kept] + fresh[kept:]


# 15. Fewer inputs, smaller networks

def fewer_inputs(x, W, R, count):
    kept = np.sort(np.argsort(-np.abs(R).mean(axis=0))[:count])
    return x[:, kept], W[kept]


# 16. A convolutional network

def convolve(a, W, b):
    H, W_ = a.shape[2] - W.shape[2] + 1, a.shape[3] - W.shape[3] + 1
    z = b[None]
    for i, j in np.ndindex(W.shape[2:]):
        z = z + np.einsum("ncyx,ck->nkyx", a[:, :, i:i + H, j:j + W_], W[:, :, i, j])
    return z


def convolve_transpose(s, W):
    H, W_ = s.shape[2:]
    c = np.zeros((len(s), len(W), H + W.shape[2] - 1, W_ + W.shape[3] - 1))
    for i, j in np.ndindex(W.shape[2:]):
        c[:, :, i:i + H, j:j + W_] += np.einsum("nkyx,ck->ncyx", s, W[:, :, i, j])
    return c


# 14 to 16. Clusters, outliers, bag of words

def soft_min(h, beta):
    smallest = h.min(axis=1, keepdims=True)
    e = np.exp(-beta * (h - smallest))
    return smallest[:, 0] - np.log(e.sum(axis=1)) / beta, e / e.sum(axis=1, keepdims=True)


def midpoint_rule(x, mu, c, R):
    rivals = np.delete(mu, c, axis=0)
    parts = (x[:, None] - (mu[c] + rivals) / 2) * 2 * (mu[c] - rivals)      # (N, K - 1, D)
    return (parts * divide(R, parts.sum(axis=2))[:, :, None]).sum(axis=1)


def intersection_relevance(x, u, alpha, b):
    return b / x.shape[1] + np.einsum("njd,j->nd", np.minimum(x[:, None], u), alpha)


# 17. Shortcuts and normalisation

def residual_share(a, F, R, epsilon):
    y = a + F
    s = divide(R, y + epsilon * np.where(y >= 0, 1, -1))
    return a * s, F * s


def fold_batchnorm(W, b, mean, variance, scale, shift, epsilon):
    factor = scale / np.sqrt(variance + epsilon)
    return W * factor, (b - mean) * factor + shift


# 18. Attention by hand

def product_rule(A, V, R):
    s = divide(R, 2 * (A @ V))
    return A * (s @ V.T), V * (A.T @ s)


def softmax_rule(s, R):
    return s * (R - softmax(s) * R.sum(axis=1, keepdims=True))


# 19. LRP in a transformer

def attention_rollout(maps):
    M = np.eye(maps.shape[1])
    for A in maps:
        M = (A + np.eye(len(A))) / 2 @ M
    return M.mean(axis=0)


# 23. Hot loops

def multiplications(a, K):
    return np.count_nonzero(a) * K


def linear_skipping(a, W, b):
    z = np.array([b] * len(a), float)
    for n in range(len(a)):
        for j in range(len(W)):
            if a[n, j] != 0:
                z[n] += a[n, j] * W[j]
    return z


def relevance_skipping(a, s, W):
    R = np.zeros(a.shape)
    for n in range(len(a)):
        for j in np.flatnonzero(a[n]):
            R[n, j] = a[n, j] * (s[n] @ W[j])
    return R
