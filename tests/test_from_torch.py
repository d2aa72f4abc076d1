"""Models of torch predict here what they predict there, or are refused by name."""
import numpy as np
import pytest

import lrp_numpy as lrp
from conftest import SHAPES, assert_same, both_types, rows


@pytest.fixture
def nn():
    torch = pytest.importorskip("torch", exc_type=ImportError)
    torch.manual_seed(0)
    return torch.nn


def answers(model, x):
    """What the model gives for x when it predicts, in the type of x."""
    import torch

    model.to(torch.tensor(x).dtype).eval()
    with torch.no_grad():
        return model(torch.tensor(x)).numpy()


def taught(model, *shape):
    """The model, whose BatchNorm has seen numbers, and has a gamma and a beta, some negative."""
    import torch

    with torch.no_grad():
        for module in model.modules():
            if "BatchNorm" in type(module).__name__ and module.weight is not None:
                module.weight.normal_()
                module.bias.normal_()
        for _ in range(3):
            model(2 * torch.randn(8, *shape) + 1)
    return model


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


@pytest.mark.filterwarnings("ignore:Implicit dimension choice:UserWarning")
def test_the_softmax_of_a_row(nn):
    """Its dimension is 1, or the last, or torch's guess, which is the same."""
    body, x = nn.Sequential(nn.Linear(4, 3)).double(), rows(4, np.float64)
    for last in (nn.Softmax(1), nn.Softmax(-1), nn.Softmax(None), nn.LogSoftmax(-1),
                 nn.LogSoftmax(None)):
        assert_same(lrp.from_torch(nn.Sequential(*body, last)), x, answers(body, x))


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


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.5])
def test_leaky_relu_of_any_slope(nn, slope, tmp_path):
    """Its name tells the slope, also in a file that is read elsewhere."""
    model, x = nn.Sequential(nn.Linear(4, 6), nn.LeakyReLU(slope), nn.Linear(6, 3)), rows(
        4, np.float64)
    theirs = answers(model, x)
    net = lrp.from_torch(model)
    assert net.layers[0].activation == f"leaky_relu_{slope}"
    assert_same(net, x, theirs)
    net.save(tmp_path / "net.npz")
    del lrp.layers.activations.ACTIVATIONS[f"leaky_relu_{slope}"]
    assert_same(lrp.Network.load(tmp_path / "net.npz"), x, theirs)


@both_types
@pytest.mark.parametrize("activation", ["LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Softplus"])
def test_activations_of_torch(nn, activation, dtype):
    model, x = nn.Sequential(nn.Linear(4, 6), getattr(nn, activation)(), nn.Linear(6, 3)), 3 * rows(
        4, dtype)
    theirs = answers(model, x)
    net = lrp.from_torch(model)
    assert net.layers[0].activation == {"LeakyReLU": "leaky_relu"}.get(activation,
                                                                       activation.lower())
    assert_same(net, x, theirs)


def networks_with_batchnorm(nn):
    """{name: (shape, model, how many BatchNorm layers remain)}"""
    pad = {"padding": 1}
    return {
        "behind linear layers": ((5,), [nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(),
                                        nn.Linear(6, 3, bias=False), nn.BatchNorm1d(3)], 0),
        "before them": ((5,), [nn.BatchNorm1d(5), nn.Linear(5, 6), nn.ReLU(), nn.Dropout(),
                               nn.BatchNorm1d(6, affine=False), nn.Linear(6, 3)], 0),
        "two in turn": ((5,), [nn.BatchNorm1d(5), nn.BatchNorm1d(5), nn.Linear(5, 4),
                               nn.BatchNorm1d(4), nn.BatchNorm1d(4), nn.Tanh(),
                               nn.Linear(4, 2)], 0),
        "with an activation of its own": ((4,), [nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)], 1),
        "alone": ((4,), [nn.BatchNorm1d(4)], 1),
        "behind convolutions": ((2, 7, 6), [
            nn.Conv2d(2, 3, 3, **pad), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(3, 4, 2, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
            nn.Linear(16, 3)], 0),
        "before them, without padding": ((2, 7, 6), [
            nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.AvgPool2d(2),
            nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 3)], 0),
        "before padding, which is not the shift": ((2, 7, 6), [
            nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 3, **pad),
            nn.Flatten(), nn.Linear(40, 3)], 1),
        "before max pooling, with a negative scale": ((2, 7, 6), [
            nn.Conv2d(2, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(32, 3)], 1)}


