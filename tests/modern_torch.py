"""Residual networks and transformers in torch, and their relevance by autograd: independent of the
package. Relevance is input times gradient, where factors that a rule takes as constants are
detached: then the gradient is what LRP-0 divides and multiplies."""
import math

import numpy as np
import torch
from torch.nn import functional as F

ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu, "tanh": torch.tanh, "identity": lambda z: z}


def identity_rule(a, f):
    """f(a), whose gradient is f(a) / a: relevance passes an activation unchanged."""
    z = f(a)
    return a * torch.where(a == 0, torch.zeros_like(z), z / torch.where(a == 0, 1, a)).detach()


def half(x):
    """x, with half its gradient."""
    return (x + x.detach()) / 2


def layer_norm(a, W, b, epsilon, constant):
    std = torch.sqrt(a.var(dim=-1, unbiased=False, keepdim=True) + epsilon)
    return (a - a.mean(dim=-1, keepdim=True)) / (std.detach() if constant else std) * W + b


def attend(a, heads, causal, attention=None):
    """attention: None for the derivative, else the rule."""
    N, T, _ = a.shape
    Q, K, V = (part.reshape(N, T, heads, -1).transpose(1, 2) for part in a.chunk(3, dim=2))
    if attention == "attnlrp":
        Q, K = half(Q), half(K)
    S = Q @ K.transpose(2, 3) / math.sqrt(Q.shape[3])
    if causal:
        S = S.masked_fill(torch.ones(T, T).triu(1) > 0, -torch.inf)
    A = S.softmax(dim=3)
    if attention == "attnlrp":
        A, V = half(A), half(V)
    elif attention == "cp":
        A = A.detach()
    return (A @ V).transpose(1, 2).reshape(N, T, -1)


def batch_norm(a, layer, arrays, trains):
    """In training, torch moves mean and variance on."""
    mean, variance, W, b = (arrays[name].ravel() for name in ("mean", "variance", "W", "b"))
    return F.batch_norm(a, mean, variance, W, b, trains, layer.momentum, layer.epsilon)


def forward(layers, a, arrays, trains=False, lrp=None, path=""):
    """The output; arrays: {"0.W": a tensor, ...}; lrp: the rule of attention, for a gradient that
    is relevance."""
    for number, layer in enumerate(layers):
        kind, here = type(layer).__name__, f"{path}{number}."
        of = {name.removeprefix(here): value for name, value in arrays.items()
              if name.startswith(here)}
        if kind == "Dense":
            a = a @ of["W"] + of["b"]
        elif kind == "Conv2D":
            a = F.conv2d(a, of["W"].transpose(0, 1), of["b"].ravel(), layer.stride, layer.padding)
        elif kind == "BatchNorm":
            a = batch_norm(a, layer, of, trains)
        elif kind == "LayerNorm":
            a = layer_norm(a, of["W"], of["b"], layer.epsilon, lrp)
        elif kind == "SelfAttention":
            a = attend(a, layer.heads, layer.causal, lrp)
        elif kind == "Positions":
            a = a + of["b"]
        elif kind == "MeanOverTokens":
            a = a.mean(dim=1)
        elif kind == "Tokens":
            squares = F.unfold(a.reshape(-1, *layer.shape), layer.size, stride=layer.size)
            a = squares.transpose(1, 2)
        elif kind == "Residual":
            a = (forward(layer.shortcut, a, arrays, trains, lrp, here + "shortcut.")
                 + forward(layer.layers, a, arrays, trains, lrp, here + "layers."))
        elif kind in ("Flatten", "Unflatten"):
            a = a.flatten(1) if kind == "Flatten" else a.reshape(-1, *layer.shape)
        elif kind == "AvgPool2D":
            a = F.avg_pool2d(a, layer.size)
        else:
            raise NotImplementedError(kind)
        f = ACTIVATIONS[layer.activation]
        a = identity_rule(a, f) if lrp and layer.activation != "identity" else f(a)
    return a


def tensors(net, trained=True):
    """{"0.W": a leaf of autograd, ...}; mean and variance have no derivative in torch."""
    return {f"{number}.{name}": torch.tensor(
        np.array(getattr(layer, name)),
        requires_grad=trained and not name.endswith(("mean", "variance")))
            for number, layer in enumerate(net.layers) for name in layer.parameters}


def relevance(net, x, target, attention):
    """Of the input, under LRP-0."""
    a = torch.tensor(x, requires_grad=True)
    logits = forward(net.layers, a, tensors(net, False), lrp=attention)
    logits[torch.arange(len(x)), torch.tensor(target)].sum().backward()
    return (a * a.grad).detach().numpy()


def adam(net, x, labels, steps, learning_rate):
    """{"0.W": its value after the steps, ...}, and the losses."""
    arrays, losses = tensors(net), []
    optimizer = torch.optim.Adam(
        [array for array in arrays.values() if array.requires_grad], lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(forward(net.layers, torch.tensor(x), arrays, trains=True),
                               torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return {name: array.detach().numpy() for name, array in arrays.items()}, losses
