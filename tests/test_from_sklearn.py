"""Models of scikit-learn predict here what they predict there, or are refused by name."""
import warnings

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import CLOSE, assert_same, both_types, rows


@pytest.fixture
def sklearn():
    """fitted(kind, activation, y, dtype): a model of y, after a few steps, and its inputs."""
    neural_network = pytest.importorskip("sklearn.neural_network", exc_type=ImportError)

    def fitted(kind, activation, y, dtype):
        model = getattr(neural_network, kind)(hidden_layer_sizes=(6, 5), activation=activation,
                                              random_state=0, max_iter=5)
        x = rows(4, dtype, N=60)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Maximum iterations")
            return model.fit(x, y), x
    return fitted


@both_types
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_classifiers_of_sklearn(sklearn, activation, dtype):
    model, x = sklearn("MLPClassifier", activation, np.arange(60) % 3, dtype)
    net = lrp.from_sklearn(model)
    logits = net.forward(x)
    assert net.sizes == [4, 6, 5, 3] and net.dtype == dtype
    np.testing.assert_array_equal(net.predict(x), model.predict(x))
    # Logits are the logarithms of the probabilities, but for a number that all of them share
    theirs = np.log(model.predict_proba(x))
    np.testing.assert_allclose(logits - logits.mean(axis=1, keepdims=True),
                               theirs - theirs.mean(axis=1, keepdims=True), rtol=0,
                               atol=CLOSE[dtype])


@both_types
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_two_classes_of_sklearn_are_one_logit(sklearn, activation, dtype):
    model, x = sklearn("MLPClassifier", activation, np.array(["no", "yes"])[np.arange(60) % 2],
                       dtype)
    net = lrp.from_sklearn(model)
    logit = net.forward(x)
    assert net.sizes == [4, 6, 5, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-logit[:, 0])), model.predict_proba(x)[:, 1],
                               rtol=0, atol=CLOSE[dtype])
    np.testing.assert_array_equal(model.classes_[(logit[:, 0] > 0).astype(int)], model.predict(x))


@both_types
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_regressors_of_sklearn(sklearn, activation, outputs, dtype):
    y = np.random.default_rng(1).normal(size=(60, outputs)).astype(dtype).squeeze()
    model, x = sklearn("MLPRegressor", activation, y, dtype)
    assert_same(lrp.from_sklearn(model), x, model.predict(x).reshape(60, outputs))


def test_weights_of_sklearn_are_copies(sklearn):
    model, x = sklearn("MLPRegressor", "relu", np.arange(60.0), np.float64)
    net = lrp.from_sklearn(model)
    before = net.forward(x)
    model.coefs_[0] += 1
    np.testing.assert_array_equal(net.forward(x), before)


@pytest.mark.parametrize("labels", [[1, 2, 3], ["crow", "jay", "rook"], [-1.0, 0.0, 7.0],
                                    [2, 1, 0]], ids=str)
def test_a_network_speaks_the_labels_of_its_model(sklearn, labels, tmp_path):
    model, x = sklearn("MLPClassifier", "relu", np.array(labels)[np.arange(60) % 3], np.float64)
    net = lrp.from_sklearn(model)
    np.testing.assert_array_equal(net.classes, sorted(labels))
    predicted = model.predict(x)
    assert len(set(predicted.tolist())) > 1
    np.testing.assert_array_equal(net.predict(x), predicted)
    by_itself, by_label = lrp.explain(net, x, "epsilon"), lrp.explain(net, x, "epsilon",
                                                                      target=predicted)
    for e in (by_itself, by_label):
        np.testing.assert_array_equal(e.target, predicted)
        np.testing.assert_array_equal(e.relevance[-1].sum(axis=1), e.logits.max(axis=1))
    np.testing.assert_array_equal(by_itself.input, by_label.input)
    for index, label in enumerate(sorted(labels)):
        e = lrp.explain(net, x, "epsilon", target=label)
        assert e.target.tolist() == [label] * len(x)
        np.testing.assert_array_equal(e.relevance[-1][:, index], e.logits[:, index])
    net.save(tmp_path / "net.npz")
    np.testing.assert_array_equal(lrp.Network.load(tmp_path / "net.npz").classes, sorted(labels))


def test_two_labels_of_sklearn(sklearn):
    """One logit: it speaks for the second label."""
    model, x = sklearn("MLPClassifier", "tanh", np.array(["no", "yes"])[np.arange(60) % 2],
                       np.float64)
    net = lrp.from_sklearn(model)
    np.testing.assert_array_equal(net.predict(x), model.predict(x))
    assert len(set(net.predict(x).tolist())) == 2
    for target in (None, "yes", ["yes"] * 60):
        e = lrp.explain(net, x, target=target)
        assert e.target.tolist() == ["yes"] * 60
        np.testing.assert_array_equal(e.relevance[-1], e.logits)
    with pytest.raises(ValueError, match="target must be 'yes', or None: the network has one logit,"
                                         " which is positive for 'yes' and negative for 'no'"):
        lrp.explain(net, x, target=model.predict(x))


