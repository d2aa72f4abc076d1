"""The layers of a transformer, from torch's arrays: what `from_torch` reads of its encoders."""
from collections.abc import Callable
from typing import Any

import numpy as np

from lrp_numpy.layers import Dense, Layer, LayerNorm, Residual, SelfAttention

Read = Callable[[str, Any], np.ndarray]     # (its name, a tensor) -> its numbers
CALLED = ("self_attn", "linear1", "linear2")    # parts that may have hooks that write their weight


def layer_norm(place: str, module: Any, read: Read) -> LayerNorm:
    """An nn.LayerNorm over the D numbers of a token. Raises ValueError if it is over more axes."""
    if len(module.normalized_shape) != 1:
        raise ValueError(f"layer {place}: normalized_shape of LayerNorm must be (D,), the numbers "
                         f"of a token, got {tuple(module.normalized_shape)}")
    D, = module.normalized_shape
    W = np.ones(D, np.float32) if module.weight is None else read("weight", module.weight)
    return LayerNorm(W, bias_of(module, W, read), module.eps)


def encoder_layer(place: str, module: Any, activation: str, read: Read) -> list[Layer]:
    """An nn.TransformerEncoderLayer: attention, then two linear layers, each around a shortcut.

        norm_first:     x + attention(norm1(x)),  then  x + MLP(norm2(x))
        else:           norm1(x + attention(x)),  then  norm2(x + MLP(x))

    torch has Q, K and V one above the other, in_proj_weight (3 D, D): transposed, they stand side
    by side, as SelfAttention takes them. Source: Vaswani et al. 2017; Xiong et al. 2020, "On Layer
    Normalization in the Transformer Architecture" (norm_first).
    """
    for name in CALLED:
        part = getattr(module, name)
        for hook in part._forward_pre_hooks.values():
            hook(part, ())
    of = module.self_attn
    W = read("in_proj_weight", of.in_proj_weight)
    b = bias_of(of, W, read, "in_proj_bias")
    attention = [Dense(W.T, b, "identity"), SelfAttention(of.num_heads),
                 _dense(of.out_proj, "identity", read)]
    mlp = [_dense(module.linear1, activation, read), _dense(module.linear2, "identity", read)]
    norm1, norm2 = (layer_norm(place, one, read) for one in (module.norm1, module.norm2))
    if module.norm_first:
        return [Residual([norm1, *attention]), Residual([norm2, *mlp])]
    return [Residual(attention), norm1, Residual(mlp), norm2]


def _dense(linear, activation, read):
    W = read("weight", linear.weight)
    return Dense(W.T, bias_of(linear, W, read), activation)       # torch has (K, D)


def bias_of(module: Any, W: np.ndarray, read: Read, name: str = "bias") -> np.ndarray:
    """Its bias (K,), zeros of the type of W (K, ...) if it has none."""
    bias = getattr(module, name)
    return np.zeros(len(W), W.dtype) if bias is None else read(name, bias)
