# %% [markdown]
# # LRP in fifteen lines of PyTorch
#
# **Question.** Your network is in PyTorch. Must you leave it to explain it?
#
# **Running time.** 15 seconds. **Before it.** [6. The rules](../06_rules.py).
# **It needs** torch: `python -m pip install -e '.[examples]'`. If captum and zennit are installed,
# it compares itself with them.
#
# The four lines have a transposed product in them, `c = s @ W.T`. That is what a gradient computes.
# So automatic differentiation can do it, for convolutions too, if we tell it what to differentiate.
#
# ## The gradient trick, by hand
#
# One neuron: inputs a = (1, 2), weights (3, -1), bias 1. So z = 3 - 2 + 1 = 2, and R = 4. LRP-gamma
# with γ = 1 uses the weights (6, -1) and the bias 2, so z' = 6, and shares out 6/6 · 4 and
# -2/6 · 4.
#
# Now multiply z' by a *constant*, z / z'. The product is z, as before: the network computes what it
# always did. But its derivative is that of z', times z / z': (6, -1) · 2/6 = (2, -1/3). Times the
# input, and times R / z = 2 from above: (4, -4/3). That is LRP-gamma.

# %%
import torch

torch.manual_seed(0)
a = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
w, w_gamma = torch.tensor([3.0, -1.0]).double(), torch.tensor([6.0, -1.0]).double()
z, z_gamma = a @ w + 1, a @ w_gamma + 2
trick = z_gamma * (z / z_gamma).detach()
R = a * torch.autograd.grad(trick, a)[0] * (4 / z)
print("z:", z.item(), " the trick's:", trick.item(), " R:", R.detach().numpy())
assert trick == z and torch.allclose(R, torch.tensor([4, -4 / 3]).double())

# %% [markdown]
# ## Fifteen lines
#
# `rule` gives each layer its gamma and epsilon. Layers without weights (ReLU, pooling, Flatten)
# stay: a ReLU passes relevance on, and max pooling gives it to the largest, as their gradients do.

# %%
from torch.func import functional_call


def lrp(model, x, rule=lambda layer: (0.0, 0.0)):
    """The relevance of x (N, ...) for the predicted class, in units of the logit."""
    a = x = x.clone().requires_grad_(True)
    for layer in model:
        if not hasattr(layer, "weight"):
            a = layer(a)
            continue
        gamma, epsilon = rule(layer)
        changed = {name: p + gamma * p.clamp(min=0) for name, p in layer.named_parameters()}
        z, z_rule = layer(a), functional_call(layer, changed, a)
        stabilized = z_rule + epsilon * torch.where(z_rule >= 0, 1.0, -1.0)
        share = z_rule * (z / stabilized).detach()
        a = (z - share).detach() + share        # the value is z, the derivative that of `share`
    return x * torch.autograd.grad(a.max(dim=1).values.sum(), x)[0]


tiny = torch.nn.Sequential(torch.nn.Linear(2, 1)).double()
with torch.no_grad():
    tiny[0].weight[:], tiny[0].bias[:] = torch.tensor([3.0, -1.0]), 1
by_hand = lrp(tiny, torch.tensor([[1.0, 2.0]]).double(), lambda layer: (1.0, 0.0)).detach()
print("the neuron from above, whose relevance is its z = 2:", by_hand.numpy())
assert torch.allclose(by_hand, torch.tensor([[2, -2 / 3]]).double())

# %% [markdown]
# (The last line but one keeps the value of z when epsilon makes `share` smaller. Where z' is
# exactly 0 and ε is 0, it gives NaN, where our rules drop R.)
#
# ## The same numbers
#
# A convolutional network for our digits, trained in PyTorch. Convolutions get gamma, the others
# epsilon: a composite, in one line.

# %%
import numpy as np
import lrp_numpy

digits = lrp_numpy.load_mnist()
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(8, 16, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
    torch.nn.Linear(400, 60), torch.nn.ReLU(), torch.nn.Linear(60, 10))
