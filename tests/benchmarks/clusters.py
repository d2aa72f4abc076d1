"""k-means beside scikit-learn's, explaining its clusters beside explaining a network, and a bag of
words of as many digits as its kernel matrix allows."""
import time

import numpy as np
from sklearn.cluster import KMeans

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from measuring import compare, rows

CLUSTERS, ITERATIONS = 10, 20


def clusters_section(digits, options):
    x, new = digits.train_images, digits.test_images
    start = x[np.random.default_rng(0).choice(len(x), CLUSTERS, replace=False)]

    def ours():
        return lrp.KMeans.fit(x, CLUSTERS, iterations=ITERATIONS, centroids=start)

    def theirs():
        return KMeans(CLUSTERS, init=start, n_init=1, max_iter=ITERATIONS, tol=0,
                      algorithm="lloyd").fit(x)
    difference = abs(ours().inertia(x) / theirs().inertia_ - 1)
    turns = 1 if options.small else 15
    fits = compare({"lrp_numpy": ours, "scikit-learn (Lloyd)": theirs}, turns)
    clusters, net = ours(), lrp.MLP.random([784, 500, 10], "relu", rng=0)
    explained = compare({
        "lrp_numpy": lambda: lrp.explain(clusters, new),
        "a network of 784-500-10, LRP-0, by the equations": lambda: lrp.explain(
            net, new, engine="numpy"),
        "the same by the loops": lambda: lrp.explain(net, new, engine="numba")}, turns)
    return f"""## k-means: {ITERATIONS} iterations on {len(x):,} digits, {CLUSTERS} clusters

Both begin with the same {CLUSTERS} digits, and end with inertias that differ by {difference:.0e} of
their size.

{as_markdown(rows(fits))}

Explaining the clusters of {len(new):,} digits:

{as_markdown(rows(explained))}

{bag_of_words(digits, options)}"""


def bag_of_words(digits, options):
    """How well the largest bag of words reads, and how long it takes."""
    few = min(len(digits.train_images), 500 if options.small else 31_622)
    some = np.random.default_rng(0).permutation(len(digits.train_images))[:few]
    begin = time.perf_counter()
    bag = lrp.BagOfWords.fit(digits.train_images[some], digits.train_labels[some], step=2)
    fitted = time.perf_counter()
    correct = bag.predict(digits.test_images) == digits.test_labels
    return f"""## Bag of words

`BagOfWords.fit(step=2)` on {few:,} digits, whose kernel matrix in float32 takes
{4 * few**2 / 1e9:.1f} of at most 4 GB: accuracy {100 * correct.mean():.2f} % on \
{len(correct):,} test digits; fitted in {fitted - begin:.0f} s."""
