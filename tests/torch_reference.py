"""The same mathematics in torch, in other words: autograd for every gradient, torch's own
cross-entropy and Adam, and LRP by the gradient trick instead of matrix equations.

Weights here are (D, K), as in the package.
"""
import numpy as np
import torch

nn = torch.nn.functional
ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
               "leaky_relu": nn.leaky_relu, "elu": nn.elu, "selu": nn.selu, "gelu": nn.gelu,
               # torch's softplus is z itself from `threshold` on
               "silu": nn.silu, "softplus": lambda z: nn.softplus(z, threshold=1000)}


def tensors(arrays, requires_grad=False):
    return [torch.tensor(array, requires_grad=requires_grad) for array in arrays]


def activations(x, weights, biases, activation):
    """Everything that entered a layer, and the logits last."""
    a = [x]
    for number, (W, b) in enumerate(zip(weights, biases), 1):
        z = torch.nn.functional.linear(a[-1], W.T, b)
        a.append(z if number == len(weights) else ACTIVATIONS[activation](z))
    return a


def loss_and_gradients(x, labels, weights, biases, activation):
    """Cross-entropy, and its gradients for every weight and bias, by autograd."""
    weights, biases = tensors(weights, True), tensors(biases, True)
    logits = activations(torch.tensor(x), weights, biases, activation)[-1]
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    gradients = torch.autograd.grad(loss, weights + biases)
    gradients = [gradient.numpy() for gradient in gradients]
    return loss.item(), gradients[:len(weights)], gradients[len(weights):]


def adam(x, labels, weights, biases, activation, steps, learning_rate):
    """The weights and biases after full-batch steps of torch's Adam, and the loss of each step."""
    weights, biases = tensors(weights, True), tensors(biases, True)
    optimizer = torch.optim.Adam(weights + biases, lr=learning_rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        logits = activations(torch.tensor(x), weights, biases, activation)[-1]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return ([W.detach().numpy() for W in weights], [b.detach().numpy() for b in biases],
            np.array(losses))


def lrp_step(a, W, b, R, epsilon=0.0, gamma=0.0):
    """Relevance of a layer's inputs by the gradient trick.

    z is built from weights that count positive entries 1 + gamma times. The gradient of
    sum_k z_k * constant(R_k / stabilized z_k) with respect to a, times a, is the relevance.
    """
    a = a.detach().clone().requires_grad_(True)
    z = torch.einsum("nj,jk->nk", a, torch.where(W > 0, (1 + gamma) * W, W))
    z = z + torch.where(b > 0, (1 + gamma) * b, b)
    stabilized = torch.where(z < 0, z - epsilon, z + epsilon)
    share = torch.where(stabilized == 0, torch.zeros_like(R), R / stabilized).detach()
    (z * share).sum().backward()
    return (a.grad * a).detach()


def relevance(x, weights, biases, activation, target, settings):
    """[relevance of the input, ..., of the logits]; settings: one {epsilon, gamma} a layer."""
    weights, biases = tensors(weights), tensors(biases)
    a = activations(torch.tensor(x), weights, biases, activation)
    one_hot = torch.nn.functional.one_hot(torch.tensor(target), a[-1].shape[1])
    R = [a[-1] * one_hot]
    for layer in reversed(range(len(weights))):
        R.insert(0, lrp_step(a[layer], weights[layer], biases[layer], R[0], **settings[layer]))
    return [r.numpy() for r in R]


def gradient_times_input(x, weights, biases, activation, target):
    """x * d logit[target] / dx, by autograd: what LRP-0 must give for a ReLU network."""
    x = torch.tensor(x, requires_grad=True)
    logits = activations(x, tensors(weights), tensors(biases), activation)[-1]
    logits[torch.arange(len(target)), torch.tensor(target)].sum().backward()
    return (x * x.grad).detach().numpy()


def as_module(net):
    """The same network of torch's modules, and of the same type. It takes what comes out of an
    Unflatten at the beginning."""
    modules = []
    for layer in net.layers:
        kind = type(layer).__name__
        if kind == "Dense":
            modules.append(torch.nn.Linear(*layer.W.shape))
        elif kind == "Conv2D":
            C, K, h, w = layer.W.shape
            modules.append(torch.nn.Conv2d(C, K, (h, w), layer.stride, layer.padding))
        elif kind in ("MaxPool2D", "AvgPool2D"):
            modules.append(getattr(torch.nn, kind.replace("D", "d"))(layer.size, layer.step))
        elif kind == "Flatten":
            modules.append(torch.nn.Flatten())
        if layer.parameters:
            weight = layer.W.T if kind == "Dense" else layer.W.transpose(1, 0, 2, 3)
            modules[-1].to(torch.tensor(layer.b).dtype)
            with torch.no_grad():
                modules[-1].weight.copy_(torch.tensor(weight.copy()))
                modules[-1].bias.copy_(torch.tensor(layer.b.ravel()))
        if layer.activation != "identity":
            modules.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh,
                            "sigmoid": torch.nn.Sigmoid}[layer.activation]())
    return torch.nn.Sequential(*modules)