def test_several_labels_at_once_are_outputs_without_names(sklearn):
    y = (np.random.default_rng(0).random((60, 3)) < 0.5).astype(int)
    model, x = sklearn("MLPClassifier", "relu", y, np.float64)
    net = lrp.from_sklearn(model)
    np.testing.assert_allclose(1 / (1 + np.exp(-net.forward(x))), model.predict_proba(x), rtol=0,
                               atol=1e-10)
    assert lrp.explain(net, x, target=2).target.tolist() == [2] * 60


def test_a_model_of_a_table(sklearn):
    """Fitted on named columns: comparing it with rows without names is no reason to warn."""
    model, x = sklearn("MLPRegressor", "relu", np.arange(60.0), np.float64)
    expected = model.predict(x)[:, np.newaxis]
    model.feature_names_in_ = np.array(list("abcd"), object)
    with pytest.warns(UserWarning, match="valid feature names"):
        model.predict(x)
    assert_same(lrp.from_sklearn(model), x, expected)
    assert list(model.feature_names_in_) == list("abcd")


def test_the_model_stays_as_it_is(sklearn):
    model, x = sklearn("MLPClassifier", "relu", np.arange(60) % 3, np.float64)
    state, before = np.random.get_state()[1].copy(), {**vars(model)}
    lrp.from_sklearn(model)
    assert vars(model) == before and model.out_activation_ == "softmax"
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_classes_of_ones_own(sklearn):
    neural_network = pytest.importorskip("sklearn.neural_network", exc_type=ImportError)

    class MLPRegressor(neural_network.MLPRegressor):
        def predict(self, x):
            return 2 * super().predict(x)

    class Renamed(neural_network.MLPRegressor):
        pass

    model, x = sklearn("MLPRegressor", "relu", np.arange(60.0), np.float64)
    for kind in (MLPRegressor, Renamed):
        own = kind()
        vars(own).update(vars(model))
        if kind is Renamed:
            assert_same(lrp.from_sklearn(own), x, model.predict(x)[:, np.newaxis])
        else:
            with pytest.raises(ValueError, match="got .*MLPRegressor of test_from_sklearn"):
                lrp.from_sklearn(own)
    model.predict = lambda x: 0 * x[:, 0]
    with pytest.raises(ValueError, match="model must be one of MLPClassifier"):
        lrp.from_sklearn(model)


def test_what_is_read_wrongly_is_noticed(sklearn, monkeypatch):
    from lrp_numpy.models import from_sklearn

    for kind, y in (("MLPRegressor", np.arange(60.0)), ("MLPClassifier", np.arange(60) % 3),
                    ("MLPClassifier", np.arange(60) % 2)):
        model, x = sklearn(kind, "tanh", y, np.float32)
        with monkeypatch.context() as patch:
            patch.setitem(from_sklearn.ACTIVATIONS, "tanh", "relu")
            with pytest.raises(ValueError, match="model must compute what its layers say"):
                lrp.from_sklearn(model)
        lrp.from_sklearn(model)


def test_what_is_refused_of_sklearn():
    neural_network = pytest.importorskip("sklearn.neural_network", exc_type=ImportError)
    pipeline = pytest.importorskip("sklearn.pipeline", exc_type=ImportError)
    selection = pytest.importorskip("sklearn.model_selection", exc_type=ImportError)
    new = neural_network.MLPClassifier()
    with pytest.raises(ValueError, match="model must be fitted, got an MLPClassifier without"):
        lrp.from_sklearn(new)
    advice = r"transform x first, x = model\[:-1\].transform\(x\), and give the last step"
    with pytest.raises(ValueError, match=f"got Pipeline of .*; {advice}"):
        lrp.from_sklearn(pipeline.make_pipeline(new))
    for search in (selection.GridSearchCV(new, {}), selection.RandomizedSearchCV(new, {})):
        with pytest.raises(ValueError, match="got .*SearchCV of .*; give its model.best_estim"):
            lrp.from_sklearn(search)
    new.coefs_, new.out_activation_, new.activation = [], "identity", "cosine"
    with pytest.raises(ValueError, match="activation must be one of identity, .*, got 'cosine'"):
        lrp.from_sklearn(new)
    new.activation = "relu"
    new.coefs_, new.out_activation_ = [], "exp"
    with pytest.raises(ValueError, match="out_activation_ must be 'identity'.* got 'exp'"):
        lrp.from_sklearn(new)
