"""Networks from the models of torch, which is not imported: whoever has a model has imported it."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lrp_numpy.layers import AvgPool2D, BatchNorm, Dense, Flatten, MaxPool2D, Unflatten
from lrp_numpy.models.convert import (ONLY_AT_THE_END, Step, adaptive_pool, assemble, compare,
                                      leaky_relu, pair, same_padding, square_convolution,
                                      square_pool, without_last_activation)
from lrp_numpy.models.encoder_of_torch import bias_of, encoder_layer, layer_norm
from lrp_numpy.network import Network
from lrp_numpy.utils.foreign import full_name, known_name, loaded
from lrp_numpy.utils.types import Shape

NO_EFFECT = ("Identity", "Dropout", "Dropout1d", "Dropout2d", "AlphaDropout",
             "FeatureAlphaDropout")      # when predicting
ACTIVATIONS = {"ReLU": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "LeakyReLU": "leaky_relu",
               "ELU": "elu", "SELU": "selu", "GELU": "gelu", "SiLU": "silu",
               "Softplus": "softplus", "Softmax": "softmax", "LogSoftmax": "log_softmax"}
LAYERS = ("Linear", "Conv2d", "BatchNorm1d", "BatchNorm2d", "MaxPool2d", "AvgPool2d",
          "AdaptiveAvgPool2d", "Flatten", "LayerNorm", "TransformerEncoderLayer")
ALLOWED = ", ".join([*LAYERS, *ACTIVATIONS][:-2]) + (
    ", Dropout, Identity or, at the end, Softmax or LogSoftmax")

# Options that ours do not have, each with the values that mean what ours do
OPTIONS: dict[str, dict[str, tuple]] = {
    "Conv2d": {"dilation": (1,), "groups": (1,), "padding_mode": ("zeros",)},
    "BatchNorm1d": {"track_running_stats": (True,)},
    "BatchNorm2d": {"track_running_stats": (True,)},
    "MaxPool2d": {"padding": (0,), "dilation": (1,), "ceil_mode": (False,),
                  "return_indices": (False,)},
    "AvgPool2d": {"padding": (0,), "ceil_mode": (False,), "divisor_override": (None,)},
    "MultiheadAttention": {"batch_first": (True,), "bias_k": (None,), "bias_v": (None,),
                           "add_zero_attn": (False,)},
    "Flatten": {"start_dim": (1,), "end_dim": (-1,)},
    "ELU": {"alpha": (1,)},
    "GELU": {"approximate": ("none",)},
    "Softplus": {"beta": (1,), "threshold": (20,)},
    "Softmax": {"dim": (1, -1, None)},
    "LogSoftmax": {"dim": (1, -1, None)}}

# What decides what a module computes, or what is read of it
METHODS = ("forward", "__call__", "_call_impl", "_wrapped_call_impl", "_conv_forward", "_sa_block",
           "_ff_block", "__iter__", "__getattr__")
# Hooks that write a layer's weight just before it is used: (module, class)
WEIGHT_HOOKS = {("torch.nn.utils.weight_norm", "WeightNorm"),
                ("torch.nn.utils.spectral_norm", "SpectralNorm"),
                ("torch.nn.utils.prune", "BasePruningMethod")}


def from_torch(sequential: Any, shape: Shape | None = None) -> Network:
    """A network that computes what a torch.nn.Sequential computes when it predicts (eval).

    Linear, Conv2d, pooling, Flatten, LayerNorm, TransformerEncoderLayer and activations, also in
    nested Sequentials and in a TransformerEncoder: OPTIONS and LAYERS above. shape: (C, H, W) of
    one image, or (T, D) of its tokens, if the network takes these (which still enter as rows), None
    if it takes rows; a Flatten of rows is then skipped. BatchNorm is folded into the layer
    beside it, see `canonize.fold_batchnorm`. Dropout and Identity, which do nothing at prediction
    time, are skipped, and so is a final Softmax, LogSoftmax or Sigmoid: the logit before it is
    explained. An activation after MaxPool2d is moved before it, with the same result. Weights under
    weight_norm, spectral_norm, pruning or a parametrization are taken as they are used.

    float32 and float64 are kept, and the model stays as it is. Raises ValueError, naming the layer
    by its place in the Sequential, for anything else: other layers, classes with a forward of their
    own, hooks, options that ours do not have (dilation, groups, ...), types, activations without a
    layer; and if model and network differ on a few random rows. Needs torch 2.0 or later.
    """
    torch: Any = loaded("torch")
    kind = known_name(sequential, getattr(torch, "nn", None), METHODS)
    if kind != "Sequential":
        raise ValueError("sequential must be a torch.nn.Sequential, got "
                         f"{kind or full_name(sequential)}; make one of its layers, in the order "
                         "in which its forward calls them")
    _check_global_hooks(torch)
    with _at_rest(sequential), torch.random.fork_rng(devices=[]):
        steps, end = without_last_activation(
            [Step(place, name, _ours(place, name, module, torch), module)
             for place, name, module in _flat(sequential, torch)])
        net = assemble(steps, [] if shape is None else [Unflatten(shape)],
                       "shape must be (C, H, W), the sides of one image, or (T, D), its tokens, "
                       "such as in from_torch(sequential, shape=(1, 28, 28))")
        sides = (net.sizes[0],) if shape is None else shape
        compare(net, lambda x: _logits(torch, sequential, end, x.reshape(-1, *sides)))
    return net


def _flat(model, torch, above=""):
    """(place, name, module) of each layer that has an effect; one that is used twice comes twice.
    """
    _check_hooks(above.rstrip("."), model)
    if isinstance(model, torch.nn.TransformerEncoder):
        modules = [(f"layers.{number}", one) for number, one in enumerate(model.layers)]
        modules += [] if model.norm is None else [("norm", model.norm)]
    else:
        modules = [(str(number), one) for number, one in enumerate(model)]
    for path, module in modules:
        place, name = f"{above}{path}", known_name(module, torch.nn, METHODS)
        if name in ("Sequential", "TransformerEncoder"):
            yield from _flat(module, torch, f"{place}.")
            continue
        if name in NO_EFFECT:
            _check_hooks(place, module)
        else:
            yield place, name, module


def _ours(place, name, module, torch):
    """A Layer, the name of an activation, or a function of the shape: see `convert.Step`."""
    if name not in LAYERS and name not in ACTIVATIONS:
        own = f"{full_name(module)}, which has a forward of its own"
        raise ValueError(f"layer {place} must be {ALLOWED}, got {name or own}")
    _check_hooks(place, module)
    _check_options(place, name, module)
    if name == "LeakyReLU":
        return leaky_relu(place, module.negative_slope)
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    if name == "Flatten":
        return Flatten()
    if name == "AdaptiveAvgPool2d":
        outputs = module.output_size
        outputs = outputs if isinstance(outputs, tuple) else (outputs, outputs)
        return lambda images: [adaptive_pool(outputs, images)]
    if name in ("MaxPool2d", "AvgPool2d"):
        kind = MaxPool2D if name == "MaxPool2d" else AvgPool2D
        return lambda images: [square_pool(kind, pair(module.kernel_size), pair(module.stride),
                                           images)]
    if name in ("BatchNorm1d", "BatchNorm2d"):
        return _batchnorm(place, name, module, torch)

    def read(part, tensor):
        return _array(place, part, tensor, torch)

    if name == "LayerNorm":
        return layer_norm(place, module, read)
    if name == "TransformerEncoderLayer":
        activation = _check_parts(place, module, torch)
        return lambda _: encoder_layer(place, module, activation, read)
    for hook in module._forward_pre_hooks.values():
        hook(module, ())        # it writes the weight: see WEIGHT_HOOKS
    W = read("weight", module.weight)
    b = bias_of(module, W, read)
    if name == "Linear":
        return Dense(W.T, b, "identity")                            # torch has (K, D)
    return lambda images: [square_convolution(W.swapaxes(0, 1), b, pair(module.stride),
                                              _padding(module), images)]    # torch has (K, C, h, w)


def _padding(conv):
    """((top, bottom), (left, right))"""
    if conv.padding == "same":
        return tuple(map(same_padding, conv.kernel_size))
    sides = (0, 0) if conv.padding == "valid" else pair(conv.padding)
    return tuple((side, side) for side in sides)


def _batchnorm(place, name, module, torch):
    if module.running_mean is None:
        raise ValueError(f"layer {place}: running_mean of {name} must be an array, got None")
    mean, variance = (_array(place, one, getattr(module, one), torch)
                      for one in ("running_mean", "running_var"))
    gamma, beta = (plain if getattr(module, one) is None else
                   _array(place, one, getattr(module, one), torch)
                   for one, plain in (("weight", np.ones_like(mean)), ("bias", 0 * mean)))
    each = (-1, 1, 1) if name == "BatchNorm2d" else (-1,)
    mean, variance, gamma, beta = (one.reshape(each) for one in (mean, variance, gamma, beta))
    return BatchNorm.from_statistics(mean, variance, gamma, beta, module.eps)


def _array(place, name, tensor, torch):
    """The numbers of a plain tensor."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        raise ValueError(f"layer {place}: {name} must be a plain tensor, got {full_name(tensor)}")
    if tensor.device.type == "meta" or tensor.layout != torch.strided:
        raise ValueError(f"layer {place}: {name} must have all its numbers in memory, got a tensor "
                         f"of layout {tensor.layout} on device {tensor.device}")
    if kind not in ("float32", "float64"):
        raise ValueError(f"layer {place}: {name} must be float32 or float64, got {kind}")
    return tensor.detach().cpu().numpy()