def convolution(a, W, b, stride, padding):
    """torch's own; W is (C, K, h, w) and b (K, 1, 1), as in the package."""
    return torch.nn.functional.conv2d(a, W.transpose(0, 1), b.flatten(), stride, padding)


def gradients(forward, arrays, dz):
    """What autograd gives for each of the arrays, if dz is the derivative of forward(*arrays)."""
    arrays = tensors(arrays, True)
    z = forward(*arrays)
    return z.detach().numpy(), [gradient.numpy() for gradient in
                                torch.autograd.grad(z, arrays, torch.tensor(dz))]


def lrp_by_gradients(name, a, W, b, R, linear, **parameters):
    """Any rule, for any layer that is linear(a, W) + b in torch, by gradients with respect to
    whatever takes the place of a: sum of inputs times gradient of sum(z * constant(share / z))."""
    a, W, b, R = tensors([a, W, b, R])
    up, down = torch.clamp(W, min=0), torch.clamp(W, max=0)
    for_it, against = torch.clamp(a, min=0), torch.clamp(a, max=0)
    one, gamma = torch.ones_like(a), parameters.get("gamma", 0.0)
    if name in ("0", "epsilon", "gamma"):
        b = torch.where(b > 0, (1 + gamma) * b, b)
        terms = [([(a, torch.where(W > 0, (1 + gamma) * W, W))], b, R)]
    elif name == "gamma_generalized":
        is_up = linear(a, W) + b >= 0
        terms = [([(a, W), (for_it, gamma * up), (against, gamma * down)],
                  b + gamma * torch.clamp(b, min=0), R * is_up),
                 ([(a, W), (for_it, gamma * down), (against, gamma * up)],
                  b + gamma * torch.clamp(b, max=0), R * ~is_up)]
    elif name in ("alpha_beta", "z_plus"):
        alpha, beta = parameters.get("alpha", 1.0), parameters.get("beta", 0.0)
        terms = [([(for_it, up), (against, down)], torch.clamp(b, min=0), alpha * R),
                 ([(for_it, down), (against, up)], torch.clamp(b, max=0), -beta * R)]
    elif name == "w_square":
        terms = [([(one, W**2)], 0 * b, R)]
    elif name == "flat":
        terms = [([(one, W * 0 + 1)], 0 * b, R)]
    else:
        low, high = parameters["low"], parameters["high"]
        terms = [([(a, W), (low * one, -up), (high * one, -down)], 0 * b, R)]
    relevance = torch.zeros_like(a)
    for parts, bias, share in terms:
        inputs = [part.clone().requires_grad_(True) for part, _ in parts]
        z = sum(linear(part, weights) for part, (_, weights) in zip(inputs, parts)) + bias
        epsilon = parameters.get("epsilon", 0.0)
        z = torch.where(z < 0, z - epsilon, z + epsilon)
        constant = torch.where(z == 0, 0, share / torch.where(z == 0, 1, z)).detach()
        (z * constant).sum().backward()
        relevance = relevance + sum(part.grad * part for part in inputs)
    return relevance.detach().numpy()
