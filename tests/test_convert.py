"""Models from elsewhere predict here what they predict there; what we do not have is refused by
name.

Each library's tests are skipped where it is missing.
"""
import os
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, SHAPES, arrays_of

CLOSE = {np.float32: 1e-5, np.float64: 1e-10}
both_types = pytest.mark.parametrize("dtype", CLOSE)


def rows(width, dtype, N=20):
    """Numbers of both signs, as standardised data has them."""
    return np.random.default_rng(width).normal(size=(N, width)).astype(dtype)


def assert_same(net, x, theirs, atol=None):
    """The same outputs by both engines; and the class is that of its layers."""
    for engine in ENGINES:
        ours = net.forward(x, engine)
        assert ours.dtype == net.dtype == x.dtype and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol or CLOSE[x.dtype.type])
    assert type(net) is (lrp.MLP if all(type(layer) is lrp.Dense for layer in net.layers) else
                         lrp.Network)


# Torch --------------------------------------------------------------------------------------------

@pytest.fixture
def nn():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    torch.manual_seed(0)
    return torch.nn


def answers(model, x):
    import torch

    model.to(torch.tensor(x).dtype).eval()
    with torch.no_grad():
        return model(torch.tensor(x)).numpy()


@both_types
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["ReLU", "Sigmoid", "Tanh", "Identity"])
@pytest.mark.parametrize("sizes", SHAPES + [[4, 3, 1], [5, 2]], ids=str)
def test_linear_networks_of_torch(nn, sizes, activation, bias, dtype):
    modules = [nn.Flatten()]
    for D, K in zip(sizes[:-1], sizes[1:]):
        modules += [nn.Linear(D, K, bias=bias), getattr(nn, activation)(), nn.Dropout(0.5)]
    model, x = nn.Sequential(*modules[:-2]), rows(sizes[0], dtype)
    theirs = answers(model, x)
    net = lrp.from_torch(model)
    assert_same(net, x, theirs)
    assert net.sizes == sizes and net.layers[-1].activation == "identity"
    assert type(net) is lrp.MLP


def cnns_of_torch(nn):
    return {
        "lenet": ((1, 14, 14), nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Sequential(nn.Conv2d(4, 6, (3, 2), stride=(2, 2), bias=False), nn.Tanh()),
            nn.AvgPool2d(2, stride=1), nn.Flatten(), nn.Linear(24, 7), nn.ReLU(),
            nn.Linear(7, 3), nn.LogSoftmax(dim=1))),
        "activations behind pooling": ((2, 9, 8), nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.MaxPool2d((2, 2), 1), nn.ReLU(), nn.Conv2d(3, 2, 2),
            nn.Dropout2d(), nn.MaxPool2d(2), nn.Flatten(), nn.Sigmoid(), nn.Linear(8, 3))),
        "rows": ((3, 4, 5), nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.Tanh(), nn.Flatten(),
                                          nn.Linear(4, 2)))}


@both_types
@pytest.mark.parametrize("name", ["lenet", "activations behind pooling", "rows"])
def test_networks_of_images(nn, name, dtype):
    shape, model = cnns_of_torch(nn)[name]
    x = rows(int(np.prod(shape)), dtype)
    logits = model[:-1] if name == "lenet" else model
    theirs = answers(logits, x.reshape(-1, *shape))
    net = lrp.from_torch(model, shape=shape)
    assert type(net) is lrp.Network
    assert_same(net, x, theirs)


def test_a_module_that_stands_at_two_places(nn):
    """named_children of torch would name it once."""
    relu, x = nn.ReLU(), rows(5, np.float64)
    model = nn.Sequential(nn.Linear(5, 4), relu, nn.Linear(4, 4), relu, nn.Linear(4, 2))
    theirs = answers(model, x)
    net = lrp.from_torch(model)
    assert [layer.activation for layer in net.layers] == ["relu", "relu", "identity"]
    assert_same(net, x, theirs)


@pytest.mark.parametrize("end", ["Sigmoid", "Softmax", "LogSoftmax"])
def test_what_is_explained_is_the_logit(nn, end):
    last = nn.Sigmoid() if end == "Sigmoid" else getattr(nn, end)(dim=1)
    body = nn.Sequential(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 1 if end == "Sigmoid" else 3))
    x = rows(4, np.float64)
    theirs = answers(body, x)
    assert_same(lrp.from_torch(nn.Sequential(body, last)), x, theirs)
    # Only one is left out: here the softmax gets what the tanh gives
    body.append(nn.Tanh())
    theirs = answers(body, x)
    assert_same(lrp.from_torch(nn.Sequential(body, nn.Softmax(dim=1))), x, theirs)


