"""What the conversions of models share, and networks from folders of arrays."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import assert_same, both_types
from lrp_numpy.models import convert


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


# What the conversions share -----------------------------------------------------------------------

@pytest.fixture
def compared(random_case):
    """compared(change): the network against what change(rows, its logits) makes of its logits."""
    net, _ = random_case([4, 5, 3], "tanh", 0)

    def compared(change):
        convert.compare(net, lambda x: change(x, net.forward(x)))
    return compared


@pytest.mark.parametrize("scale", range(3))
def test_networks_are_compared_at_three_scales(compared, scale):
    """A logit of one row of any scale may differ by 1e-4 of the largest of its scale, not more."""
    seen = []

    def differ(by):
        def change(x, logits):
            seen.append(x)
            largest = np.abs(logits[2 * scale:2 * scale + 2]).max()
            logits[2 * scale + 1, 2] += by * largest
            return logits
        return change

    compared(differ(0.9e-4))
    for by in (1.1e-4, -1.1e-4, np.nan, np.inf):
        with pytest.raises(ValueError, match="model must compute what its layers say, got logits "
                                             "that differ by "):
            compared(differ(by))
    sizes = np.abs(seen[0]).reshape(3, -1).mean(axis=1)
    np.testing.assert_allclose(sizes, [0.08, 0.8, 8], rtol=0.5)     # E|x| of a normal is 0.8
    assert seen[0].shape == (6, 4) and len(np.unique(seen[0])) == 24
    np.testing.assert_array_equal(seen[0], seen[1])


def test_a_model_with_other_outputs_is_refused(compared):
    with pytest.raises(ValueError, match=r"model must give logits \(6, 3\) for 6 rows, as the "
                                         r"layers that were read do, got \(6, 2\)"):
        compared(lambda x, logits: logits[:, :2])


def test_one_stride_for_two():
    """By hand: along a side with a single position, any stride does that does not add another."""
    assert convert.square_stride((2, 2), (3, 3), (9, 9)) == 2
    assert convert.square_stride((1, 2), (3, 3), (3, 9)) == 2
    assert convert.square_stride((4, 1), (3, 3), (3, 9)) == 1
    assert convert.square_stride((9, 2), (3, 3), (4, 9)) == 9 - 7
    for strides, sides in (((1, 2), (4, 9)), ((2, 1), (9, 9)), ((9, 1), (4, 9))):
        with pytest.raises(ValueError, match="stride must be one integer for both sides, got"):
            convert.square_stride(strides, (3, 3), sides)


def test_padding_that_differs():
    """A kernel of 1 x 2 with one column before and none after: it grows by zeros, here by hand."""
    W, b = np.array([2.0, 3]).reshape(1, 1, 1, 2), np.array([10.0])
    layer = convert.square_convolution(W, b, (1, 1), ((0, 0), (1, 0)), (1, 1, 3))
    assert layer.padding == 1 and layer.stride == 1
    assert layer.W[0, 0].tolist() == [[0, 0, 0], [2, 3, 0], [0, 0, 0]]
    assert layer.forward(np.array([[[[1.0, 5, 7]]]])).ravel().tolist() == [13, 27, 41]
    for total, sides in ((None, (1, 1)), (1, (0, 1)), (4, (2, 2)), (5, (2, 3))):
        assert convert.same_padding(3, total) == sides
    for value in ((1, 2, 3), 1.5, "same", None, (1, "a")):
        with pytest.raises(ValueError, match="it must have one integer or two, got"):
            convert.pair(value)
