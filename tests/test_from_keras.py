"""Models of keras predict here what they predict there, or are refused by name.

`python -m pip install keras`; it computes with torch here.
"""
import os

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import assert_same, both_types, rows

# keras' own, with numpy 2.4
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def keras():
    pytest.importorskip("torch", exc_type=ImportError)
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras", exc_type=ImportError)
    keras.utils.set_random_seed(0)
    yield keras
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def answers(model, x):
    """What the model gives for rows x."""
    return np.array(model.predict(x.reshape(len(x), *model.input_shape[1:]), verbose=0))


@both_types
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "linear", "elu", "selu", "gelu",
                                        "leaky_relu", "silu", "softplus"])
def test_networks_of_keras(keras, activation, dtype):
    keras.config.set_floatx(np.dtype(dtype).name)           # of what it is given
    keras.config.set_dtype_policy(np.dtype(dtype).name)     # of what it makes
    layers, x = keras.layers, rows(12, dtype)
    body = [keras.Input((3, 4)), layers.Flatten(),
            layers.Dense(6, activation=activation, bias_initializer="normal"), layers.Dropout(0.5),
            layers.GaussianNoise(0.1),
            keras.Sequential([layers.Dense(5, use_bias=False), layers.Activation(activation)])]
    for K, end in ((1, layers.Activation("sigmoid")), (3, layers.Softmax()), (2, None)):
        logits = keras.Sequential([*body, layers.Dense(K, bias_initializer="normal")])
        model = keras.Sequential([logits, *([] if end is None else [end])])
        theirs = answers(logits, x)
        # On torch, keras 3.15 multiplies float64 to the precision of float32
        assert_same(lrp.from_keras(model), x, theirs, atol=1e-5)
        expected = lrp.from_keras(logits)
        for one, other in zip(expected.layers, lrp.from_keras(model).layers):
            assert one.activation == other.activation
        if end is not None:     # it still ends as it did
            assert np.ptp(answers(model, x)) <= 1 and answers(model, x).min() >= 0


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "log_softmax"])
def test_the_activation_of_the_last_layer_is_left_out(keras, end):
    layers, x = keras.layers, rows(4, np.float32)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"),
                              layers.Dense(3, activation=end), layers.Activation("linear")])
    net, own = lrp.from_keras(model), model.layers[1].activation
    assert own is getattr(keras.activations, end)
    model.layers[1].activation = keras.activations.linear
    assert_same(net, x, answers(model, x))


@pytest.mark.parametrize("kind, activation", [("ReLU", "relu"), ("ELU", "elu"),
                                              ("LeakyReLU", "leaky_relu_0.3")])
def test_activations_as_layers(keras, kind, activation):
    layers, x = keras.layers, rows(4, np.float32)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5), getattr(layers, kind)(),
                              layers.Dense(3)])
    net = lrp.from_keras(model)
    assert net.layers[0].activation == activation
    assert_same(net, x, answers(model, x))


