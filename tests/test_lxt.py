"""Attention against LXT, the software of AttnLRP's authors: rule by rule, its backward pass gives
relevance. Its stabilizer, 1e-6 unless it is told otherwise, is made too small to matter."""
import numpy as np
import pytest

import lrp_numpy as lrp
from test_transformer import attention_net, images

torch = pytest.importorskip("torch", exc_type=ImportError)
lxt_reference = pytest.importorskip("lxt_reference", exc_type=ImportError)

TINY = 1e-14


@pytest.mark.parametrize("T, D, heads, causal, seed", [
    (5, 6, 1, False, 0), (4, 6, 3, True, 1), (3, 8, 2, False, 2)])
def test_relevance_of_the_tokens(T, D, heads, causal, seed):
    net = attention_net(T, D, heads, causal, seed)
    x = images(net)
    e = lrp.explain(net, x, "0")
    tokens = torch.tensor(net.activations(x)[1], requires_grad=True)
    logits = lxt_reference.forward(net.layers[1:], tokens, TINY)
    np.testing.assert_allclose(logits.detach().numpy(), e.logits, rtol=1e-8, atol=1e-8)
    logits.backward(torch.tensor(e.relevance[-1]))
    scale = np.abs(e.relevance[1]).max(axis=(1, 2), keepdims=True)
    difference = np.abs(tokens.grad.numpy() - e.relevance[1]) / scale
    assert difference.max() < 1e-5, difference.max()