@both_types
@pytest.mark.parametrize("name", networks_with_batchnorm(pytest.importorskip("torch").nn))
def test_batchnorm_is_folded(nn, name, dtype):
    shape, layers, remaining = networks_with_batchnorm(nn)[name]
    model = taught(nn.Sequential(*layers), *shape)
    x = rows(int(np.prod(shape)), dtype)
    theirs = answers(model, x.reshape(-1, *shape))
    net = lrp.from_torch(model, shape if len(shape) == 3 else None)
    assert sum(type(layer) is lrp.BatchNorm for layer in net.layers) == remaining
    assert_same(net, x, theirs, atol=2e-5 if dtype == np.float32 else None)


@both_types
@pytest.mark.parametrize("activation", ["relu", "gelu", "Tanh"])
@pytest.mark.parametrize("heads, bias", [(1, True), (3, True), (2, False)])
@pytest.mark.parametrize("norm_first", [True, False])
def test_encoders_of_torch(nn, norm_first, heads, bias, activation, dtype, tmp_path):
    """Alone, in a Sequential, in a TransformerEncoder; saved, too; all weights random."""
    import torch

    def encoder():
        return nn.TransformerEncoderLayer(
            12, heads, 20, norm_first=norm_first, bias=bias, batch_first=True,
            activation=nn.Tanh() if activation == "Tanh" else activation)

    last = nn.LayerNorm(12, elementwise_affine=False) if heads == 3 else None
    model = nn.Sequential(
        nn.Linear(5, 12), nn.GELU(), encoder(), nn.Dropout(), nn.Sequential(encoder()),
        nn.TransformerEncoder(encoder(), 2, last, enable_nested_tensor=False),
        nn.LayerNorm(12, bias=bias), nn.Flatten(), nn.Linear(7 * 12, 3))
    with torch.no_grad():
        for one in model.parameters():
            one.normal_(0, 0.5)
    x = rows(35, dtype)
    theirs = answers(model, x.reshape(-1, 7, 5))
    net = lrp.from_torch(model, shape=(7, 5))
    assert_same(net, x, theirs)
    net.save(tmp_path / "net.npz")
    assert_same(lrp.Network.load(tmp_path / "net.npz"), x, theirs)


def images_of_torch(nn):
    """{name: (shape, layers)}: written otherwise than ours, and the same in effect."""
    return {
        "same": ((2, 6, 7), [nn.Conv2d(2, 3, (4, 3), padding="same"), nn.ReLU(),
                             nn.Conv2d(3, 2, 2, padding="same")]),
        "valid": ((2, 6, 7), [nn.Conv2d(2, 3, (2, 3), padding="valid")]),
        "one padding for each side": ((2, 6, 7), [nn.Conv2d(2, 3, (3, 1), padding=(1, 0)),
                                                  nn.Conv2d(3, 2, 3, padding=(2, 0), stride=2)]),
        "a stride that does not matter": ((2, 6, 3), [nn.Conv2d(2, 3, 3, stride=(2, 1)),
                                                      nn.Conv2d(3, 4, 1, stride=(1, 5))]),
        "a stride that does not matter, with padding": ((2, 1, 6), [
            nn.Conv2d(2, 3, 3, stride=(5, 2), padding=1)]),
        "the first stride does not matter": ((2, 3, 6), [nn.Conv2d(2, 3, 3, stride=(1, 3))]),
        "the whole image": ((2, 5, 4), [nn.Conv2d(2, 3, 1), nn.Tanh(), nn.AvgPool2d((5, 4))]),
        "a rectangle": ((2, 6, 8), [nn.Conv2d(2, 3, 1), nn.AvgPool2d((3, 2), stride=2)]),
        "adaptive": ((2, 5, 4), [nn.Conv2d(2, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1)]),
        "adaptive, to more": ((2, 6, 9), [nn.AdaptiveAvgPool2d((2, 3)), nn.Conv2d(2, 3, 1)]),
        "adaptive, overlapping": ((2, 7, 5), [nn.Conv2d(2, 2, 1), nn.AdaptiveAvgPool2d((3, 2))]),
        "adaptive, one side as it is": ((2, 6, 6), [nn.Conv2d(2, 2, 1),
                                                    nn.AdaptiveAvgPool2d((None, 6))]),
        "nothing below the stride": ((2, 6, 7), [
            nn.Conv2d(2, 2, 1), nn.MaxPool2d([2, 2], (2, 2)),
            nn.AvgPool2d((2,), count_include_pad=False)])}