def test_weights_are_copies(nn):
    model, x = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), rows(3, np.float32)
    net = lrp.from_torch(model)
    before = net.forward(x)
    for parameter in model.parameters():
        parameter.data += 1
    np.testing.assert_array_equal(net.forward(x), before)
    theirs = answers(model, x)
    net.layers[0].W[...] = 0
    np.testing.assert_array_equal(answers(model, x), theirs)


@pytest.mark.parametrize("rule, parameters", [("0", {}), ("epsilon", {"epsilon": 0.3})])
@pytest.mark.parametrize("K", [1, 4])
def test_an_imported_network_is_explained_as_torch_has_it(nn, rule, parameters, K):
    """Relevance by autograd, from the module's own weights."""
    torch_reference = pytest.importorskip("torch_reference", exc_type=ImportError)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, K))
    model.double()
    x, linear = rows(6, np.float64), model[::2]
    e = lrp.explain(lrp.from_torch(model), x, rule, **parameters)
    theirs = torch_reference.relevance(
        x, [one.weight.detach().numpy().T for one in linear],
        [one.bias.detach().numpy() for one in linear], "relu", e.target, [parameters] * 3)
    for one, other in zip(e.relevance, theirs):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def test_an_imported_cnn_is_explained_as_torch_has_it(nn):
    """With ReLU and max pooling, LRP-0 is gradient times input."""
    import torch

    shape, model = cnns_of_torch(nn)["activations behind pooling"]
    model = nn.Sequential(*(nn.ReLU() if isinstance(one, nn.Sigmoid) else one for one in model))
    net, x = lrp.from_torch(model.double().eval(), shape), rows(144, np.float64)
    e = lrp.explain(net, x, "0")
    images = torch.tensor(x.reshape(-1, *shape), requires_grad=True)
    model(images)[torch.arange(len(x)), torch.tensor(e.target)].sum().backward()
    expected = (images * images.grad).detach().numpy().reshape(x.shape)
    np.testing.assert_allclose(e.input, expected, rtol=1e-10, atol=1e-10)


REFUSED_OF_TORCH = {
    "layer 1 must be Linear, Conv2d.*at the end, Softmax or LogSoftmax, got BatchNorm1d":
        lambda nn: [nn.Linear(3, 2), nn.BatchNorm1d(2)],
    "layer 2.1 must be Linear.*got GELU":
        lambda nn: [nn.Linear(3, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.GELU())],
    "layer 0 must follow a layer with weights that has no activation yet, got ReLU":
        lambda nn: [nn.ReLU(), nn.Linear(3, 2)],
    "layer 2 must follow a layer with weights that has no activation yet, got Tanh":
        lambda nn: [nn.Linear(3, 2), nn.ReLU(), nn.Tanh()],
    "layer 1 must be the last to be Softmax, got more behind it":
        lambda nn: [nn.Linear(3, 2), nn.Softmax(dim=1), nn.Linear(2, 2)],
    r"shape must be \(C, H, W\).*layer 1 takes images.*got None for a Conv2d":
        lambda nn: [nn.Dropout(), nn.Conv2d(1, 2, 3)],
    "layer 0: dilation of Conv2d must be 1, got 2": lambda nn: [nn.Conv2d(1, 2, 3, dilation=2)],
    "layer 0: groups of Conv2d must be 1, got 2": lambda nn: [nn.Conv2d(2, 2, 3, groups=2)],
    "layer 0: padding_mode of Conv2d must be 'zeros', got 'circular'":
        lambda nn: [nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")],
    r"layer 0: stride of Conv2d must be one integer for both sides, got \(1, 2\)":
        lambda nn: [nn.Conv2d(1, 2, 3, stride=(1, 2))],
    "layer 0: padding of Conv2d must be one integer for both sides, got 'same'":
        lambda nn: [nn.Conv2d(1, 2, 3, padding="same")],
    "layer 0: ceil_mode of MaxPool2d must be False, got True":
        lambda nn: [nn.MaxPool2d(2, ceil_mode=True)],
    "layer 0: padding of MaxPool2d must be 0, got 1": lambda nn: [nn.MaxPool2d(3, padding=1)],
    r"layer 0: kernel_size of MaxPool2d must be one integer for both sides, got \(2, 3\)":
        lambda nn: [nn.MaxPool2d((2, 3))],
    "layer 0: divisor_override of AvgPool2d must be None, got 3":
        lambda nn: [nn.AvgPool2d(2, divisor_override=3)],
    "layer 0: start_dim of Flatten must be 1, got 2": lambda nn: [nn.Flatten(2)],
    "layer 0: weight must be float32 or float64, got bfloat16":
        lambda nn: [nn.Linear(3, 2).bfloat16()],
    "layers must hold at least one layer, got none": lambda nn: []}


@pytest.mark.parametrize("message", REFUSED_OF_TORCH)
def test_what_is_refused_of_torch(nn, message):
    with pytest.raises(ValueError, match=message):
        lrp.from_torch(nn.Sequential(*REFUSED_OF_TORCH[message](nn)))


def test_other_models_of_torch_are_refused(nn):
    with pytest.raises(ValueError, match="must be a torch.nn.Sequential, got Linear; make one of"):
        lrp.from_torch(nn.Linear(3, 2))
    shape, model = cnns_of_torch(nn)["lenet"]
    assert type(lrp.from_torch(model, shape)) is lrp.Network        # an MLP only if all is Dense
    with pytest.raises(ValueError, match="layer 0 of an MLP must be Dense, got Unflatten"):
        lrp.MLP(lrp.from_torch(model, shape).layers)
    with pytest.raises(ValueError, match="W must have 48 rows, one for each output of the layer"):
        lrp.from_torch(model, (1, 16, 20))
    behind_average = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.ReLU())
    with pytest.raises(ValueError, match="layer 2 must follow a layer with weights"):
        lrp.from_torch(behind_average, (1, 9, 9))


