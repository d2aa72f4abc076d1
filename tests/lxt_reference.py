"""Relevance of tokens by LXT, the software of AttnLRP's authors: rule by rule, its backward pass
gives relevance. epsilon is its stabilizer; left alone, LXT takes 1e-6."""
import math

import torch
from lxt.explicit import functional as rules


class Identity(torch.autograd.Function):
    """An activation passes relevance on as it is."""
    @staticmethod
    def forward(ctx, z):
        return torch.nn.functional.gelu(z)

    @staticmethod
    def backward(ctx, R):
        return R


def attend(a, heads, causal, epsilon):
    N, T, _ = a.shape
    Q, K, V = (part.reshape(N, T, heads, -1).transpose(1, 2) for part in a.chunk(3, dim=2))
    S = rules.matmul(Q, K.transpose(2, 3), epsilon=epsilon)
    if causal:
        S = S.masked_fill(torch.ones(T, T).triu(1) > 0, -torch.inf)
    A = rules.softmax(S, -1, temperature=math.sqrt(Q.shape[3]))
    return rules.matmul(A, V, epsilon=epsilon).transpose(1, 2).reshape(N, T, -1)


def forward(layers, a, epsilon):
    """The output for tokens a (N, T, D)."""
    for layer in layers:
        kind, (W, b) = type(layer).__name__, (
            torch.tensor(layer.W) if layer.parameters[:1] == ("W",) else None,
            torch.tensor(layer.b) if "b" in layer.parameters else None)
        if kind == "Dense":
            a = rules.linear_epsilon(a, W.T, b, epsilon)
            a = a if layer.activation == "identity" else Identity.apply(a)
        elif kind == "LayerNorm":
            a = rules.layer_norm_grad_fn.apply(a, W, b, layer.epsilon, epsilon)
        elif kind == "SelfAttention":
            a = attend(a, layer.heads, layer.causal, epsilon)
        elif kind == "Positions":
            a = rules.add2(a, b[None].expand_as(a), epsilon=epsilon)
        elif kind == "MeanOverTokens":
            a = rules.mean(a, 1, False, epsilon)
        elif kind == "Residual":
            a = rules.add2(a, forward(layer.layers, a, epsilon), epsilon=epsilon)
    return a