@both_types
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("name", images_of_torch(pytest.importorskip("torch").nn))
def test_what_is_the_same_in_effect(nn, name, dtype):
    shape, layers = images_of_torch(nn)[name]
    model, x = nn.Sequential(*layers, nn.Flatten()), rows(int(np.prod(shape)), dtype)
    theirs = answers(model, x.reshape(-1, *shape))
    assert_same(lrp.from_torch(model, shape), x, theirs)


def test_an_activation_that_falls_stays_behind_max_pooling(nn):
    """max(relu(z)) is relu(max(z)); of GELU, which falls and rises, that is not true."""
    for activation, refused in ((nn.Softplus, False), (nn.SELU, False), (nn.GELU, True),
                                (nn.SiLU, True)):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), activation(), nn.Flatten())
        x = rows(36, np.float64)
        theirs = answers(model, x.reshape(-1, 1, 6, 6))
        if refused:
            with pytest.raises(ValueError, match="layer 2 must follow a layer with weights"):
                lrp.from_torch(model, (1, 6, 6))
        else:
            assert_same(lrp.from_torch(model, (1, 6, 6)), x, theirs)


def test_only_the_last_sigmoid_is_left_out(nn):
    """Behind another activation it is the last all the same: that one stays."""
    for behind in (nn.ReLU(), nn.Sigmoid(), nn.Tanh()):
        body, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2), behind), rows(
            4, np.float64)
        theirs = answers(body, x)
        net = lrp.from_torch(nn.Sequential(body, nn.Sigmoid()))
        assert net.layers[-1].activation == type(behind).__name__.lower()
        assert_same(net, x, theirs)
    shared = nn.Sigmoid()       # one module, twice: what enters it the second time is the logit
    body = nn.Sequential(nn.Linear(4, 5), shared, nn.Linear(5, 2)).double()
    assert_same(lrp.from_torch(nn.Sequential(*body, shared)), x, answers(body, x))


# What changes a layer from outside ----------------------------------------------------------------

def with_weight_norm(nn):
    return nn.utils.weight_norm(nn.Linear(4, 3))


def with_spectral_norm(nn):
    return nn.utils.spectral_norm(nn.Linear(4, 3))


def with_pruning(nn):
    from torch.nn.utils import prune

    return prune.l1_unstructured(prune.random_unstructured(nn.Linear(4, 3), "weight", 0.3), "bias",
                                 1)


def with_pruning_twice(nn):
    from torch.nn.utils import prune

    return prune.l1_unstructured(prune.random_unstructured(nn.Linear(4, 3), "weight", 0.3),
                                 "weight", 2)


def with_parametrizations(nn):
    return nn.utils.parametrizations.spectral_norm(nn.utils.parametrizations.weight_norm(
        nn.Linear(4, 3)))


def with_a_parametrization_of_its_own(nn):
    class Doubled(nn.Module):
        def forward(self, W):
            return 2 * W

    linear = nn.Linear(4, 3)
    nn.utils.parametrize.register_parametrization(linear, "weight", Doubled())
    return linear


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("made", [
    with_weight_norm, with_spectral_norm, with_pruning, with_pruning_twice, with_parametrizations,
    with_a_parametrization_of_its_own], ids=lambda made: made.__name__)
