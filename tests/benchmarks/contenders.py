"""What is timed: training and explaining by lrp_numpy, torch and captum, on equal terms.

Each contender is a function without arguments that does the whole job once and returns its result.
"""
import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch

import lrp_numpy as lrp
from lrp_numpy.ops.blas import one_core_free
from lrp_numpy.training import Adam, training_step

sys.path.insert(0, str(Path(__file__).parent.parent))
from torch_reference import as_module  # noqa: E402

EPSILON = GAMMA = 0.25


def copy_of(net):
    return type(net)(net.layers)


# Training: functions return the loss of every step

@one_core_free()        # as `train` does
def our_steps(net, images, labels, batches, engine="numba", learning_rate=1e-3):
    adam, chosen = Adam(net, learning_rate), net.choose_ops(engine, len(images))
    return [float(training_step(net, adam, images[batch], labels[batch], chosen))
            for batch in batches]


def torch_steps(module, images, labels, batches, learning_rate=1e-3, **options):
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    adam = torch.optim.Adam(module.parameters(), lr=learning_rate, **options)
    losses = []
    for batch in map(torch.from_numpy, batches):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(images[batch]), labels[batch])
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


def trainers(net, images, labels, batches):
    """{name: one epoch from the weights of `net`}, everything on the same batches."""
    return {
        "lrp_numpy": lambda: our_steps(copy_of(net), images, labels, batches),
        "our NumPy equations": lambda: our_steps(copy_of(net), images, labels, batches, "numpy"),
        "torch, Adam": lambda: torch_steps(as_module(net), images, labels, batches),
        "torch, Adam(fused=True)": lambda: torch_steps(as_module(net), images, labels, batches,
                                                       fused=True),
        "scikit-learn": lambda: by_scikit_learn(net, images, labels)}


def by_scikit_learn(net, images, labels):
    """One epoch of the same network, from weights and in an order of its own."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    model = MLPClassifier(net.sizes[1:-1], "logistic", alpha=0, batch_size=100, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(images, labels)


# Explaining the predicted class: functions return the relevance of the pixels

def explainers(net, x, rule):
    """{name: explain the images x by "epsilon" or "gamma"}; captum and zennit only where they are
    installed."""
    module, x_torch = as_module(net), torch.from_numpy(x)
    found = {
        "lrp_numpy": lambda: lrp.explain(net, x, rule, intermediate=False, engine="numba").input,
        "lrp_numpy, all relevances": lambda: lrp.explain(net, x, rule, engine="numba").input,
        "our NumPy equations": lambda: lrp.explain(net, x, rule, engine="numpy").input,
        "torch, by gradients": lambda: by_gradients(module, x_torch, rule).numpy()}
    if find_spec("captum"):
        found["captum"] = lambda: by_captum(module, x_torch, rule).detach().numpy()
    if find_spec("zennit"):
        found["zennit"] = lambda: by_zennit(module, x_torch, rule).detach().numpy()
    return found


def by_captum(module, x, rule):
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule
    for layer in module:            # each time: captum deletes them
        if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
            layer.rule = EpsilonRule(EPSILON) if rule == "epsilon" else GammaRule(GAMMA)
        elif not isinstance(layer, torch.nn.ReLU):
            layer.rule = EpsilonRule()
    with torch.no_grad():
        target = module(x).argmax(dim=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LRP(module).attribute(x, target=target)


def by_zennit(module, x, rule):
    """Its Gamma is the rule for both signs, which is ours where a and z are at least 0."""
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
            sys.modules[name] = types.ModuleType(name)      # zennit wants two classes of it
        vars(sys.modules[name]).update(Bottleneck=type("Block", (), {}), BasicBlock=type(
            "Block", (), {}))
    from zennit.composites import LayerMapComposite
    from zennit.rules import Epsilon, Gamma, Pass
    its_rule = Epsilon(EPSILON) if rule == "epsilon" else Gamma(GAMMA)
    composite = LayerMapComposite([(torch.nn.Linear, its_rule), (torch.nn.ReLU, Pass())])
    x = x.clone().requires_grad_()
    with composite.context(module) as with_rules:
        logits = with_rules(x)
        R = logits * torch.nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1])
        return torch.autograd.grad(logits, x, R.detach())[0]


def by_gradients(module, x, rule):
    """The four lines as Montavon et al. 2019 give them for torch: c is a gradient of z."""
    layers, a = list(module[::2]), [x]
    with torch.no_grad():
        for layer in layers[:-1]:
            a.append(torch.relu(layer(a[-1])))
        logits = layers[-1](a[-1])
    R = logits * torch.nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1])
    for layer, a_layer in zip(reversed(layers), reversed(a)):
        W, b = layer.weight.detach(), layer.bias.detach()
        if rule == "gamma":
            W, b = W + GAMMA * W.clamp(min=0), b + GAMMA * b.clamp(min=0)
        a_layer = a_layer.clone().requires_grad_()
        z = torch.nn.functional.linear(a_layer, W, b)
        stabilized = z + (EPSILON * torch.where(z >= 0, 1, -1) if rule == "epsilon" else 0)
        s = torch.where(stabilized == 0, 0, R / stabilized).detach()
        (z * s).sum().backward()
        R = a_layer.detach() * a_layer.grad
    return R