def images_of_keras(layers):
    """{name: (shape of an image, layers)}"""
    return {
        "lenet": ((12, 10, 1), [
            layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(), layers.Conv2D(3, 2, padding="same", activation="tanh"),
            layers.AveragePooling2D(2), layers.SpatialDropout2D(0.5), layers.Flatten(),
            layers.Dense(6, activation="relu"), layers.Dense(3)]),
        "channels": ((5, 6, 3), [
            layers.Rescaling([0.5, 1, 2], [0, -1, 1]), layers.Conv2D(4, (2, 3)),
            layers.BatchNormalization(), layers.ReLU(), layers.Flatten(), layers.Dense(3)]),
        "same, with strides": ((8, 9, 2), [
            layers.Conv2D(3, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(3, scale=False), layers.Conv2D(4, (4, 2), padding="same"),
            layers.BatchNormalization(center=False), layers.Flatten(), layers.Dense(2)]),
        "same, with nothing to add": ((6, 4, 2), [
            layers.Conv2D(3, 1, strides=2, padding="same"),
            layers.MaxPooling2D((1, 1), padding="same"), layers.Flatten()]),
        "the mean of all": ((5, 4, 2), [
            layers.Conv2D(3, 2, activation="relu"), layers.GlobalAveragePooling2D(),
            layers.BatchNormalization(), layers.Dense(2)]),
        "the largest of all": ((5, 5, 2), [
            layers.Conv2D(3, 2, activation="relu"), layers.GlobalMaxPooling2D(),
            layers.Dense(2)]),
        "one pixel": ((3, 3, 2), [layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(2)]),
        "only rows": ((3, 4, 2), [layers.Rescaling(2, [1, 3]), layers.Flatten(),
                                  layers.BatchNormalization(), layers.Dense(2)])}


@pytest.mark.parametrize("name", ["lenet", "channels", "same, with strides", "the mean of all",
                                  "same, with nothing to add", "the largest of all", "one pixel",
                                  "only rows"])
def test_images_of_keras(keras, name):
    """Rows in the order of keras; and so is the relevance of the pixels."""
    import torch

    sides, layers = images_of_keras(keras.layers)[name]
    model = keras.Sequential([keras.Input(sides), *layers])
    rng = np.random.default_rng(0)
    for layer in layers:        # numbers that no layer has by itself
        layer.set_weights([rng.uniform(0.5, 1.5, array.shape) if array.ndim == 1 else array
                           for array in layer.get_weights()])
    x = rows(int(np.prod(sides)), np.float32)
    net = lrp.from_keras(model)
    assert_same(net, x, answers(model, x))
    assert type(net) is (lrp.MLP if name == "only rows" else lrp.Network)
    if name in ("channels", "same, with strides"):
        e = lrp.explain(net, x, "0", target=1)      # without an activation, or with ReLU
        images = torch.tensor(x.reshape(-1, *sides), requires_grad=True)
        model(images)[:, 1].sum().backward()
        expected = (images * images.grad).detach().numpy().reshape(x.shape)
        np.testing.assert_allclose(e.input, expected, rtol=0, atol=1e-4)


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
    assert_same(net, x, answers(model, x))
    before = net.forward(x)
    model.set_weights([array + 1 for array in model.get_weights()])
    np.testing.assert_array_equal(net.forward(x), before)
    shared = layers.Dense(5)
    for branched in (keras.Model(first, layers.Add()([output, layers.Dense(2)(hidden)])),
                     keras.Model(first, [hidden, output]),
                     keras.Model(first, shared(shared(hidden)))):
        with pytest.raises(ValueError, match="model must be a chain, .* got one with branches"):
            lrp.from_keras(branched)


def test_classes_of_ones_own(keras):
    class Dense(keras.layers.Dense):
        def call(self, a, training=None):
            return 2 * super().call(a)

    class Sequential(keras.Sequential):
        def call(self, a, training=None, mask=None):
            return 2 * super().call(a)

    class Model(keras.Model):
        pass

    class Named(keras.layers.Dense):
        """Nothing but a name."""

    def relu(z):
        return z + 1

    layers = keras.layers
    for own, message in (
            ([Dense(3)], "layer 0 must be Dense, Conv2D.*got .*Dense of test_from_keras"),
            ([layers.Dense(3, activation=relu)], "layer 0: activation must be one of relu, .*of "
                                                 "keras.activations, got relu of test_from_keras"),
            ([layers.Activation(relu)], "layer 0: activation must be.* got relu of test_from"),
            ([Sequential([layers.Dense(3)])], "layer 0 must be .*got .*Sequential of test_from")):
        with pytest.raises(ValueError, match=message):
            lrp.from_keras(keras.Sequential([keras.Input((4,)), *own]))
    for model in (Sequential([keras.Input((4,)), layers.Dense(3)]), Model(), layers.Dense(3), None):
        with pytest.raises(ValueError, match="model must be a keras Sequential, or a Model made of "
                                             f"a chain of layers, got .*{type(model).__name__}"):
            lrp.from_keras(model)
    x, model = rows(4, np.float32), keras.Sequential([keras.Input((4,)), Named(3)])
    assert_same(lrp.from_keras(model), x, answers(model, x))


def refused_of_keras(layers):
    """{message: (shape of the input, layers)}"""
    row, image = (4,), (6, 5, 2)
    return {
        "layer 1 must be Dense, Conv2D.*Softmax, got LayerNormalization":
            (row, [layers.Dense(3), layers.LayerNormalization()]),
        "layer 1: negative_slope of ReLU must be 0, got 0.1":
            (row, [layers.Dense(3), layers.ReLU(negative_slope=0.1)]),
        "layer 1: threshold of ReLU must be 0, got 0.5":
            (row, [layers.Dense(3), layers.ReLU(threshold=0.5)]),
        "layer 1: max_value of ReLU must be None, got 6":
            (row, [layers.Dense(3), layers.ReLU(max_value=6)]),
        "layer 1: alpha of ELU must be 1, got 0.5": (row, [layers.Dense(3), layers.ELU(0.5)]),
        "layer 1: axis of Softmax must be -1, got 0": (row, [layers.Dense(3), layers.Softmax(0)]),
        "layer 0: activation must be one of relu, .*, got relu6":
            (row, [layers.Dense(3, activation="relu6")]),
        "layer 0 must be the last to be softmax":
            (row, [layers.Dense(3, activation="softmax"), layers.Dense(2)]),
        "layer 1 must follow a layer with weights that has no activation yet, got ReLU":
            (row, [layers.Dense(3, activation="relu"), layers.ReLU()]),
        "layer 0: compute_dtype must be float32 or float64, got float16":
            (row, [layers.Dense(3, dtype="mixed_float16")]),
        "layer 0: dilation_rate of Conv2D must be 1, got 2":
            (image, [layers.Conv2D(3, 2, dilation_rate=2)]),
        "layer 0: groups of Conv2D must be 1, got 2": (image, [layers.Conv2D(4, 2, groups=2)]),
        "layer 0: data_format of Conv2D must be 'channels_last', got 'channels_first'":
            (image, [layers.Conv2D(3, 2, data_format="channels_first")]),
        "layer 1: data_format of Flatten must be 'channels_last', got 'channels_first'":
            (image, [layers.Conv2D(3, 2), layers.Flatten(data_format="channels_first")]),
        "layer 0: padding of MaxPooling2D must be 'valid', or add nothing, got 'same' for images "
        "of 6 x 5": (image, [layers.MaxPooling2D(2, padding="same")]),
        "layer 0: keepdims of GlobalAveragePooling2D must be False, got True":
            (image, [layers.GlobalAveragePooling2D(keepdims=True)]),
        "layer 0: keepdims of GlobalMaxPooling2D must be False, got True":
            (image, [layers.GlobalMaxPooling2D(keepdims=True)]),
        "layer 0: data_format of MaxPooling2D must be 'channels_last', got":
            (image, [layers.MaxPooling2D(2, data_format="channels_first")]),
        "layer 0: data_format of AveragePooling2D must be 'channels_last', got":
            (image, [layers.AveragePooling2D(2, data_format="channels_first")]),
        "layer 0: data_format of GlobalMaxPooling2D must be 'channels_last', got":
            (image, [layers.GlobalMaxPooling2D(data_format="channels_first")]),
        "layer 0: data_format of GlobalAveragePooling2D must be 'channels_last', got":
            (image, [layers.GlobalAveragePooling2D(data_format="channels_first")]),
        "layer 0: its kernel must be as high as it is wide, got":
            (image, [layers.GlobalMaxPooling2D()]),
        "layer 0: stride must be one integer for both sides, got":
            (image, [layers.Conv2D(3, 2, strides=(1, 2))]),
        "layer 0: axis of BatchNormalization must be -1, .*got 1":
            (image, [layers.BatchNormalization(axis=1), layers.Conv2D(3, 2)])}


@pytest.mark.filterwarnings("ignore:.*mixed precision:UserWarning")
def test_what_is_refused_of_keras(keras):
    for message, (shape, layers) in refused_of_keras(keras.layers).items():
        model = keras.Sequential([keras.Input(shape), *layers])
        with pytest.raises(ValueError, match=message):
            lrp.from_keras(model)


def test_models_that_do_not_know_their_input(keras):
    layers = keras.layers
    with pytest.raises(ValueError, match="layer 0 must have its weights, and perhaps a bias, got 0 "
                                         "arrays; a model has weights once it knows its input"):
        lrp.from_keras(keras.Sequential([layers.Dense(3)]))
    for first in (layers.MaxPooling2D(2), layers.Conv2D(3, 2)):
        model = keras.Sequential([keras.Input((None, None, 1)), first])
        with pytest.raises(ValueError, match="model must know the shape of the images that it takes"
                                             "; layer 0, a .*2D, needs it, got None"):
            lrp.from_keras(model)
    model = keras.Sequential([layers.Rescaling(2.0), layers.Dense(3)])
    model.layers[1].build((None, 4))
    with pytest.raises(ValueError, match="layer 0: model must know the shape of its input"):
        lrp.from_keras(model)


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`:UserWarning")
def test_a_quantized_model_is_refused_by_name(keras):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.ReLU()])
    model.quantize("int8")
    with pytest.raises(ValueError, match="layer 0: quantization_mode must be None, got int8"):
        lrp.from_keras(model)


def test_what_is_read_wrongly_is_noticed(keras, monkeypatch):
    """The last line of defence: also where the end is left out, which is then as before."""
    from lrp_numpy.models import from_keras

    layers = keras.layers
    for end in ([layers.Dense(3, activation="softmax")], [layers.Dense(3), layers.Softmax()],
                [layers.Dense(3), layers.Activation("sigmoid")], [layers.Dense(3)]):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="gelu"), *end])
        own, x = vars(end[-1]).get("activation"), rows(4, np.float32)
        before = answers(model, x)
        with monkeypatch.context() as patch:
            patch.setitem(from_keras.FUNCTIONS, "gelu", "silu")
            with pytest.raises(ValueError, match="model must compute what its layers say"):
                lrp.from_keras(model)
        lrp.from_keras(model)
        assert vars(end[-1]).get("activation") is own and "call" not in vars(end[-1])
        np.testing.assert_array_equal(answers(model, x), before)