def test_weights_are_those_that_are_used(nn, made):
    """Also after a step of training, when the hook has not yet written the weight anew."""
    import torch

    layer, x = made(nn), rows(4, np.float32)
    model = nn.Sequential(layer, nn.ReLU(), nn.Linear(3, 2))
    model(torch.tensor(x))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5).add_(0.1)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    own = vars(layer).get("weight")
    net = lrp.from_torch(model)
    assert vars(layer).get("weight") is own and all(one.training for one in model.modules())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert_same(net, x, answers(model, x), atol=1e-5)


def changed_by(nn):
    """{what is changed: a model}"""
    import torch

    def scaled(module, inputs, output):
        return 3 * output

    def shifted(module, inputs):
        return inputs[0] + 1

    def fresh():
        return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Sequential(nn.Dropout(),
                                                                       nn.Linear(3, 2)))

    changes = {
        "layer 0 must have no forward hook, which .*, got .*scaled; remove":
            lambda model: model[0].register_forward_hook(scaled),
        "layer 1 must have no forward pre-hook, which .*, got .*shifted":
            lambda model: model[1].register_forward_pre_hook(shifted),
        "layer 2 must have no forward hook": lambda model: model[2].register_forward_hook(scaled),
        "layer 2.0 must have no forward hook":
            lambda model: model[2][0].register_forward_hook(scaled),
        "sequential must have no forward pre-hook":
            lambda model: model.register_forward_pre_hook(shifted),
        "layer 1 must be Linear.*, got ReLU of torch.nn.*, which has a forward of its own":
            lambda model: setattr(model[1], "forward", torch.cos)}
    models = {}
    for message, change in changes.items():
        models[message] = fresh()
        change(models[message])
    return models


def test_hooks_are_refused_by_name(nn):
    for message, model in changed_by(nn).items():
        with pytest.raises(ValueError, match=message):
            lrp.from_torch(model)


def test_global_hooks_are_refused_and_backward_hooks_do_no_harm(nn):
    model, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()), rows(4, np.float32)
    theirs = answers(model, x)
    for register in (nn.modules.module.register_module_forward_hook,
                     nn.modules.module.register_module_forward_pre_hook):
        handle = register(lambda *arguments: None)
        with pytest.raises(ValueError, match="torch must have no global forward hooks"):
            lrp.from_torch(model)
        handle.remove()
    model[0].register_full_backward_hook(lambda module, into, out: None)
    assert_same(lrp.from_torch(model), x, theirs)


def test_classes_of_ones_own(nn):
    """A class is known by what it computes, not by its name."""
    class Linear(nn.Linear):
        def forward(self, a):
            return super().forward(a) + 1

    class ReLU(nn.Module):
        def forward(self, a):
            return a.abs()

    class Conv2d(nn.Conv2d):
        def _conv_forward(self, a, weight, bias):
            return super()._conv_forward(a, 2 * weight, bias)

    class Sequential(nn.Sequential):
        def forward(self, a):
            return 2 * super().forward(a)

    class Named(nn.Sequential):
        def __init__(self):
            super().__init__(Widened(4, 3), nn.Tanh())

    class Widened(nn.Linear):
        """Nothing but another default."""
        def __init__(self, D, K=7):
            super().__init__(D, K)

    for layers, shape, message in (
            ([Linear(4, 3)], None, "layer 0 must be .*got .*Linear of test_from_torch, which has a "
                                   "forward of its own"),
            ([nn.Linear(4, 3), ReLU()], None, "layer 1 must be .*got .*ReLU of test_from_torch, w"),
            ([Conv2d(1, 1, 3), nn.Flatten()], (1, 4, 4), "layer 0 must be .*Conv2d of test_from_t"),
            ([nn.Linear(4, 3), Sequential(nn.ReLU())], None,
             "layer 1 must be .*got .*Sequential of test_from_torch")):
        with pytest.raises(ValueError, match=message):
            lrp.from_torch(nn.Sequential(*layers), shape)
    with pytest.raises(ValueError, match="must be a torch.nn.Sequential, got .*Sequential of tes"):
        lrp.from_torch(Sequential(nn.Linear(3, 2)))
    model, x = nn.Sequential(Named(), nn.Linear(3, 2)), rows(4, np.float64)
    theirs = answers(model, x)
    assert_same(lrp.from_torch(model), x, theirs)