def _check_parts(place, encoder, torch):
    """The name of the activation of a TransformerEncoderLayer, whose parts must be torch's own."""
    for path, part in encoder.named_modules():
        name = known_name(part, torch.nn, METHODS)
        if path and name is None:
            raise ValueError(f"layer {place}: {path} must be a layer of torch.nn, got "
                             f"{full_name(part)}, which has a forward of its own")
        if path:
            _check_hooks(f"{place}, {path}", part)
            _check_options(f"{place}, {path}", name, part)
    activation = encoder.activation
    if isinstance(activation, torch.nn.Module):
        name = known_name(activation, torch.nn, METHODS)
        ours = _ours(f"{place}, activation", name, activation, torch) if name in ACTIVATIONS else ""
    else:
        functions = torch.nn.functional
        ours = {functions.relu: "relu", functions.gelu: "gelu"}.get(activation, "")
    if not ours or ours in ONLY_AT_THE_END:
        raise ValueError(f"layer {place}: activation must be relu, gelu or one of "
                         f"{', '.join(list(ACTIVATIONS)[:-2])}, got {activation!r}")
    return ours


def _check_options(place, name, module):
    for option, allowed in OPTIONS.get(name, {}).items():
        value = getattr(module, option)
        one = value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        if one not in allowed:
            raise ValueError(f"layer {place}: {option} of {name} must be {allowed[0]!r}, got "
                             f"{one!r}")


