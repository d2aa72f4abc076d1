"""The residual network and the transformer: training beside torch, AttnLRP beside the gradient
trick in torch and LXT. Both are written out a second time in tests/modern_torch.py."""
import sys
from pathlib import Path

import numpy as np
import torch

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from contenders import our_steps
from measuring import batches_of, compare, rows

sys.path.insert(0, str(Path(__file__).parent.parent))
import modern_torch  # noqa: E402

try:
    import lxt_reference
except ImportError:
    lxt_reference = None

MODELS = {"resnet": (lrp.resnet, 1e-3), "transformer": (lrp.transformer, 2e-3)}
EPOCHS = {"resnet": (3, 2), "transformer": (7, 3)}      # the later ones with a tenth of the rate


def modern_section(digits, options):
    """One epoch of each, after a look whether all compute the same; then AttnLRP."""
    texts = [training_text(name, digits, options) for name in MODELS]
    return "\n\n".join([*texts, attention_text(digits, options)])


def training_text(name, digits, options):
    make, learning_rate = MODELS[name]
    images, labels = digits.train_images, digits.train_labels.astype(np.int64)
    batches = batches_of(len(images), epochs=1, rng=0)

    def ours(engine="numba", batches=batches):
        return our_steps(make(rng=0), images, labels, batches, engine, learning_rate)

    def theirs(batches=batches, **how):
        net = make(rng=0)
        arrays = modern_torch.tensors(net)
        adam = torch.optim.Adam([one for one in arrays.values() if one.requires_grad],
                                lr=learning_rate, **how)
        losses = []
        for batch in batches:
            adam.zero_grad()
            logits = modern_torch.forward(net.layers, torch.from_numpy(images[batch]), arrays,
                                          trains=True)
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels[batch]))
            loss.backward()
            adam.step()
            losses.append(loss.item())
        return losses

    difference = np.max(np.abs(np.array(ours(batches=batches[:20])) / theirs(batches[:20]) - 1))
    assert difference < 1e-2, difference
    times = compare({"lrp_numpy": ours, "our NumPy equations": lambda: ours("numpy"),
                     "torch, Adam": theirs,
                     "torch, Adam(fused=True)": lambda: theirs(fused=True)},
                    1 if options.small else 3)
    text = f"""## The {name}: one epoch of {len(images):,} digits

`{name}()`, batches of 100. Over the same batches from the same weights, the loss of each of the
first 20 steps equals torch's to {difference:.0e} relative.

{as_markdown(rows(times))}"""
    if not options.small:
        first, last = EPOCHS[name]
        text += (f"\n\nAccuracy after {first} epochs with a learning rate of {learning_rate:g}, "
                 f"and after {last} more with a tenth of it:\n\n"
                 + as_markdown(accuracies(name, digits)))
    return text


def accuracies(name, digits, seeds=3):
    make, learning_rate = MODELS[name]
    table = []
    for seed in range(seeds):
        net, row = make(rng=seed), {"seed": str(seed)}
        for epochs, rate in zip(EPOCHS[name], (learning_rate, learning_rate / 10)):
            history = lrp.train(net, digits, epochs, learning_rate=rate, rng=seed, progress=False)
            row[f"{epochs} epochs, {rate:g}"] = f"{history.accuracy[-1]:.2%}"
        table.append(row)
    return table


def attention_text(digits, options):
    x, net = digits.test_images, lrp.transformer(rng=0)
    lrp.train(net, digits.train_images[:8000], digits.train_labels[:8000], epochs=1,
              learning_rate=2e-3, progress=False)

    def ours(engine="numba"):
        return lrp.explain(net, x, "0", intermediate=False, engine=engine).input

    def theirs():
        arrays, found = modern_torch.tensors(net, False), []
        for part in torch.from_numpy(x).split(500):
            a = part.clone().requires_grad_()
            logits = modern_torch.forward(net.layers, a, arrays, lrp="attnlrp")
            logits.max(dim=1).values.sum().backward()
            found.append((a * a.grad).detach().numpy())
        return np.concatenate(found)

    def lxts():
        squares, found = net.layers[0], []
        for part in (x[start:start + 500] for start in range(0, len(x), 500)):
            tokens = torch.tensor(squares.preactivation(part), requires_grad=True)
            logits = lxt_reference.forward(net.layers[1:], tokens, 1e-9)
            of_class = torch.nn.functional.one_hot(logits.argmax(dim=1), logits.shape[1])
            logits.backward((logits * of_class).detach())       # its backward pass is relevance
            found.append(squares.backward(part, tokens.grad.numpy()))
        return np.concatenate(found)

    peers = {"torch, the gradient trick": theirs} | ({"LXT": lxts} if lxt_reference else {})
    R = ours()
    for name, peer in peers.items():
        S = peer()
        far = np.abs(R - S).max(axis=1) > 1e-3 * np.abs(S).max(axis=1)
        assert far.mean() < 0.01, (name, far.mean())
    times = compare({"lrp_numpy": ours, "our NumPy equations": lambda: ours("numpy")} | peers,
                    1 if options.small else 7)
    return f"""## The transformer: AttnLRP of {len(x):,} digits

torch gets batches of 500; LXT, where it is installed, gets a stabilizer of 1e-9 in place of 1e-6.
The relevances agree; only ours come with a ledger.

{as_markdown(rows(times))}"""