def test_models_without_plain_numbers(nn):
    import torch

    with pytest.raises(ValueError, match="layer 0: weight must have all its numbers in memory, got "
                                         ".*device meta"):
        lrp.from_torch(nn.Sequential(nn.Linear(3, 2, device="meta")))

    sparse = nn.Sequential(nn.Linear(3, 3))
    sparse[0].weight = nn.Parameter(torch.eye(3).to_sparse())
    with pytest.raises(ValueError, match="layer 0: weight must have all its numbers in memory, got "
                                         "a tensor of layout torch.sparse_coo on device cpu"):
        lrp.from_torch(sparse)

    class Wrapped(torch.Tensor):
        """As tensors of other numbers than they claim are made."""

    model = nn.Sequential(nn.Linear(3, 2))
    model[0].weight = nn.Parameter(torch.ones(2, 3).as_subclass(Wrapped))
    with pytest.raises(ValueError, match="layer 0: weight must be a plain tensor, got .*Wrapped"):
        lrp.from_torch(model)


def test_what_the_model_itself_refuses(nn):
    """A weight that is no parameter stays float32 where all others are compared in float64."""
    import torch

    model = nn.Sequential(nn.Linear(3, 2))
    del model[0].weight
    model[0].weight = torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"sequential must take inputs of shape \(3,\), got "
                                         "RuntimeError: "):
        lrp.from_torch(model)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_quantized_model_is_refused_by_name(nn):
    import torch

    model = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(3, 2), nn.ReLU()), {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(ValueError, match="layer 0 must be Linear.*got Linear of torch.ao.nn.quant"):
        lrp.from_torch(model)


def test_the_model_stays_as_it_is(nn):
    """Also while it trains: neither flags, nor statistics, nor random numbers, nor gradients."""
    import torch

    model = taught(nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5),
                                 nn.Linear(6, 3), nn.Softmax(dim=1)), 4)
    model[3].eval()
    flags = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    for _ in range(2):
        net = lrp.from_torch(model)
        assert torch.equal(torch.get_rng_state(), state)
        assert [module.training for module in model.modules()] == flags == [
            True, True, True, True, False, True, True]
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, before[name]), name
        assert all(not one._forward_pre_hooks and not one._forward_hooks
                   for one in model.modules())
        assert all(one.grad is None and one.requires_grad for one in model.parameters())
    x = rows(4, np.float32)
    assert_same(net, x, answers(model[:-1], x))


def test_random_numbers_of_a_parametrization(nn):
    """One that draws random numbers, whatever for: the next ones are as if nothing had been."""
    import torch

    class Drawing(nn.Module):
        def forward(self, W):
            return W + 0 * torch.rand(())

    model = nn.Sequential(nn.Linear(4, 3))
    nn.utils.parametrize.register_parametrization(model[0], "weight", Drawing())
    state = torch.get_rng_state()
    lrp.from_torch(model)
    assert torch.equal(torch.get_rng_state(), state)
    model[0].weight
    assert not torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("table, key, value", [
    ("ACTIVATIONS", "GELU", "silu"), ("ACTIVATIONS", "Tanh", "identity"),
    ("NO_EFFECT", None, ("Dropout", "GELU"))])
def test_what_is_read_wrongly_is_noticed(nn, monkeypatch, table, key, value):
    """The last line of defence: the logits of a few random rows."""
    from lrp_numpy.models import from_torch

    model = nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2), nn.Tanh())
    lrp.from_torch(model)
    if key is None:
        monkeypatch.setattr(from_torch, table, value)
    else:
        monkeypatch.setitem(getattr(from_torch, table), key, value)
    with pytest.raises(ValueError, match="model must compute what its layers say, got logits that "
                                         "differ by"):
        lrp.from_torch(model)


def without_statistics(norm):
    norm.running_mean = norm.running_var = None
    return norm