# Scikit-learn -------------------------------------------------------------------------------------

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


def test_what_is_refused_of_sklearn():
    neural_network = pytest.importorskip("sklearn.neural_network", exc_type=ImportError)
    pipeline = pytest.importorskip("sklearn.pipeline", exc_type=ImportError)
    new = neural_network.MLPClassifier()
    with pytest.raises(ValueError, match="model must be fitted, got an MLPClassifier without"):
        lrp.from_sklearn(new)
    with pytest.raises(ValueError, match="MLPClassifier or an MLPRegressor, got Pipeline; give"):
        lrp.from_sklearn(pipeline.make_pipeline(new))
    new.coefs_, new.out_activation_ = [], "exp"
    with pytest.raises(ValueError, match="out_activation_ must be 'identity'.* got 'exp'"):
        lrp.from_sklearn(new)


# Keras --------------------------------------------------------------------------------------------

def stand_in(kind, **attributes):
    """An object of a class called `kind`: all that is known of a layer of keras."""
    return type(kind, (), attributes)()


def dense(W, b=None, activation="linear"):
    arrays = [W] if b is None else [W, b]
    return stand_in("Dense", get_weights=lambda self: arrays,
                    activation=SimpleNamespace(__name__=activation))


def activation_of(name):
    return stand_in("Activation", activation=SimpleNamespace(__name__=name))


def relu(negative_slope=0.0):
    return stand_in("ReLU", max_value=None, negative_slope=negative_slope, threshold=0.0)


def sequential(*layers):
    return stand_in("Sequential", layers=list(layers))


def test_a_stand_in_for_keras(random_case):
    """The same attributes as the real thing, so that this runs everywhere."""
    expected, x = random_case([9, 8, 7, 4], "relu", 0)
    (W1, W2, W3), (b1, b2, b3) = arrays_of(expected)
    model = sequential(stand_in("InputLayer"), stand_in("Flatten"), dense(W1, b1, "relu"),
                       stand_in("Dropout"), sequential(dense(W2, b2), relu()),
                       dense(W3, b3, "softmax"))
    net = lrp.from_keras(model)
    assert [layer.activation for layer in net.layers] == ["relu", "relu", "identity"]
    assert_same(net, x, expected.forward(x))
    for end in (activation_of("softmax"), activation_of("sigmoid"), stand_in("Softmax")):
        without_bias = sequential(dense(W1, activation="tanh"), dense(W2), end)
        assert_same(lrp.from_keras(without_bias), x, np.tanh(x @ W1) @ W2)


@pytest.mark.parametrize("message, layers", [
    ("layer 1 must be Dense, Activation.*got BatchNormalization",
     [dense(np.eye(2)), stand_in("BatchNormalization")]),
    ("layer 0: activation must be one of relu, .*, got gelu", [dense(np.eye(2), None, "gelu")]),
    ("layer 0: activation must be one of .*got LeakyReLU",
     [stand_in("Activation", activation=stand_in("LeakyReLU"))]),
    ("layer 1: negative_slope of ReLU must be 0, got 0.1", [dense(np.eye(2)), relu(0.1)]),
    ("layer 1 must follow a layer with weights that has no activation yet, got ReLU",
     [dense(np.eye(2), None, "relu"), relu()]),
    ("layer 0 must be the last to be softmax",
     [dense(np.eye(2), None, "softmax"), dense(np.eye(2))]),
    ("layer 0: W must be float32 or float64, got float16", [dense(np.eye(2, dtype=np.float16))]),
    ("layer 0 must have its weights, and perhaps a bias, got 0 arrays; a model has weights once",
     [stand_in("Dense", get_weights=lambda self: [])])])
