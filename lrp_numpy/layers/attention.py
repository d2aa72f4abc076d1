"""Self-attention: what each token takes from the others, and how its relevance goes back."""
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.layers.base import Layer, epsilon_of, per_unit, step_row, sums, whole_row
from lrp_numpy.ops import reference
from lrp_numpy.rules import LedgerRow, total
from lrp_numpy.utils.types import Array, Shape
from lrp_numpy.utils.validation import check_choice, check_integer

ATTENTION = ("attnlrp", "cp")


class Heads(NamedTuple):
    """What attention computes, for N images, h heads, T tokens, d = D / h numbers of a head."""
    Q: Array        # (N, h, T, d) queries
    K: Array        # (N, h, T, d) keys
    V: Array        # (N, h, T, d) values
    S: Array        # (N, h, T, T) scores Q K^T / sqrt(d): S[i, j] of what token i looks for in j
    A: Array        # (N, h, T, T) softmax(S) over j: how much token i takes from j
    O: Array        # (N, h, T, d) A V                                              # noqa: E741


@dataclass(frozen=True, eq=False)
class SelfAttention(Layer):
    """Queries, keys and values (N, T, 3 D), side by side -> what was attended to (N, T, D).

        S = Q K^T / sqrt(d),    A = softmax(S),    O = A V           head by head, d = D / heads

    causal: token i sees no j > i. A Dense layer before it makes queries, keys and values of the
    tokens, another one behind it mixes the heads: both have the rule of your choice. Here, each
    product shares relevance half and half, with the epsilon of that rule (0 if it has none) in the
    denominators, and the softmax is replaced by its tangent:

        R_A = A * ((R/2 / O) V^T),    R_V = V * (A^T (R/2 / O))
        R_S = S * (R_A - A sum_j R_A)
        R_Q = Q * ((R_S/2 / S) K / sqrt(d)),    R_K = K * ((R_S/2 / S)^T Q / sqrt(d))

    A tangent has a constant, A_j (1 - S_j + sum_i A_i S_i): R_S does not sum to R_A, and the ledger
    has the rest, the share of that constant, in its column `bias`. attention="cp": A is taken as a
    constant, so that R_V = V * (A^T (R / O)), and queries and keys get nothing.

    Sources: Vaswani et al. 2017, "Attention Is All You Need"; Achtibat et al. 2024, "AttnLRP",
    propositions 3.1 and 3.3; Ali et al. 2022, "XAI for Transformers" (cp).
    """
    heads: int = 1
    causal: bool = False
    attention: str = "attnlrp"      # the rule: a name in ATTENTION
    options = ("attention",)
    skips_zeros = False             # tokens have none

    def out_shape(self, shape: Shape) -> Shape:
        check_integer("heads", self.heads)
        check_choice("attention", self.attention, ATTENTION)
        if not isinstance(self.causal, bool):
            raise ValueError(f"causal must be True or False, got {self.causal!r}")
        if len(shape) != 2 or shape[1] % 3:
            raise ValueError("it takes queries, keys and values side by side, (T, 3 D), but the "
                             f"layer before it gives {shape}")
        if shape[1] // 3 % self.heads:
            raise ValueError(f"heads must divide the width {shape[1] // 3}, got {self.heads}")
        return shape[0], shape[1] // 3

    def multiplications(self, shape: Shape, out_shape: Shape) -> int:
        return 2 * shape[0] * math.prod(out_shape)

    def attend(self, a: Array) -> Heads:
        N, T, D3 = a.shape
        Q, K, V = a.reshape(N, T, 3, self.heads, D3 // 3 // self.heads).transpose(2, 0, 3, 1, 4)
        S = np.matmul(Q, K.swapaxes(2, 3))
        S *= S.dtype.type(1 / math.sqrt(Q.shape[3]))
        if self.causal:
            S[..., ~np.tri(T, dtype=bool)] = -np.inf
        A = np.exp(S - largest(S))
        A /= sums(A)
        if self.causal:
            S[..., ~np.tri(T, dtype=bool)] = 0      # takes no part, and 0 times A is 0
        return Heads(Q, K, V, S, A, np.matmul(A, V))

    def split(self, a: Array) -> Array:
        """(N, T, D) -> (N, h, T, d)."""
        return a.reshape(*a.shape[:2], self.heads, a.shape[2] // self.heads).swapaxes(1, 2)

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        O = self.once("attend", a, self.attend).O       # noqa: E741
        return O.swapaxes(1, 2).reshape(*a.shape[:2], a.shape[2] // 3)

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """dA = dO V^T, dV = A^T dO; dS = A * (dA - sum_j A dA); dQ = dS K / sqrt(d), dK = dS^T Q /
        sqrt(d)."""
        Q, K, V, _, A, _ = self.once("attend", a, self.attend)
        dO = self.split(dz)
        dS = np.matmul(dO, V.swapaxes(2, 3))
        dS -= sums(A, dS)
        dS *= A
        dS *= dS.dtype.type(1 / math.sqrt(Q.shape[3]))
        return joined(np.matmul(dS, K), np.matmul(dS.swapaxes(2, 3), Q),
                      np.matmul(A.swapaxes(2, 3), dO))

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """By AttnLRP, or with attention weights that are constant; `rule` gives epsilon."""
        Q, K, V, S, A, O = self.once("attend", a, self.attend)      # noqa: E741
        R, rows = self.split(R), list[LedgerRow]()
        if self.attention == "cp":
            s = per_unit(O, R, epsilon_of(rule, O), rows)
            R_Q, R_K, R_V = np.zeros_like(Q), np.zeros_like(K), V * np.matmul(A.swapaxes(2, 3), s)
        else:
            s = per_unit(O, R, epsilon_of(rule, O), rows) / 2
            R_V = V * np.matmul(A.swapaxes(2, 3), s)
            R_A = A * np.matmul(s, V.swapaxes(2, 3))
            R_S = S * (R_A - A * sums(R_A))
            tangent = total(R_A * (1 - S + sums(A, S)))
            s = per_unit(S, R_S, epsilon_of(rule, S), rows) / (2 * math.sqrt(Q.shape[3]))
            R_Q, R_K = Q * np.matmul(s, K), K * np.matmul(s.swapaxes(2, 3), Q)
            rows.append(step_row(len(R), bias=tangent))
        R_inputs = joined(R_Q, R_K, R_V)
        if ledger is not None:
            ledger.append(whole_row(R, R_inputs, rows))
        return R_inputs


def largest(S: Array) -> Array:
    """The largest over the last axis, (..., T) to (..., 1): as S.max(), but for short rows twice as
    fast."""
    T = S.shape[-1]
    return np.maximum.reduceat(S.ravel(), np.arange(0, S.size, T)).reshape(*S.shape[:-1], 1)


def joined(Q: Array, K: Array, V: Array) -> Array:
    """Three (N, h, T, d), side by side: (N, T, 3 D)."""
    N, h, T, d = Q.shape
    a = np.empty((N, T, 3, h, d), V.dtype)
    for number, one in enumerate((Q, K, V)):
        a[:, :, number] = one.swapaxes(1, 2)
    return a.reshape(N, T, 3 * h * d)
