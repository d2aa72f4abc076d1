"""k-means and one-class models: loops over the published sums, torch, scikit-learn; and whether the
relevance means what it should."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES
from lrp_numpy.models.kmeans import assign, kmeans_plus_plus, lloyd
from lrp_numpy.models.one_class import likely_gamma

BETAS = [np.inf, 0.8, 0.05]
CASES = pytest.mark.parametrize("seed, K, D, N", [(0, 2, 1, 4), (1, 3, 5, 6), (2, 7, 12, 5)])


def clusters(seed, K, D, N, beta=np.inf):
    """(a KMeans, rows) in float64, far from 0."""
    rng = np.random.default_rng(seed)
    return lrp.KMeans(3 + rng.normal(size=(K, D)), beta), 3 + 2 * rng.normal(size=(N, D))


def soft_min(h, beta):
    """(f, p), by its definition."""
    if beta == np.inf:
        return min(h), [float(one == min(h)) / h.count(min(h)) for one in h]
    weights = [np.exp(-beta * one) for one in h]
    return -np.log(sum(weights)) / beta, [one / sum(weights) for one in weights]


def by_loops(mu, x, c, beta):
    """(f, R of the pixels, R of the rivals) of cluster c, by the sums of Kauffmann et al. 2022."""
    rivals = [k for k in range(len(mu)) if k != c]
    w = {k: 2 * (mu[c] - mu[k]) for k in rivals}
    m = {k: (mu[c] + mu[k]) / 2 for k in rivals}
    h = {k: sum(w[k][i] * (x[i] - m[k][i]) for i in range(len(x))) for k in rivals}
    f, p = soft_min([h[k] for k in rivals], beta)
    R_k = {k: p[place] * f for place, k in enumerate(rivals)}
    R = [sum((x[i] - m[k][i]) * w[k][i] / h[k] * R_k[k] for k in rivals) for i in range(len(x))]
    return f, R, [R_k[k] for k in rivals]


@pytest.mark.parametrize("beta", BETAS)
@CASES
def test_clusters_by_loops(seed, K, D, N, beta):
    km, x = clusters(seed, K, D, N)
    for target in range(K):
        e = lrp.explain(km, x, target=target, beta=beta)
        for n in range(N):
            f, R, R_k = by_loops(km.centroids, x[n], target, beta)
            size = np.abs(R).max()
            assert abs(e.logits[n, target] - f) < 1e-10 * (1 + abs(f))
            np.testing.assert_allclose(e.input[n], R, rtol=0, atol=1e-10 * size)
            np.testing.assert_allclose(e.relevance[1][n, target], R_k, rtol=0, atol=1e-10 * abs(f))
            assert not e.relevance[1][n, np.arange(K) != target].any()
            assert abs(e.input[n].sum() - f) < 1e-10 * size


@pytest.mark.parametrize("beta", BETAS)
@CASES
def test_clusters_by_torch(seed, K, D, N, beta):
    """As a Dense layer and a soft-min, by autograd: f, its gradient, and LRP by the gradient trick,
    which needs each rival's distance from its midpoint as an input of its own."""
    torch = pytest.importorskip("torch")
    km, x = clusters(seed, K, D, N, beta)
    mu = torch.tensor(km.centroids)
    for c in range(K):
        rivals = [k for k in range(K) if k != c]
        W, m = 2 * (mu[c] - mu[rivals]), (mu[c] + mu[rivals]) / 2
        inputs = torch.tensor(x, requires_grad=True)
        y = (inputs[:, None] - m)
        y.retain_grad()
        h = (y * W).sum(dim=2)
        f = h.min(dim=1).values if beta == np.inf else -torch.logsumexp(-beta * h, dim=1) / beta
        f.sum().backward(retain_graph=True)
        dlogits = np.zeros((N, K))
        dlogits[:, c] = 1
        gradient = km.layers[0].backward(x, km.layers[1].backward(km.layers[0].preactivation(x),
                                                                  dlogits))
        np.testing.assert_allclose(gradient, inputs.grad, rtol=0, atol=1e-10)
        y.grad = None
        p = (torch.zeros_like(h).scatter(1, h.argmin(1, keepdim=True), 1.0) if beta == np.inf
             else torch.softmax(-beta * h, dim=1))
        (h * (p * f[:, None] / h).detach()).sum().backward()
        e = lrp.explain(km, x, target=c)
        R = (y * y.grad).sum(dim=1).detach().numpy()
        np.testing.assert_allclose(e.input, R, rtol=0, atol=1e-10 * np.abs(R).max())
        np.testing.assert_allclose(e.logits[:, c], f.detach(), rtol=0, atol=1e-10)