images = torch.tensor(digits.train_images).reshape(-1, 1, 28, 28)
labels = torch.tensor(digits.train_labels, dtype=torch.int64)
optimizer = torch.optim.Adam(model.parameters(), 2e-3)
for _ in range(2):
    for batch in torch.randperm(len(images)).split(100):
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model = model.double()
x = torch.tensor(digits.test_images[:20]).double().reshape(-1, 1, 28, 28)
right = (model(x).argmax(1).numpy() == digits.test_labels[:20]).mean()
print(f"loss {loss.item():.2f}, accuracy on twenty digits {right:.0%}")
assert right > 0.8


def composite(layer):
    return (0.25, 0.0) if isinstance(layer, torch.nn.Conv2d) else (0.0, 0.25)


net = lrp_numpy.from_torch(model, shape=(1, 28, 28))
rows = x.numpy().reshape(20, 784)
for name, ours, theirs in (
        ("LRP-0", lrp_numpy.explain(net, rows, "0"), lrp(model, x)),
        ("composite", lrp_numpy.explain(net, rows, ["gamma", "gamma", "epsilon", "epsilon"],
                                        gamma=0.25, epsilon=0.25), lrp(model, x, composite))):
    error = np.abs(ours.input - theirs.detach().numpy().reshape(20, 784)).max()
    print(f"{name}: largest difference {error:.0e}, largest |R| {np.abs(ours.input).max():.2f}")
    assert error < 1e-10

# %% [markdown]
# ## Beside captum and zennit
#
# Both use hooks to do the same. Here they explain the same digits by epsilon = 1e-6, in every
# layer.

# %%
expected = lrp(model, x, lambda layer: (0.0, 1e-6)).detach()
compared = []
try:
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule
    for layer in model:
        if hasattr(layer, "weight"):
            layer.rule = EpsilonRule(1e-6)
        elif isinstance(layer, torch.nn.Flatten):
            layer.rule = EpsilonRule(1e-12)     # captum needs a rule for it
    theirs = LRP(model).attribute(x.clone().requires_grad_(True), target=model(x).argmax(1))
    compared.append(("captum", (theirs - expected).abs().max().item()))
except ImportError:
    print("captum is not installed")
try:
    from zennit.attribution import Gradient
    from zennit.composites import LayerMapComposite
    from zennit.rules import Epsilon, Pass
    from zennit.types import Activation, Convolution, Linear
    with Gradient(model, LayerMapComposite([
            (Activation, Pass()), (Convolution, Epsilon(1e-6)), (Linear, Epsilon(1e-6))])) as hooks:
        logits = model(x)
        start = torch.eye(10).double()[logits.argmax(1)] * logits.detach()
        theirs = hooks(x.clone().requires_grad_(True), start)[1]
    compared.append(("zennit", (theirs - expected).abs().max().item()))
except ImportError:
    print("zennit is not installed")
for name, difference in compared:
    print(f"{name}: largest difference {difference:.0e}")
    assert difference < 1e-6 * max(1, expected.abs().max().item())

# %% [markdown]
# ## What this does not do
#
# Fifteen lines serve a chain of Linear, convolution, ReLU and pooling layers. They have no ledger,
# so they do not say what the biases and epsilon got. They do not know z-B or α-β (for these, write
# another `share`). And they trust f(0) = 0: put a sigmoid in the chain, and you are in the trap of
# [lesson 9](../09_the_sigmoid_trap.py).

# %%
with_sigmoid = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Sigmoid(),
                                   torch.nn.Linear(1, 1, bias=False)).double()
with torch.no_grad():
    with_sigmoid[0].weight[:] = torch.tensor([[1.0, -0.99]])
    with_sigmoid[2].weight[:] = 1
by_gradient = lrp(with_sigmoid, torch.ones(1, 2).double()).detach().numpy()
print("the neuron of lesson 9:", by_gradient.round(3), " LRP-0: [[ 50.25 -49.75]]")
assert np.allclose(by_gradient, [[0.25, -0.2475]], atol=1e-3)

# %% [markdown]
# Here the gradient multiplies by the sigmoid's slope, 1/4, instead of σ(z) / z: near z = 0 that is
# the zero-centred answer of lesson 9 (not so for large z). So two programs called "LRP" differ by a
# factor of 200 on this neuron. Ask yours which it is.
#
# Back to [the course](../README.md).
