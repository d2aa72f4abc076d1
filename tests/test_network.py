"""The network: hand calculations, finite differences, files, and what it refuses."""
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import ENGINES, SHAPES, arrays_of, most_memory, slope
from lrp_numpy.layers import Dense
from lrp_numpy.layers.activations import ACTIVATIONS, Activation, sigmoid
from lrp_numpy.training import cross_entropy


@pytest.mark.usefixtures("each_engine")
def test_forward_by_hand():
    net = lrp.MLP.from_arrays([np.array([[1., -1.], [2., 0.5]]), np.array([[3.], [-2.]])],
                              [np.array([0.5, -1.]), np.array([0.25])], "relu")
    # z = [1*1 + 2*2 + 0.5, 1*-1 + 2*0.5 - 1] = [5.5, -1]; a = [5.5, 0]; logit = 16.5 + 0.25
    x, hidden, logits = net.activations(np.array([[1., 2.]]))
    assert hidden.tolist() == [[5.5, 0.0]]
    assert logits.tolist() == [[16.75]]


@pytest.mark.parametrize("engine", [None, *ENGINES])
def test_a_forward_pass_is_made_of_z_and_a(random_case, engine):
    """Every z is a @ W + b of what entered, every a is f(z), and the ends are x and the logits."""
    net, x = random_case([5, 4, 3], "tanh", 0)
    a, z = net.forward_pass(x, engine)
    assert len(a) == 3 and len(z) == 2 and a[0] is x
    for number, layer in enumerate(net.layers):
        np.testing.assert_allclose(z[number], a[number] @ layer.W + layer.b, rtol=1e-12)
    np.testing.assert_array_equal(a[1], np.tanh(z[0]))
    np.testing.assert_array_equal(a[2], z[1])
    np.testing.assert_array_equal(net.forward(x, engine), a[2])
    np.testing.assert_array_equal(net.predict(x, engine), a[2].argmax(axis=1))
    assert all(one is other or (one == other).all()
               for one, other in zip(net.activations(x, engine), a, strict=True))


@pytest.mark.parametrize("name, values", [
    ("relu", [0, 0, 2]), ("identity", [-1, 0, 2]),
    ("sigmoid", [1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-2))]),
    ("tanh", [(1 - np.e**2) / (1 + np.e**2), 0, (np.e**4 - 1) / (np.e**4 + 1)])])