def test_what_is_refused_of_keras(message, layers):
    with pytest.raises(ValueError, match=message):
        lrp.from_keras(sequential(*layers))


def test_other_models_of_keras_are_refused():
    with pytest.raises(ValueError, match="must be a keras Sequential, or a Model .*, got MyModel"):
        lrp.from_keras(stand_in("MyModel"))


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", exc_type=ImportError)
    keras.utils.set_random_seed(0)
    yield keras
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@both_types
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "linear"])
def test_networks_of_keras(keras, activation, dtype):
    keras.config.set_floatx(np.dtype(dtype).name)           # of what it is given
    keras.config.set_dtype_policy(np.dtype(dtype).name)     # of what it makes
    layers, x = keras.layers, rows(12, dtype)
    body = [keras.Input((3, 4)), layers.Flatten(),
            layers.Dense(6, activation=activation, bias_initializer="normal"), layers.Dropout(0.5),
            keras.Sequential([layers.Dense(5, use_bias=False), layers.Activation(activation)])]
    for K, end in ((1, layers.Activation("sigmoid")), (3, layers.Softmax()), (2, None)):
        logits = keras.Sequential([*body, layers.Dense(K, bias_initializer="normal")])
        model = keras.Sequential([logits, *([] if end is None else [end])])
        theirs = np.array(logits.predict(x.reshape(-1, 3, 4), verbose=0))
        # On torch, keras 3.15 multiplies float64 to the precision of float32
        assert_same(lrp.from_keras(model), x, theirs, atol=1e-5)


def test_a_chain_of_keras(keras):
    layers, x = keras.layers, rows(4, np.float32)
    first = keras.Input((4,))
    hidden = layers.Dense(5, activation=layers.ReLU())(first)
    with pytest.raises(ValueError, match="activation must be one of .*, got ReLU"):
        lrp.from_keras(keras.Model(first, hidden))
    hidden = layers.ReLU()(layers.Dense(5, bias_initializer="normal")(first))
    output = layers.Dense(2)(hidden)
    model = keras.Model(first, output)
    net = lrp.from_keras(model)
    assert_same(net, x, np.array(model.predict(x, verbose=0)))
    before = net.forward(x)
    model.set_weights([array + 1 for array in model.get_weights()])
    np.testing.assert_array_equal(net.forward(x), before)
    shared = layers.Dense(5)
    for branched in (keras.Model(first, layers.Add()([output, layers.Dense(2)(hidden)])),
                     keras.Model(first, [hidden, output]),
                     keras.Model(first, shared(shared(hidden)))):
        with pytest.raises(ValueError, match="model must be a chain, .* got one with branches"):
            lrp.from_keras(branched)


# A folder -----------------------------------------------------------------------------------------

@both_types
def test_a_folder_of_arrays(random_case, tmp_path, dtype):
    expected, x = random_case([5, 4, 3], "tanh", 0)
    for number, layer in enumerate(expected.layers, start=1):
        np.save(tmp_path / f"W{number}.npy", layer.W.astype(dtype))
        np.save(tmp_path / f"b{number}.npy", layer.b.astype(dtype))
    net = lrp.from_folder(tmp_path, "tanh")
    assert_same(net, x.astype(dtype), expected.forward(x))
    assert lrp.from_folder(str(tmp_path), "relu").layers[0].activation == "relu"


def test_what_is_refused_of_a_folder(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ValueError, match="path must be a folder with W1.npy, b1.npy, .*, got"):
            lrp.from_folder(path, "relu")
    for number, (name, array) in enumerate([("W1", np.eye(2)), ("b1", np.zeros(2)),
                                            ("W3", np.eye(2))]):
        np.save(tmp_path / f"{name}.npy", array)
        missing = ["b1.npy", None, "W2.npy"][number]
        if missing:
            with pytest.raises(ValueError, match=f"path must hold {missing}, because"):
                lrp.from_folder(tmp_path, "relu")
    (tmp_path / "W3.npy").unlink()
    np.save(tmp_path / "W1.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(ValueError, match="W1.npy is not an array saved by numpy.save: it must"):
        lrp.from_folder(tmp_path, "relu")
    np.save(tmp_path / "W1.npy", np.eye(2, dtype=int))
    with pytest.raises(ValueError, match="layer 0: W must be float32 or float64, got int64"):
        lrp.from_folder(tmp_path, "relu")
