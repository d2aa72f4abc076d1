"""Self-attention: what each token takes from the others, and how its relevance goes back."""
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lrp_numpy.layers.base import Layer, epsilon_of, per_unit, step_row, whole_row
from lrp_numpy.ops import reference
from lrp_numpy.rules import LedgerRow
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

    def attend(self, a: Array, ops: ModuleType = reference) -> Heads:
        """All of it; kept, if this is a twin made by `keeping`."""
        def of(a):
            Q, K, V = self.split(a, 3)
            S = np.matmul(Q, upright(K))
            S *= S.dtype.type(1 / math.sqrt(Q.shape[3]))
            A = ops.softmax(S, self.causal)
            O, = self.split(np.empty((*a.shape[:2], a.shape[2] // 3), a.dtype))  # noqa: E741
            return Heads(Q, K, V, S, A, np.matmul(A, V, out=O))
        return self.once("attend", a, of)

    def split(self, a: Array, parts: int = 1) -> Array:
        """(N, T, parts D) -> (parts, N, h, T, d), a view."""
        N, T, width = a.shape
        return a.reshape(N, T, parts, self.heads, width // parts // self.heads).transpose(
            2, 0, 3, 1, 4)

    def preactivation(self, a: Array, ops: ModuleType = reference) -> Array:
        """O, its heads side by side."""
        O = self.attend(a, ops).O       # noqa: E741
        return O.swapaxes(1, 2).reshape(*a.shape[:2], a.shape[2] // 3)

    def back(self, heads: Heads, of_S: Array | None, of_O: Array) -> Array:
        """What comes back to queries, keys and values from S (None: nothing) and O (N, T, 3 D):

            of_S K / sqrt(d),    of_S^T Q / sqrt(d),    A^T of_O
        """
        Q, K, _, _, A, _ = heads
        N, h, T, d = Q.shape
        c = (np.zeros if of_S is None else np.empty)((N, T, 3 * h * d), A.dtype)
        of_Q, of_K, of_V = self.split(c, 3)
        np.matmul(A.swapaxes(2, 3), of_O, out=of_V)
        if of_S is not None:
            of_S *= of_S.dtype.type(1 / math.sqrt(d))
            np.matmul(of_S, K, out=of_Q)
            np.matmul(of_S.swapaxes(2, 3), Q, out=of_K)
        return c

    def backward(self, a: Array, dz: Array, ops: ModuleType = reference) -> Array:
        """dA = dO V^T, dV = A^T dO; dS = A * (dA - sum_j A dA); dQ = dS K / sqrt(d), dK = dS^T Q /
        sqrt(d)."""
        heads, (dO,) = self.attend(a, ops), self.split(dz)
        dA = np.matmul(dO, upright(heads.V))
        return self.back(heads, ops.softmax_backward(heads.A, dA), dO)

    def relevance(self, rule: Any, a: Array, z: Array | None, R: Array,
                  ops: ModuleType = reference, ledger: list | None = None,
                  out: Array | None = None) -> Array:
        """By AttnLRP, or with attention weights that are constant; `rule` gives epsilon."""
        heads, rows = self.attend(a, ops), list[LedgerRow]()
        z = self.preactivation(a, ops) if z is None else z
        s, of_S = per_unit(z, R, epsilon_of(rule, z), rows, ops), None      # R / O
        if self.attention == "attnlrp":
            s /= 2                                                          # half of it to V, and
            c_A = np.matmul(self.split(s)[0], upright(heads.V))             # half to A = softmax(S)
            R_S, of_constant = ops.softmax_relevance(heads.S, heads.A, c_A)
            rows.append(step_row(len(R), bias=of_constant))
            of_S = per_unit(heads.S, R_S, epsilon_of(rule, heads.S), rows, ops)
            of_S /= 2                                                       # half to Q, half to K
        R_inputs = self.back(heads, of_S, self.split(s)[0])
        R_inputs *= a
        if ledger is not None:
            ledger.append(whole_row(R_inputs, rows))
        return R_inputs


def upright(K: Array) -> Array:
    """K^T of each head, (N, h, T, d) to (N, h, d, T): copied, which makes NumPy's small products
    twice as fast."""
    return np.ascontiguousarray(K.swapaxes(2, 3))