@CASES
def test_a_logit_is_the_log_odds_of_the_soft_assignment(seed, K, D, N):
    km, x = clusters(seed, K, D, N, beta=0.3)
    P = np.exp(-0.3 * ((x[:, None] - km.centroids)**2).sum(axis=2))
    P /= P.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(km.forward(x), np.log(P / (1 - P)) / 0.3, rtol=1e-9)
    assert (km.predict(x) == P.argmax(axis=1)).all()
    assert (lrp.explain(km, x).target == km.predict(x)).all()


def test_two_points_by_hand():
    """x = (3, 1), centroids (4, 0) and (0, 0): w = (8, 0), m = (2, 0), f = 8 (3 - 2) = 8; the other
    cluster's is -8. The second pixel is the same in both centroids."""
    km = lrp.KMeans(np.array([[4.0, 0], [0, 0]]))
    x = np.array([[3.0, 1]])
    e = lrp.explain(km, x)
    assert e.logits.tolist() == [[8, -8]] and e.target.tolist() == [0]
    assert e.input.tolist() == [[8, 0]] and e.relevance[1].tolist() == [[[8], [0]]]
    assert lrp.explain(km, x, target=1).input.tolist() == [[-8, 0]]
    assert km.inertia(x) == 2 and km.predict(x).tolist() == [0]


def test_on_the_border_relevance_is_dropped():
    """A row as near to a rival as to its own cluster: h is exactly 0."""
    km = lrp.KMeans(np.array([[1.0], [-1.0], [4.0]]))
    x = np.array([[0.0]])
    e = lrp.explain(km, x, target=0, start=2.0)
    assert e.input.tolist() == [[0]] and e.unassigned(0)["dropped"] == 2
    assert lrp.explain(km, x, target=0).unassigned(0)["dropped"] == 0      # f = 0


def test_what_changes_networks_leaves_clusters_as_they_are():
    km, x = clusters(6, 4, 5, 6)
    for same in (lrp.zero_centred(km), lrp.fold_batchnorm(km)):
        np.testing.assert_array_equal(same.forward(x), km.forward(x))
    with pytest.raises(ValueError, match="net must have a layer with weights to train"):
        lrp.train(km, x, np.zeros(6, int), epochs=1, progress=False)


@pytest.mark.parametrize("beta", BETAS)
def test_the_ledger_of_clusters(beta):
    km, x = clusters(3, 5, 6, 8)
    e = lrp.explain(km, x, beta=beta)
    f = e.logits[np.arange(8), e.target]
    for row in e.ledger:
        np.testing.assert_allclose(row.received, f, atol=1e-12)
        np.testing.assert_allclose(row.received, row.inputs + row.bias + row.epsilon + row.dropped,
                                   atol=1e-10 * np.abs(e.input).max())
    rivals = lrp.explain(km, x, layer=0, target=2)      # 0's margin over 3: a neuron like any other
    np.testing.assert_allclose(rivals.input.sum(axis=1), km.layers[0].preactivation(x)[:, 0, 2])


def test_beta_is_an_option():
    km, x = clusters(4, 4, 5, 6)
    soft = lrp.explain(lrp.KMeans(km.centroids, 0.2), x)
    given = lrp.explain(km, x, beta=0.2)
    for one, other in zip(soft.relevance, given.relevance):
        np.testing.assert_array_equal(one, other)
    assert km.layers[1].beta == np.inf      # what is passed in is never changed
    parts = list(lrp.explain_batches(km, x, beta=0.2, batch_size=4))
    np.testing.assert_array_equal(np.concatenate([part.input for part in parts]), given.input)


@pytest.mark.parametrize("seed", range(3))
def test_lloyd_is_that_of_scikit_learn(seed):
    """From the same centroids: the same inertia and clusters, step by step and at the end."""
    cluster = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 6)) + 3 * rng.integers(0, 3, size=(300, 1))
    start = x[rng.choice(300, 5, replace=False)]
    for steps in (1, 2, 5, 300):
        theirs = cluster.KMeans(5, init=start, n_init=1, max_iter=steps, tol=0,
                                algorithm="lloyd").fit(x)
        km = lrp.KMeans.fit(x, 5, iterations=steps, centroids=start)
        assert abs(km.inertia(x) / theirs.inertia_ - 1) < 1e-8
        if steps == 300:
            assert (km.predict(x) == theirs.labels_).all()
            np.testing.assert_allclose(km.centroids, theirs.cluster_centers_, atol=1e-10)