def _check_hooks(place, module):
    """Forward hooks may change anything; those that write the weight are known."""
    where = f"layer {place}" if place else "sequential"
    for kind, hooks in (("forward hook", module._forward_hooks),
                        ("forward pre-hook", module._forward_pre_hooks)):
        for hook in hooks.values():
            bases = {(base.__module__, base.__qualname__) for base in type(hook).__mro__}
            if kind == "forward hook" or not bases & WEIGHT_HOOKS:
                name = getattr(hook, "__qualname__", type(hook).__qualname__)
                raise ValueError(f"{where} must have no {kind}, which may change what it computes, "
                                 f"got {name}; remove it by its handle.remove()")


def _check_global_hooks(torch):
    for name in ("_global_forward_hooks", "_global_forward_pre_hooks"):
        if getattr(torch.nn.modules.module, name, None):
            raise ValueError("torch must have no global forward hooks, which may change what a "
                             "layer computes, got some for all modules")


@contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """All modules as when they predict; afterwards as they were, with the weights of hooks."""
    before = [(module, dict(vars(module))) for module in model.modules()]
    try:
        for module, _ in before:
            module.training = False
        yield
    finally:
        for module, attributes in before:
            vars(module).update(attributes)


def _logits(torch, model, end, images):
    """What enters `end`, or what the model gives: with copies of its numbers in float64, so that
    neither rounding nor a device matters, and the model's own stay."""
    numbers = [*model.named_parameters(), *model.named_buffers()]
    copies = {name: tensor.detach().cpu().double() if tensor.is_floating_point() else tensor.cpu()
              for name, tensor in numbers}
    entered: list[Any] = []
    handle = end and end.theirs.register_forward_pre_hook(lambda _, inputs: entered.extend(inputs))
    try:
        with torch.no_grad():
            output = torch.func.functional_call(model, copies, (torch.from_numpy(images),))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ValueError(f"sequential must take inputs of shape {images.shape[1:]}, got "
                         f"{type(error).__name__}: {error}") from error
    finally:
        if handle:
            handle.remove()
    return (entered[-1] if end else output).numpy()