def encoder(nn, **options):
    return nn.TransformerEncoderLayer(6, 2, 5, batch_first=True, **options)


def sine():
    import torch

    return torch.sin


def with_a_hook(layer):
    layer.linear1.register_forward_hook(lambda *_: None)
    return layer


def with_a_norm_of_its_own(nn, layer):
    class Louder(nn.LayerNorm):
        def forward(self, a):
            return 2 * super().forward(a)

    layer.norm2 = Louder(6)
    return layer


REFUSED_OF_TORCH = {
    "layer 1 must be Linear, Conv2d.*at the end, Softmax or LogSoftmax, got Hardswish":
        lambda nn: [nn.Linear(3, 2), nn.Hardswish()],
    "layer 2.1 must be Linear.*got GLU":
        lambda nn: [nn.Linear(3, 2), nn.ReLU(), nn.Sequential(nn.Linear(2, 2), nn.GLU())],
    "layer 0 must be Linear.*got LazyLinear": lambda nn: [nn.LazyLinear(2)],
    "layer 1: track_running_stats of BatchNorm1d must be True, got False":
        lambda nn: [nn.Linear(3, 2), nn.BatchNorm1d(2, track_running_stats=False)],
    "layer 1: the slope must be a finite number of at least 0, got -0.2":
        lambda nn: [nn.Linear(3, 2), nn.LeakyReLU(-0.2)],
    "layer 1: running_mean of BatchNorm1d must be an array, got None":
        lambda nn: [nn.Linear(3, 2), without_statistics(nn.BatchNorm1d(2))],
    "layer 1: track_running_stats of BatchNorm2d must be True, got False":
        lambda nn: [nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2, track_running_stats=False)],
    "layer 1: alpha of ELU must be 1, got 0.5": lambda nn: [nn.Linear(3, 2), nn.ELU(0.5)],
    "layer 1: approximate of GELU must be 'none', got 'tanh'":
        lambda nn: [nn.Linear(3, 2), nn.GELU("tanh")],
    "layer 1: beta of Softplus must be 1, got 2": lambda nn: [nn.Linear(3, 2), nn.Softplus(2)],
    "layer 1: threshold of Softplus must be 20, got 1":
        lambda nn: [nn.Linear(3, 2), nn.Softplus(threshold=1)],
    "layer 1: dim of Softmax must be 1, got 0": lambda nn: [nn.Linear(3, 2), nn.Softmax(dim=0)],
    "layer 1: dim of LogSoftmax must be 1, got 0":
        lambda nn: [nn.Linear(3, 2), nn.LogSoftmax(dim=0)],
    "layer 0 must follow a layer with weights that has no activation yet, got ReLU":
        lambda nn: [nn.ReLU(), nn.Linear(3, 2)],
    "layer 2 must follow a layer with weights that has no activation yet, got Tanh":
        lambda nn: [nn.Linear(3, 2), nn.ReLU(), nn.Tanh()],
    "layer 1 must be the last to be Softmax, got more behind it":
        lambda nn: [nn.Linear(3, 2), nn.Softmax(dim=1), nn.Linear(2, 2)],
    r"shape must be \(C, H, W\).*layer 1, a Conv2d, needs it, got None":
        lambda nn: [nn.Dropout(), nn.Conv2d(1, 2, 3)],
    "layer 0: dilation of Conv2d must be 1, got 2": lambda nn: [nn.Conv2d(1, 2, 3, dilation=2)],
    "layer 0: groups of Conv2d must be 1, got 2": lambda nn: [nn.Conv2d(2, 2, 3, groups=2)],
    "layer 0: padding_mode of Conv2d must be 'zeros', got 'circular'":
        lambda nn: [nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")],
    r"layer 0: stride must be one integer for both sides, got \(1, 2\)":
        lambda nn: [nn.Conv2d(1, 2, 3, stride=(1, 2))],
    "layer 0: dilation of MaxPool2d must be 1, got 2": lambda nn: [nn.MaxPool2d(2, dilation=2)],
    "layer 0: return_indices of MaxPool2d must be False, got True":
        lambda nn: [nn.MaxPool2d(2, return_indices=True)],
    "layer 0: padding of AvgPool2d must be 0, got 1": lambda nn: [nn.AvgPool2d(3, padding=1)],
    "layer 0: padding of AvgPool2d must be 0, got .*1":
        lambda nn: [nn.AvgPool2d(3, padding=1, count_include_pad=False)],
    "layer 0: ceil_mode of AvgPool2d must be False, got True":
        lambda nn: [nn.AvgPool2d(2, ceil_mode=True)],
    r"layer 0: its 5 outputs must .* got those from \[0 1 2 4 5\] to \[1 2 4 5 6\]":
        lambda nn: [nn.AdaptiveAvgPool2d(5)],
    r"layer 1: its 4 outputs must take equally many of 10 pixels, equally far apart, got those "
    r"from \[0 2 5 7\]": lambda nn: [nn.Conv2d(1, 1, 4, padding=3), nn.AdaptiveAvgPool2d((1, 4))],
    r"layer 0: stride must be one integer for both sides, got \(6, 1\)":
        lambda nn: [nn.Conv2d(1, 2, 8, stride=(6, 1), padding=1)],
    r"layer 0: its kernel must be as high as it is wide, got \(2, 3\)":
        lambda nn: [nn.MaxPool2d((2, 3), 2)],
    r"layer 1: W must have shape \(1, 1, 1\), one number for each":
        lambda nn: [nn.MaxPool2d(2), nn.BatchNorm2d(2)],
    "layer 0: ceil_mode of MaxPool2d must be False, got True":
        lambda nn: [nn.MaxPool2d(2, ceil_mode=True)],
    "layer 0: padding of MaxPool2d must be 0, got 1": lambda nn: [nn.MaxPool2d(3, padding=1)],
    "layer 0: divisor_override of AvgPool2d must be None, got 3":
        lambda nn: [nn.AvgPool2d(2, divisor_override=3)],
    "layer 0: start_dim of Flatten must be 1, got 2": lambda nn: [nn.Flatten(2)],
    "layer 0: end_dim of Flatten must be -1, got 2": lambda nn: [nn.Flatten(1, 2)],
    r"layer 0: normalized_shape of LayerNorm must be \(D,\).*got \(7, 6\)":
        lambda nn: [nn.LayerNorm((7, 6))],
    "layer 1 must follow a layer with weights that has no activation yet, got Tanh":
        lambda nn: [nn.LayerNorm(3), nn.Tanh()],
    "layer 0, self_attn: batch_first of MultiheadAttention must be True, got False":
        lambda nn: [nn.TransformerEncoderLayer(6, 2, 5)],
    "layer 0: activation must be relu, gelu or one of ReLU.*got <built-in method sin":
        lambda nn: [encoder(nn, activation=sine())],
    "layer 0: activation must be relu.*got Hardswish":
        lambda nn: [encoder(nn, activation=nn.Hardswish())],
    "layer 0, activation: approximate of GELU must be 'none', got 'tanh'":
        lambda nn: [encoder(nn, activation=nn.GELU("tanh"))],
    "layer 0, linear1 must have no forward hook": lambda nn: [with_a_hook(encoder(nn))],
    "layer 0: norm2 must be a layer of torch.nn, got .*Louder.*a forward of its own":
        lambda nn: [with_a_norm_of_its_own(nn, encoder(nn))],
    "its tokens.*layer 0, a TransformerEncoderLayer, needs it, got None":
        lambda nn: [encoder(nn)],
    "layer 0: weight must be float32 or float64, got bfloat16":
        lambda nn: [nn.Linear(3, 2).bfloat16()],
    "layers must hold at least one layer, got none": lambda nn: []}


@pytest.mark.parametrize("message", REFUSED_OF_TORCH)
def test_what_is_refused_of_torch(nn, message):
    takes_images = message.startswith(("layer 0: ", "layer 1: W", "layer 1: its", "layer 0, "))
    with pytest.raises(ValueError, match=message):
        lrp.from_torch(nn.Sequential(*REFUSED_OF_TORCH[message](nn)),
                       (1, 7, 7) if takes_images else None)


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