def test_each_step_is_that_of_the_definition():
    rng = np.random.default_rng(5)
    x, mu = rng.normal(size=(200, 3)), rng.normal(size=(4, 3))
    for _ in range(6):
        nearest = ((x[:, None] - mu)**2).sum(axis=2).argmin(axis=1)
        now, squares = assign(x, mu)
        assert (now == nearest).all()
        np.testing.assert_allclose(squares, ((x - mu[nearest])**2).sum(axis=1))
        by_hand = np.stack([x[nearest == k].mean(axis=0) for k in range(4)])
        np.testing.assert_allclose(lloyd(x, mu, 1), by_hand, atol=1e-12)
        mu = by_hand


@pytest.mark.long
def test_digits_cluster_as_well_as_by_scikit_learn(digits):
    cluster = pytest.importorskip("sklearn.cluster")
    best = cluster.KMeans(10, n_init=10, random_state=0, algorithm="lloyd").fit(
        digits.train_images).inertia_
    for seed in range(3):
        assert lrp.KMeans.fit(digits.train_images, 10, rng=seed).inertia(
            digits.train_images) < 1.01 * best
    again = [lrp.KMeans.fit(digits.train_images[:500], 4, rng=3, starts=2) for _ in range(2)]
    np.testing.assert_array_equal(again[0].centroids, again[1].centroids)


def test_an_empty_cluster_takes_the_farthest_row():
    """Two of three centroids attract nothing; every cluster has rows in the end."""
    x = np.array([[0.0], [1], [2], [10], [30]])
    km = lrp.KMeans.fit(x, 3, centroids=np.array([[1.0], [1e6], [-1e6]]))
    assert sorted(np.bincount(km.predict(x)).tolist()) == [1, 1, 3]
    assert sorted(km.centroids.ravel().tolist()) == [1, 10, 30]


def test_a_cluster_of_one_is_not_emptied():
    """The farthest row may be the only one of its cluster: then the next farthest is taken."""
    x = np.array([[0.0], [1], [100], [101]])
    km = lrp.KMeans.fit(x, 4, centroids=np.array([[0.5], [100.5], [1e9], [1e8]]))
    assert sorted(km.centroids.ravel().tolist()) == [0, 1, 100, 101] and km.inertia(x) == 0


def test_more_starts_do_no_harm():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(40, 2)) + centre
                        for centre in 6 * rng.normal(size=(8, 2))])
    one, many = (lrp.KMeans.fit(x, 8, rng=1, starts=starts) for starts in (1, 8))
    assert many.inertia(x) <= one.inertia(x)


def test_kmeans_plus_plus_begins_far_apart():
    """Of ten far blobs it finds all, whatever the seed; uniform draws would miss some."""
    rng = np.random.default_rng(0)
    centres = 100 * np.eye(10)
    x = np.repeat(centres, 30, axis=0) + rng.normal(size=(300, 10))
    for seed in range(20):
        chosen = kmeans_plus_plus(x, 10, np.random.default_rng(seed))
        assert sorted(assign(chosen, centres)[0].tolist()) == list(range(10))
    chosen = kmeans_plus_plus(np.array([[0.0], [1], [2], [3]]), 4, np.random.default_rng(0))
    assert sorted(chosen.ravel().tolist()) == [0, 1, 2, 3]      # none twice


def test_progress_is_shown_on_a_terminal_only(capsys):
    lrp.KMeans.fit(np.random.default_rng(0).normal(size=(50, 2)), 3, progress=True)
    assert capsys.readouterr() == ("", "")


# Meaning

@pytest.mark.parametrize("seed", range(3))
def test_planted_inputs_get_the_relevance(seed):
    """Two clusters that differ in three of twenty inputs: over 95 % of |R| is theirs."""
    rng = np.random.default_rng(seed)
    planted = rng.choice(20, 3, replace=False)
    x = 0.3 * rng.normal(size=(600, 20))
    x[:300, planted] += 2
    km = lrp.KMeans.fit(x, 2, rng=seed)
    R = np.abs(lrp.explain(km, x).input)
    assert R[:, planted].sum() > 0.95 * R.sum()