def test_activation_values(name, values):
    np.testing.assert_allclose(ACTIVATIONS[name].f(np.array([-1., 0., 2.])), values, rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_at_the_ends(dtype):
    with np.errstate(all="raise", under="ignore"):
        ends = sigmoid(np.array([-1e4, 1e4], dtype))
    assert ends.dtype == dtype and ends.tolist() == [0, 1]
    assert np.isnan(sigmoid(np.array([np.nan]))).all()


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.usefixtures("each_engine")
def test_gradients_by_finite_differences(random_case, sizes, activation):
    net, x = random_case(sizes, activation, seed=5)
    labels = np.arange(len(x)) % sizes[-1]
    forward_pass = net.forward_pass(x)
    gradients = net.backward(forward_pass, cross_entropy(forward_pass.a[-1], labels)[1])
    for layer, pair in zip(net.layers, gradients, strict=True):
        for parameter, gradient in zip((layer.W, layer.b), pair, strict=True):
            assert parameter.shape == gradient.shape
            for place in np.ndindex(parameter.shape):
                assert gradient[place] == pytest.approx(
                    slope(net, x, labels, parameter, place), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("each_engine")
def test_types_are_kept(dtype):
    net = lrp.MLP.random([4, 3, 2], "sigmoid", rng=0, dtype=dtype)
    forward_pass = net.forward_pass(np.ones((5, 4), dtype))
    arrays = [*forward_pass.a, *forward_pass.z] + [
        array for pair in net.backward(forward_pass, np.ones((5, 2), dtype)) for array in pair]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


def test_random_start_depends_on_rng_alone():
    W, again, other = (lrp.MLP.random([30, 20], rng=rng).layers[0].W
                       for rng in (3, np.random.default_rng(3), 4))
    assert (W == again).all() and (W != other).any()
    assert np.abs(W).max() <= 1 / np.sqrt(30) < 1.1 * np.abs(W).max()


@pytest.mark.parametrize("order", ["C", "F"])
def test_weights_are_copied(order):
    W, b = np.ones((3, 2), order=order), np.zeros(2)
    net = lrp.MLP.from_arrays([W], [b], "relu")
    W[:], b[:] = 7, 7
    assert (net.layers[0].W == 1).all() and (net.layers[0].b == 0).all()
    assert net.layers[0].W.flags.c_contiguous      # training walks over them as flat arrays


def test_the_random_start_has_biases():
    biases = [layer.b for layer in lrp.MLP.random([30, 200, 100], rng=0).layers]
    assert all(np.abs(b).max() > 0.9 / np.sqrt(D) and abs(b.mean()) < 0.2 / np.sqrt(D)
               for b, D in zip(biases, (30, 200)))


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.usefixtures("each_engine")
def test_save_and_load(tmp_path, random_case, sizes, activation):
    net, x = random_case(sizes, activation, seed=2)
    net.save(tmp_path / "net.npz")
    back = lrp.MLP.load(tmp_path / "net.npz")
    assert type(back) is lrp.MLP and (back.forward(x) == net.forward(x)).all()
    assert [layer.activation for layer in back.layers] == [layer.activation for layer in net.layers]
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    net = lrp.MLP.random([2, 2])
    net.save(tmp_path / "net.npz")
    before = (tmp_path / "net.npz").read_bytes()

    def fails_half_way(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fails_half_way)
    with pytest.raises(OSError, match="disk full"):
        lrp.MLP.random([2, 2], rng=1).save(tmp_path / "net.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
    assert (tmp_path / "net.npz").read_bytes() == before


def write_text(path):
    path.write_text("hello")


MARK = Path(tempfile.gettempdir()) / "lrp_numpy_was_unpickled"


class Trap:
    """Unpickling it leaves a mark."""
    def __reduce__(self):
        return Path.touch, (MARK,)


def write_pickle(path):
    """A whole network but for one array, which runs code when it is unpickled."""
    np.savez(path, activations=np.array(["identity"]), W0=np.array(Trap(), dtype=object),
             b0=np.ones(2))


def write_damaged(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("activations.npy", bytes(5000))
    content = bytearray(path.read_bytes())
    content[45:55] = b"0123456789"
    path.write_bytes(content)


def write_half(path):
    lrp.MLP.random([50, 2]).save(path)
    path.write_bytes(path.read_bytes()[:200])


def write_other_arrays(path):
    np.savez(path, something=np.ones(3))


def write_no_layers(path):
    np.savez(path, layers=np.array("Dense"))


def write_misfit(path):
    np.savez(path, activations=np.array(["relu", "identity"]), W0=np.ones((3, 2)), b0=np.ones(2),
             W1=np.ones((5, 1)), b1=np.ones(1))


@pytest.mark.parametrize("write", [write_text, write_pickle, write_half, write_damaged,
                                   write_other_arrays, write_misfit, write_no_layers,
                                   lambda path: None])
def test_load_refuses(tmp_path, write):
    write(tmp_path / "net.npz")
    MARK.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="net.npz is not a network saved by lrp_numpy"):
        lrp.MLP.load(tmp_path / "net.npz")
    assert not MARK.exists()


def test_what_a_file_lacks_is_named(tmp_path):
    lrp.MLP.random([3, 2]).save(tmp_path / "net.npz")
    with np.load(tmp_path / "net.npz") as file:
        arrays = dict(file)
    for name in ("layers", "W0", "b0", "activation0"):
        np.savez(tmp_path / "less.npz", **{key: array for key, array in arrays.items()
                                           if key != name})
        with pytest.raises(ValueError, match="less.npz is not a network saved by lrp_numpy: it "
                                             f"holds no array '{name}'$"):
            lrp.MLP.load(tmp_path / "less.npz")
    net = lrp.Network([lrp.Unflatten((1, 4, 4)), lrp.AvgPool2D(2), lrp.Flatten()])
    net.save(tmp_path / "net.npz")      # its stride is None, and None has no array
    assert lrp.Network.load(tmp_path / "net.npz").layers[1].stride is None


def test_a_file_of_very_many_layers_or_numbers(tmp_path):
    path = tmp_path / "net.npz"
    np.savez(path, layers=np.array(["Unflatten"] + ["Flatten"] * 999), shape0=np.ones(3, int))
    assert len(lrp.Network.load(path).layers) == 1000
    np.savez(path, layers=np.array(["Unflatten"] + ["Flatten"] * 1000), shape0=np.ones(3, int))
    with pytest.raises(ValueError, match="it must have at most 1000 layers, got 1001"):
        lrp.Network.load(path)
    # A million bytes, which would be forty million as Python's integers
    np.savez(path, layers=np.array(["Dense"]), W0=np.arange(10**6).astype(np.int16), b0=np.zeros(1),
             activation0=np.array("identity"))

    def refused():
        with pytest.raises(ValueError, match="net.npz is not a network"):
            lrp.Network.load(path)
    assert most_memory(refused) < 4 * path.stat().st_size


def test_logits_that_overflow_are_named(random_case):
    net, x = random_case([5, 4, 3], "relu", 0)
    for layer in net.layers:
        layer.W[...] = np.abs(layer.W)
    for use in (lambda x: net.forward(x, "numpy"), lambda x: net.forward(x, "numba"),
                lambda x: net.predict(x, "numpy"), lambda x: net.predict(x, "numba"), net.forward,
                net.predict, lambda x: lrp.measure(net, x, np.zeros(len(x), int))):
        with pytest.raises(FloatingPointError, match="logits must be finite, got inf in row 0, col"
                                                     ".* 0: x or a weight is too large for float"):
            use(np.full_like(x, 1.7e308))


@pytest.mark.parametrize("make", [lambda *rng: lrp.MLP.random([3, 2], "sigmoid", *rng),
                                  lambda *rng: lrp.lenet(*rng).layers[1]])
def test_the_seed_is_0_if_none_is_named(make):
    arrays = [array for net in (make(), make(0), make(1))
              for array in [getattr(net, "layers", [net])[0].W]]
    assert (arrays[0] == arrays[1]).all() and (arrays[0] != arrays[2]).any()


@pytest.mark.usefixtures("each_engine")
def test_one_neuron_is_enough():
    assert lrp.MLP.random([1, 1]).forward(np.ones((2, 1))).shape == (2, 1)


@pytest.mark.parametrize("sizes", [[784, 0, 10], [784], [], [784, 2.5, 10], [3, -1]])
def test_sizes_refused(sizes):
    with pytest.raises(ValueError, match="sizes must be at least two integers.*got"):
        lrp.MLP.random(sizes)


@pytest.mark.parametrize("change, message", [
    (lambda W, b: (W, b, "swish"), "activation must be 'relu', 'sigmoid', .*got 'swish'"),
    (lambda W, b: (W[:1], b[:1], "swish"), "activation must be 'relu', .*got 'swish'"),
    (lambda W, b: (W, b, ["relu"]), r"activation must be 'relu', .*got \['relu'\]"),
    (lambda W, b: ([W[0], W[1].T], b, "relu"), "layer 1: W must have 4 rows"),
    (lambda W, b: (W, [b[0][1:], b[1]], "relu"), r"layer 0: b must have shape \(4,\)"),
    (lambda W, b: ([W[0] * np.nan, W[1]], b, "relu"), "layer 0: W must be finite"),
    (lambda W, b: ([W[0].astype(int), W[1]], b, "relu"), "must be float32 or float64, got int64"),
    (lambda W, b: (W, b[:1], "relu"), "equally many, got 2 and 1"),
    (lambda W, b: (W[:1], b, "relu"), "equally many, got 1 and 2"),
    (lambda W, b: ([], [], "relu"), "at least one layer"),
    (lambda W, b: ([W[0][0], W[1]], b, "relu"), r"must have shape \(D, K\)")])
def test_arrays_refused(random_case, change, message):
    weights, biases = arrays_of(random_case([5, 4, 3], "relu", 0)[0])
    with pytest.raises(ValueError, match=message):
        lrp.MLP.from_arrays(*change(weights, biases))


@pytest.mark.parametrize("x, message", [
    (np.ones((2, 6)), r"x must be an array of shape \(N, 5\), one row per image, got \(2, 6\)"),
    (np.ones(5), r"one row per image, got \(5,\)"),
    (np.ones((2, 5, 1)), r"one row per image, got \(2, 5, 1\)"),
    (np.ones((2, 5), bool), "float32 or float64, got bool$"),
    ([[1.0] * 5], "x must be a NumPy array, got list"),
    (np.ma.masked_array(np.ones((2, 5))), "x must be a NumPy array, got MaskedArray"),
    (np.ones((2, 5), np.float16), "float32 or float64, got float16$"),
    (np.array([[0, 0, 0, 0, 0], [0, 0, np.nan, 0, 0]]), "got nan in row 1, column 2"),
    (np.full((1, 5), np.inf), "got inf in row 0")])
@pytest.mark.usefixtures("each_engine")
def test_inputs_refused(random_case, x, message):
    net, _ = random_case([5, 4, 3], "relu", 0)
    for call in (net.forward, net.predict, lambda x: lrp.explain(net, x)):
        with pytest.raises(ValueError, match=message):
            call(x)


def test_bytes_and_engines_refused(random_case):
    net, x = random_case([5, 4, 3], "relu", 0)
    with pytest.raises(ValueError, match="float32 or float64, got uint8 .divide bytes by 255"):
        net.forward(np.ones((2, 5), np.uint8))
    for call in (net.forward, net.predict, net.activations, net.forward_pass,
                 lambda x, engine: lrp.explain(net, x, engine=engine),
                 lambda x, engine: lrp.explain_batches(net, x, engine=engine),
                 lambda x, engine: lrp.explain_batches(net, iter([x]), engine=engine)):
        for engine in ("torch", 1, ["numba"]):
            with pytest.raises(ValueError, match="engine must be 'numpy' or 'numba', got"):
                call(x, engine=engine)


def test_one_type_for_all():
    """Float64 wherever one array is: so nothing is rounded, and the loops need two versions."""
    W, b = np.ones((2, 3), np.float32), np.ones(3, np.float64)
    for weights, biases, real in (([W], [b], np.float64), ([W], [b.astype(np.float32)], np.float32),
                                  ([W, np.ones((3, 2))], [W[0], W[0, :2]], np.float64)):
        net = lrp.MLP.from_arrays(weights, biases, "relu")
        assert {array.dtype for layer in net.layers for array in (layer.W, layer.b)} == {
            np.dtype(real)}


@pytest.mark.usefixtures("each_engine")
def test_a_sum_that_overflows_is_no_fault():
    """All numbers are finite, though their sum is not."""
    net = lrp.MLP.from_arrays([np.full((2, 1), 1e-30, np.float32)], [np.zeros(1, np.float32)],
                              "relu")
    assert net.forward(np.full((2, 2), 3e38, np.float32)) == pytest.approx(6e8)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.usefixtures("each_engine")
def test_zero_centring_changes_no_output(random_case, sizes, activation, seed):
    net, x = random_case(sizes, activation, seed)
    before = arrays_of(net)
    centred = lrp.zero_centred(net)
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=1e-12, atol=1e-12)
    assert all((one == other).all() for pair in zip(before, arrays_of(net))
               for one, other in zip(*pair))
    for a, centred_a in zip(net.activations(x)[1:-1], centred.activations(x)[1:-1]):
        f0 = 0.5 if activation == "sigmoid" else 0.0
        np.testing.assert_allclose(centred_a, a - f0, atol=1e-15)
    assert all(ACTIVATIONS[layer.activation].f(np.zeros(1)) == 0 for layer in centred.layers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("each_engine")
def test_a_zero_centred_network_trains_and_is_saved(tmp_path, dtype):
    net = lrp.MLP.random([5, 4, 3], "sigmoid", dtype=dtype)
    centred = lrp.zero_centred(net)
    x = np.random.default_rng(0).random((6, 5)).astype(dtype)
    passes = net.forward_pass(x), centred.forward_pass(x)
    dlogits = np.random.default_rng(1).normal(size=(6, 3)).astype(dtype)
    for (dW, db), (centred_dW, centred_db) in zip(net.backward(passes[0], dlogits)[:1],
                                                  centred.backward(passes[1], dlogits)[:1]):
        np.testing.assert_allclose(centred_dW, dW, rtol=1e-4)
        np.testing.assert_allclose(centred_db, db, rtol=1e-4)
    centred.save(tmp_path / "net.npz")
    back = lrp.MLP.load(tmp_path / "net.npz")
    assert (back.forward(x) == centred.forward(x)).all() and back.forward(x).dtype == dtype


@pytest.mark.parametrize("f0, f, derivative", [
    (np.log(2), lambda z: np.logaddexp(0, z), lambda z, a: 1 - np.exp(-a)),     # softplus
    (-0.5, lambda z: np.tanh(z) - 0.5, lambda z, a: 1 - (a + 0.5)**2),
    (1, np.exp, lambda z, a: a), (1, np.cos, lambda z, a: -np.sin(z))])
@pytest.mark.usefixtures("each_engine")
def test_any_activation_can_be_centred(monkeypatch, f0, f, derivative):
    """Added by a user, whatever its f(0) is, and though another of its name was centred before."""
    monkeypatch.setitem(ACTIVATIONS, "zero_centred_its_own", ACTIVATIONS["relu"])
    monkeypatch.setitem(ACTIVATIONS, "its_own", Activation(f, derivative))
    rng = np.random.default_rng(0)
    net = lrp.MLP.from_arrays([rng.normal(size=(4, 3)), rng.normal(size=(3, 3)),
                               rng.normal(size=(3, 2))], [rng.normal(size=K) for K in (3, 3, 2)],
                              "its_own")
    x = rng.random((5, 4))
    centred = lrp.zero_centred(net)
    np.testing.assert_allclose(centred.forward(x), net.forward(x), rtol=1e-12)
    np.testing.assert_allclose(centred.activations(x)[1], net.activations(x)[1] - f0)
    for pair, centred_pair in zip(
            net.backward(net.forward_pass(x), np.ones((5, 2))),
            centred.backward(centred.forward_pass(x), np.ones((5, 2))), strict=True):
        np.testing.assert_allclose(centred_pair[1], pair[1], rtol=1e-12)
    alone = lrp.MLP([Dense(np.ones((2, 2)), np.zeros(2), "its_own")])
    with pytest.raises(ValueError, match="layer 0 with its_own and nothing behind it"):
        lrp.zero_centred(alone)


def test_centring_twice_is_centring_once(random_case):
    net, x = random_case([5, 4, 3], "sigmoid", 0)
    once = lrp.zero_centred(net)
    twice = lrp.zero_centred(once)
    for one, other in zip(once.layers, twice.layers):
        assert (one.W == other.W).all() and (one.b == other.b).all()
        assert one.activation == other.activation


def test_the_last_layer_must_go_through_zero():
    net = lrp.MLP([Dense(np.ones((2, 2)), np.zeros(2), "sigmoid")])
    with pytest.raises(ValueError, match="must end in a layer with f.0. = 0.*layer 0 with sigmoid"):
        lrp.zero_centred(net)
