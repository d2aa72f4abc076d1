"""Attention against LXT, the software of AttnLRP's authors: rule by rule, its backward pass gives
relevance. Its stabilizer, 1e-6 unless it is told otherwise, is made too small to matter."""
import math

import numpy as np
import pytest

import lrp_numpy as lrp
from test_transformer import attention_net, images

torch = pytest.importorskip("torch", exc_type=ImportError)
rules = pytest.importorskip("lxt.explicit.functional", exc_type=ImportError)

TINY = 1e-14


class Identity(torch.autograd.Function):
    """An activation passes relevance on as it is."""
    @staticmethod
    def forward(ctx, z):
        return torch.nn.functional.gelu(z)

    @staticmethod
    def backward(ctx, R):
        return R


def attend(a, heads, causal):
    N, T, _ = a.shape
    Q, K, V = (part.reshape(N, T, heads, -1).transpose(1, 2) for part in a.chunk(3, dim=2))
    S = rules.matmul(Q, K.transpose(2, 3), epsilon=TINY)
    if causal:
        S = S.masked_fill(torch.ones(T, T).triu(1) > 0, -torch.inf)
    A = rules.softmax(S, -1, temperature=math.sqrt(Q.shape[3]))
    return rules.matmul(A, V, epsilon=TINY).transpose(1, 2).reshape(N, T, -1)


def forward(layers, a):
    for layer in layers:
        kind, (W, b) = type(layer).__name__, (
            torch.tensor(layer.W) if layer.parameters[:1] == ("W",) else None,
            torch.tensor(layer.b) if "b" in layer.parameters else None)
        if kind == "Dense":
            a = rules.linear_epsilon(a, W.T, b, TINY)
            a = a if layer.activation == "identity" else Identity.apply(a)
        elif kind == "LayerNorm":
            a = rules.layer_norm_grad_fn.apply(a, W, b, layer.epsilon, TINY)
        elif kind == "SelfAttention":
            a = attend(a, layer.heads, layer.causal)
        elif kind == "Positions":
            a = rules.add2(a, b[None].expand_as(a), epsilon=TINY)
        elif kind == "MeanOverTokens":
            a = rules.mean(a, 1, False, TINY)
        elif kind == "Residual":
            a = rules.add2(a, forward(layer.layers, a), epsilon=TINY)
    return a


@pytest.mark.parametrize("T, D, heads, causal, seed", [
    (5, 6, 1, False, 0), (4, 6, 3, True, 1), (3, 8, 2, False, 2)])
def test_relevance_of_the_tokens(T, D, heads, causal, seed):
    net = attention_net(T, D, heads, causal, seed)
    x = images(net)
    e = lrp.explain(net, x, "0")
    tokens = torch.tensor(net.activations(x)[1], requires_grad=True)
    logits = forward(net.layers[1:], tokens)
    np.testing.assert_allclose(logits.detach().numpy(), e.logits, rtol=1e-8, atol=1e-8)
    logits.backward(torch.tensor(e.relevance[-1]))
    scale = np.abs(e.relevance[1]).max(axis=(1, 2), keepdims=True)
    difference = np.abs(tokens.grad.numpy() - e.relevance[1]) / scale
    assert difference.max() < 1e-5, difference.max()