@pytest.fixture(scope="module")
def ten(digits):
    return lrp.KMeans.fit(digits.train_images, 10, rng=0)


def test_relevant_pixels_hold_a_digit_in_its_cluster(ten, digits):
    """Without the 15 % most relevant non-zero pixels, most digits move; without as much ink drawn
    at random, less than half as many."""
    x = digits.test_images
    e = lrp.explain(ten, x)
    flipped = lrp.flip(x, e.input, "morf", 0.15, pixels="nonzero")
    moved = (ten.predict(flipped) != e.target).mean()
    rng, at_random = np.random.default_rng(0), x.copy()
    for n in range(len(x)):
        pixels = rng.permutation(np.flatnonzero(x[n]))
        ink = x[n].sum() - flipped[n].sum()
        at_random[n, pixels[:1 + np.searchsorted(np.cumsum(x[n, pixels]), ink)]] = 0
    assert at_random.sum() <= flipped.sum()
    baseline = (ten.predict(at_random) != e.target).mean()
    assert moved >= 0.6 and baseline < moved / 2


# One-class models

def one_class(seed, J, D, N, gamma=0.7):
    rng = np.random.default_rng(seed)
    alpha, u = rng.random(J) + 0.1, 2 + rng.normal(size=(J, D))
    return lrp.OneClass(u, gamma, alpha), 2 + rng.normal(size=(N, D)), alpha


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed, J, D, N", [(0, 1, 2, 3), (1, 4, 3, 5), (2, 40, 7, 6)])
def test_one_class_by_loops(seed, J, D, N, engine):
    model, x, alpha = one_class(seed, J, D, N)
    u, gamma = model.points, model.gamma
    e = lrp.explain(model, x, engine=engine)
    for n in range(N):
        h = [sum((x[n, i] - u[j, i])**2 for i in range(D)) - np.log(alpha[j]) / gamma
             for j in range(J)]
        o, p = soft_min(h, gamma)
        R = [sum((x[n, i] - u[j, i])**2 / h[j] * p[j] * o for j in range(J)) for i in range(D)]
        bias = sum(-np.log(alpha[j]) / gamma / h[j] * p[j] * o for j in range(J))
        direct = -np.log(sum(alpha[j] * np.exp(-gamma * ((x[n] - u[j])**2).sum())
                             for j in range(J))) / gamma
        assert abs(e.logits[n, 0] - o) < 1e-10 and abs(o - direct) < 1e-10
        np.testing.assert_allclose(e.input[n], R, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(e.relevance[1][n, 0], np.array(p) * o, rtol=1e-10, atol=1e-10)
        assert abs(e.unassigned(n)["bias"] - bias) < 1e-10
        assert abs(e.input[n].sum() + bias - o) < 1e-10


def test_one_class_by_torch():
    torch = pytest.importorskip("torch")
    model, x, alpha = one_class(3, 9, 5, 4)
    inputs = torch.tensor(x, requires_grad=True)
    squares = ((inputs[:, None] - torch.tensor(model.points))**2).sum(dim=2)
    o = -torch.logsumexp(torch.log(torch.tensor(alpha)) - model.gamma * squares, 1) / model.gamma
    o.sum().backward()
    h = model.layers[0].preactivation(x)
    gradient = model.layers[0].backward(x, model.layers[1].backward(h, np.ones((4, 1))))
    np.testing.assert_allclose(gradient, inputs.grad, atol=1e-10)
    np.testing.assert_allclose(model.outlierness(x), o.detach(), atol=1e-10)


def test_one_class_by_hand():
    """Examples 0 and 4, x = 1, a stiff soft-min: h = 1 + log(2)/g and 9 + log(2)/g."""
    model = lrp.OneClass.fit(np.array([[0.0], [4]]), gamma=10)
    e = lrp.explain(model, np.array([[1.0]]))
    np.testing.assert_allclose(e.logits, 1 + np.log(2) / 10, atol=1e-12)
    np.testing.assert_allclose(e.input, 1, atol=1e-12)
    np.testing.assert_allclose(e.unassigned(0)["bias"], np.log(2) / 10, atol=1e-12)


def test_far_from_zero_nothing_is_lost_to_rounding():
    """Distances do not depend on where zero is, in float32 either."""
    rng = np.random.default_rng(0)
    u, x = rng.normal(size=(50, 8)), rng.normal(size=(20, 8))
    near = lrp.explain(lrp.OneClass(u, 1.0), x)
    far = lrp.explain(lrp.OneClass((u + 1024).astype(np.float32), 1.0),
                      (x + 1024).astype(np.float32))
    np.testing.assert_allclose(far.logits, near.logits, rtol=5e-3)
    np.testing.assert_allclose(far.input, near.input, rtol=0, atol=5e-3 * near.input.max())


@pytest.mark.parametrize("seed, N, D", [(0, 60, 1), (1, 80, 5), (2, 50, 30)])
def test_the_likely_gamma_is_the_best_of_many(seed, N, D):
    """Against the leave-one-out likelihood written out, for gammas around it."""
    x = np.random.default_rng(seed).normal(size=(N, D)) * 3 + 7
    gamma = likely_gamma(x)
    d = ((x[:, None] - x)**2).sum(axis=2)

    def likelihood(g):
        return np.mean([np.log(np.exp(-g * np.delete(d[i], i)).sum()) + D / 2 * np.log(g)
                        for i in range(N)])
    assert all(likelihood(gamma) > likelihood(gamma * factor) for factor in (0.5, 0.9, 1.1, 2))
    np.testing.assert_allclose(likely_gamma(x * 10), gamma / 100, rtol=1e-6)
    twice = np.concatenate([x, x])
    assert np.isfinite(likely_gamma(twice))


def stroke_on(digit, rng, middle):
    """The digit (784,) with a straight stroke, about 21 pixels long and 3 wide, through its middle
    or along an edge of the image; and where the stroke is new."""
    angle, place = rng.uniform(0, np.pi), rng.uniform(11, 17, 2)
    if not middle:
        angle, place = [(0, (25, 14)), (0, (2, 14)), (np.pi / 2, (14, 2)),
                        (np.pi / 2, (14, 25))][rng.integers(4)]
    row, column = np.mgrid[:28, :28] - np.reshape(place, (2, 1, 1))
    along = column * np.cos(angle) + row * np.sin(angle)
    across = column * np.sin(angle) - row * np.cos(angle)
    pen = (np.abs(along) <= 10) & (np.abs(across) <= 1)
    drawn = np.where(pen.ravel(), 1, digit).astype(np.float32)
    return drawn, drawn - digit > 0.5


@pytest.fixture(scope="module")
def examples(digits):
    return lrp.OneClass.fit(digits.train_images)


@pytest.mark.parametrize("middle", [False, True])
def test_an_added_stroke_carries_the_outlierness(examples, digits, middle):
    """Along an edge, where no digit has ink, most of it. Through the middle other digits have ink
    too, and less of the stroke is odd: there it carries nearly all that it adds."""
    clean, rng = digits.test_images[:500], np.random.default_rng(0)
    drawn, new = map(np.array, zip(*(stroke_on(x, rng, middle) for x in clean)))
    e = lrp.explain(examples, drawn)
    o, on_stroke = e.logits[:, 0], (e.input * new).sum(axis=1)
    added = o - examples.outlierness(clean)
    assert (added > 0).mean() > 0.95
    if middle:
        assert (on_stroke > 0.8 * added).mean() >= 0.8
    else:
        assert (on_stroke > 0.5 * o).mean() >= 0.8
    ink = (drawn * new).sum(axis=1) / drawn.sum(axis=1)     # the pixels' intensity as a heatmap
    assert (on_stroke / e.input.sum(axis=1) > ink).mean() > 0.9


# From scikit-learn, files, bad input

def test_from_scikit_learn():
    pytest.importorskip("sklearn")
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.neighbors import KernelDensity
    from sklearn.svm import OneClassSVM
    rng = np.random.default_rng(0)
    x, new = rng.normal(size=(60, 4)) + 5, rng.normal(size=(20, 4)) + 5
    for kind in (KMeans, MiniBatchKMeans):
        model = kind(4, n_init=2, random_state=0).fit(x)
        km = lrp.from_sklearn(model)
        assert type(km) is lrp.KMeans and (km.predict(new) == model.predict(new)).all()
        np.testing.assert_array_equal(km.centroids, model.cluster_centers_)
    for weights in (None, rng.random(60)):
        model = KernelDensity(bandwidth=0.6).fit(x, sample_weight=weights)
        kd = lrp.from_sklearn(model)
        assert abs(kd.gamma - 1 / 0.72) < 1e-12
        height = 2 * np.log(2 * np.pi * 0.36)
        np.testing.assert_allclose(-kd.gamma * kd.outlierness(new),
                                   model.score_samples(new) + height, atol=1e-10)
    model = OneClassSVM(gamma=0.3, nu=0.2).fit(x)
    kd = lrp.from_sklearn(model)
    np.testing.assert_allclose(np.exp(-0.3 * kd.outlierness(new)), model.score_samples(new),
                               rtol=1e-10)
    assert ((kd.outlierness(new) > -np.log(model.offset_[0]) / 0.3) == (
        model.predict(new) == -1)).all()
    e = lrp.explain(kd, new)
    np.testing.assert_allclose(e.input.sum(axis=1) + e.ledger[0].bias, e.logits[:, 0], rtol=1e-10)


@pytest.mark.parametrize("module, kind, settings, message", [
    ("neighbors", "KernelDensity", {"kernel": "tophat"}, "kernel must be 'gaussian', got 'tophat'"),
    ("neighbors", "KernelDensity", {"metric": "manhattan"}, "metric must be 'euclidean'"),
    ("svm", "OneClassSVM", {"kernel": "poly"}, "kernel must be 'rbf', got 'poly'"),
    ("cluster", "BisectingKMeans", {"n_clusters": 3}, "model must be one of MLPClassifier"),
    ("svm", "SVC", {}, "model must be one of MLPClassifier")])
def test_other_models_are_refused(module, kind, settings, message):
    module = pytest.importorskip(f"sklearn.{module}")
    x = np.random.default_rng(0).normal(size=(30, 3))
    y = {"y": np.arange(30) % 2} if kind == "SVC" else {}
    with pytest.raises(ValueError, match=message):
        lrp.from_sklearn(getattr(module, kind)(**settings).fit(x, **y))
    if kind != "SVC" and kind != "BisectingKMeans":
        with pytest.raises(ValueError, match=f"must be fitted, got an {kind} without"):
            lrp.from_sklearn(getattr(module, kind)())


def test_a_model_that_computes_something_else_is_noticed(monkeypatch):
    pytest.importorskip("sklearn")
    from sklearn.cluster import KMeans
    from sklearn.neighbors import KernelDensity
    from sklearn.svm import OneClassSVM
    x = np.random.default_rng(0).normal(size=(30, 3))

    class Own(KMeans):
        def transform(self, x):
            return 2 * super().transform(x)

    with pytest.raises(ValueError, match="must be one of"):
        lrp.from_sklearn(Own(2, n_init=1).fit(x))
    from lrp_numpy.models import from_sklearn
    monkeypatch.setattr(from_sklearn, "OneClass", lambda u, gamma, alpha: lrp.OneClass(
        u, gamma, 1.1 * alpha))
    monkeypatch.setattr(from_sklearn, "KMeans", lambda mu: lrp.KMeans(mu + [0.1, 0, 0]))
    for model in (KernelDensity(), OneClassSVM(), KMeans(2, n_init=1)):
        with pytest.raises(ValueError, match="must compute what its layers say"):
            lrp.from_sklearn(model.fit(x))


def test_files(tmp_path):
    km, x = clusters(5, 4, 3, 5, beta=0.4)
    km.classes = ["a", "b", "c", "d"]
    km.save(tmp_path / "km.npz")
    model, new, _ = one_class(5, 6, 3, 4)
    model.save(tmp_path / "kd.npz")
    for kind, path, old, rows in ((lrp.KMeans, "km.npz", km, x),
                                  (lrp.OneClass, "kd.npz", model, new)):
        for loaded in (kind.load(tmp_path / path), lrp.Network.load(tmp_path / path)):
            np.testing.assert_array_equal(loaded.forward(rows), old.forward(rows))
            np.testing.assert_array_equal(lrp.explain(loaded, rows).input,
                                          lrp.explain(old, rows).input)
    assert lrp.KMeans.load(tmp_path / "km.npz").predict(x).dtype.kind == "U"
    with pytest.raises(ValueError, match="km.npz does not hold a OneClass"):
        lrp.OneClass.load(tmp_path / "km.npz")
    with pytest.raises(ValueError, match="kd.npz does not hold a KMeans"):
        lrp.KMeans.load(tmp_path / "kd.npz")


X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize("call, message", [
    (lambda: lrp.KMeans.fit(X, 1), "clusters must be an integer of at least 2, got 1"),
    (lambda: lrp.KMeans.fit(X, 21), "clusters must be at most 20, the number of different rows"),
    (lambda: lrp.KMeans.fit(np.ones((9, 3)), 2), "clusters must be at most 1, the number of diff"),
    (lambda: lrp.KMeans.fit(np.repeat(X[:2], 30, axis=0), 3), "must be at most 2"),
    (lambda: lrp.KMeans.fit(np.full((4, 2), np.nan), 2), "x must be finite, got nan in row 0"),
    (lambda: lrp.KMeans.fit(X[0], 2), r"x must be an array of shape \(N, 3\)"),
    (lambda: lrp.KMeans.fit(X.tolist(), 2), "x must be an array"),
    (lambda: lrp.KMeans.fit(X, 2, rng=-1), "rng must be a seed"),
    (lambda: lrp.KMeans.fit(X, 2, iterations=0), "iterations must be an integer of at least 1"),
    (lambda: lrp.KMeans.fit(X, 2, starts=0), "starts must be an integer of at least 1"),
    (lambda: lrp.KMeans.fit(X, 2, centroids=X[:3]), "centroids must be 2 rows"),
    (lambda: lrp.KMeans(X[:1]), "centroids must be at least 2 rows, each"),
    (lambda: lrp.KMeans(X[[0, 0]]), "centroids must differ"),
    (lambda: lrp.KMeans(X[:2], beta=0), "beta must be a number above 0, or inf, got 0"),
    (lambda: lrp.explain(lrp.KMeans(X[:2]), X, beta=-1.0), "beta must be a number above 0"),
    (lambda: lrp.explain(lrp.KMeans(X[:2]), X, beta="big"), "beta must be a number above 0"),
    (lambda: lrp.explain(lrp.KMeans(X[:2]), X, target=2), r"target must lie in 0\.\.1, got 2"),
    (lambda: lrp.explain(lrp.KMeans(X[:2]), X, rule="gamma"), "rule must be left out"),
    (lambda: lrp.explain(lrp.KMeans(X[:2]), X, gamma=1.0), "gamma is not a parameter of rule 0"),
    (lambda: lrp.explain(lrp.KMeans, X), "net must be a Network"),
    (lambda: lrp.OneClass.fit(np.ones((5, 2))), "x must have rows that differ"),
    (lambda: lrp.OneClass.fit(X[:1]), "x must have at least two rows, got 1"),
    (lambda: lrp.OneClass.fit(X, gamma=0), "gamma must be a finite number above 0, got 0"),
    (lambda: lrp.OneClass(X, 1.0, -X[:, 0]), "alpha must be 20 finite numbers above 0"),
    (lambda: lrp.OneClass(X, 1.0, np.ones(3)), "alpha must be 20 finite numbers above 0"),
    (lambda: lrp.OneClass(X[:0], 1.0), "points must have at least one row, got none"),
    (lambda: lrp.KMeans(X[:2]).predict(X[:, :2]), r"x must be an array of shape \(N, 3\)"),
    (lambda: lrp.Network([lrp.SoftMin()]), "layer 0 must know how many numbers"),
    (lambda: lrp.Network([lrp.Dense(X, X[0], "relu"), lrp.SoftMin()]), "it takes images of shape")])
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("model", ["KMeans", "OneClass", "hard", "soft", "gaussian"])
def test_no_images_have_no_relevance(model, engine):
    x = np.random.default_rng(0).random((12, 64))
    how = {"words": 5, "size": 3, "step": 1, "cells": 2}
    net = {"KMeans": lambda: lrp.KMeans(x[:3], beta=1.0), "OneClass": lambda: lrp.OneClass(x, 1.0),
           "hard": lambda: lrp.BagOfWords.fit(x, np.arange(12) % 2, **how),
           "soft": lambda: lrp.BagOfWords.fit(x, np.arange(12) % 2, mapping="soft", **how),
           "gaussian": lambda: lrp.BagOfWords.fit(x, np.arange(12) % 2, kernel="gaussian", **how)}
    net = net[model]()
    e = lrp.explain(net, x[:0], engine=engine)
    one = lrp.explain(net, x[:1], engine=engine)
    assert [R.shape for R in e.relevance] == [(0, *R.shape[1:]) for R in one.relevance]
    assert net.predict(x[:0]).shape == (0,)
