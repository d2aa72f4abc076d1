"""LRP in one page: a network, and which pixels made it read the digit. numpy and matplotlib only.

Layer-wise Relevance Propagation (Bach et al. 2015) takes the network's output for a class and
hands it back, layer by layer, to the neurons and pixels that it came from, in proportion to what
each contributed. Run this file, then change something. Lessons 2 to 6 of lrp_numpy explain it.
"""
import matplotlib.pyplot as plt
import numpy as np

# --- Digits to read: seven strokes as on a pocket calculator, moved about, with noise -------------
STROKES = {"top": np.s_[0:2, 0:8], "middle": np.s_[6:8, 0:8], "bottom": np.s_[12:14, 0:8],
           "upper left": np.s_[0:8, 0:2], "upper right": np.s_[0:8, 6:8],
           "lower left": np.s_[6:14, 0:2], "lower right": np.s_[6:14, 6:8]}
OF_DIGIT = ["1011111", "0000101", "1110110", "1110101", "0101101", "1111001", "1111011", "1000101",
            "1111111", "1111101"]       # which strokes, in the order above
rng = np.random.default_rng(0)


def draw(digit):
    image, y, x = np.zeros((18, 12)), *rng.integers(0, 5, 2)
    for stroke, is_on in zip(STROKES.values(), OF_DIGIT[digit]):
        if is_on == "1":
            image[y:y + 14, x:x + 8][stroke] = rng.uniform(0.6, 1)
    return image.ravel() + rng.uniform(0, 0.15, image.size)


labels = rng.integers(0, 10, 4000)
images = np.array([draw(digit) for digit in labels])

# --- The network: two matrices, and a ReLU between them -------------------------------------------
def forward(x):
    """The activations of every layer, the pixels first and the logits last."""
    hidden = np.maximum(x @ W1 + b1, 0)
    return x, hidden, hidden @ W2 + b2


W1, b1 = rng.normal(0, 0.1, (images.shape[1], 64)), np.zeros(64)
W2, b2 = rng.normal(0, 0.1, (64, 10)), np.zeros(10)
for step in range(1000):                # training: gradient descent on the cross-entropy
    batch = rng.integers(0, len(images), 64)
    x, hidden, logits = forward(images[batch])
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    dlogits = (p / p.sum(axis=1, keepdims=True) - np.eye(10)[labels[batch]]) / len(batch)
    dz = dlogits @ W2.T * (hidden > 0)
    for array, gradient in ((W2, hidden.T @ dlogits), (b2, dlogits.sum(0)),
                            (W1, x.T @ dz), (b1, dz.sum(0))):
        array -= 0.3 * gradient

# --- LRP: the four lines. Everything else in this file is only there for them ---------------------
def propagate(a, W, b, R, epsilon=0.0, gamma=0.0):
    """From the relevance R of a layer's outputs to that of its inputs. LRP-0, epsilon, gamma."""
    W, b = W + gamma * np.maximum(W, 0), b + gamma * np.maximum(b, 0)
    z = a @ W + b                                   # what each output adds up
    z = z + epsilon * np.where(z >= 0, 1, -1)       # epsilon: never too near to 0
    s = np.divide(R, z, where=z != 0, out=np.zeros_like(z))     # relevance per unit of it
    return a * (s @ W.T)                            # each input's share


def explain(x, **rule):
    """The relevance of the pixels for the predicted class, in units of its logit."""
    x, hidden, logits = forward(x)
    R = np.where(logits == logits.max(axis=1, keepdims=True), logits, 0)
    return propagate(x, W1, b1, propagate(hidden, W2, b2, R, **rule), **rule)


RULES = {"LRP-0": {}, "LRP-epsilon": {"epsilon": 0.5}, "LRP-gamma": {"gamma": 1.0}}
if __name__ == "__main__":
    shown = np.array([draw(digit) for digit in (2, 4, 6, 9)])
    print("accuracy:", (forward(images)[2].argmax(axis=1) == labels).mean())
    figure, grid = plt.subplots(4, 4, figsize=(6, 8), layout="constrained")
    for row, image, guess in zip(grid, shown, forward(shown)[2].argmax(axis=1)):
        row[0].imshow(image.reshape(18, 12), cmap="gray_r")
        row[0].set_title(f"predicts {guess}", fontsize=9)
        for axes, (name, rule) in zip(row[1:], RULES.items()):
            R = explain(image[None], **rule).reshape(18, 12)
            axes.imshow(R, cmap="RdBu_r", vmin=-np.abs(R).max(), vmax=np.abs(R).max())
            axes.set_title(f"{name}\nsum {R.sum():.1f}", fontsize=9)
    figure.suptitle("Red: evidence for the prediction. Blue: evidence against it", fontsize=10)
    figure.savefig("lrp_in_one_page.png")
