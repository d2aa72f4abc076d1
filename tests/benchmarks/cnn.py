"""The convolutional network: training against torch, explaining by gamma against captum."""
import numpy as np
import torch

import lrp_numpy as lrp
from lrp_numpy.cli.tables import as_markdown
from contenders import as_module, by_captum, copy_of, our_steps, torch_steps
from measuring import alone, batches_of, compare, peak_beyond_now, rows

LEARNING_RATE = 2e-3


def cnn_section(digits, options):
    """Time of both jobs and accuracy after three epochs, after a look whether all is the same."""
    images, labels = digits.train_images, digits.train_labels.astype(np.int64)
    shaped, net = images.reshape(-1, 1, 28, 28), lrp.lenet(rng=0)
    batches = batches_of(len(images), epochs=1, rng=0)
    ours = our_steps(copy_of(net), images, labels, batches[:50], learning_rate=LEARNING_RATE)
    theirs = torch_steps(as_module(net), shaped, labels, batches[:50], LEARNING_RATE)
    difference = np.max(np.abs(np.array(ours) / theirs - 1))
    assert difference < 1e-2, difference    # float32; of the first steps it is a thousandth of that
    assert abs(ours[0] / theirs[0] - 1) < 1e-5

    def ours_of_all():
        return our_steps(copy_of(net), images, labels, batches, learning_rate=LEARNING_RATE)

    def theirs_of_all(**options):
        return torch_steps(as_module(net), shaped, labels, batches, LEARNING_RATE, **options)

    times = compare({"lrp_numpy": ours_of_all, "torch, Adam": theirs_of_all,
                     "torch, Adam(fused=True)": lambda: theirs_of_all(fused=True)},
                    1 if options.small else 5)
    text = f"""## The convolutional network: one epoch of {len(images):,} digits

`lenet()`: 8 and 16 channels, 120 hidden neurons, ReLU, batches of 100. Over the same batches from
the same weights, the loss of each of the first {len(ours)} steps equals torch's to
{difference:.0e} relative.

{as_markdown(rows(times))}"""
    if not options.small:
        text += f"\n\nAccuracy after three epochs:\n\n{as_markdown(accuracies(digits))}"
    x = digits.test_images
    jobs = explainers(trained(digits), x)
    times = compare(jobs, 1 if options.small else 5)
    table = rows(times)
    for row in table:
        row["MB"] = alone("cnn", row[""], options.data, options.small)
    return f"""{text}

## The convolutional network: explaining {len(x):,} digits by LRP-gamma

captum gets batches of 1,000. The relevances agree.

{as_markdown(table)}"""


def accuracies(digits, seeds=3):
    table = []
    for seed in range(seeds):
        net = lrp.lenet(seed)
        history = lrp.train(net, digits, 3, learning_rate=LEARNING_RATE, rng=seed, progress=False)
        table.append({"seed": str(seed), "lrp_numpy": f"{history.accuracy[-1]:.2%}"})
    return table


def trained(digits):
    net = lrp.lenet(rng=0)
    lrp.train(net, digits, 1, learning_rate=LEARNING_RATE, progress=False)
    return net


def explainers(net, x):
    """{name: explain the images x by gamma, as captum means it}."""
    module, parts = as_module(net), torch.from_numpy(x.reshape(-1, 1, 28, 28)).split(1000)
    found = {
        "lrp_numpy": lambda: lrp.explain(net, x, "captum.gamma", intermediate=False,
                                         engine="numba").input,
        "lrp_numpy, all relevances": lambda: lrp.explain(net, x, "captum.gamma",
                                                         engine="numba").input}
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        return found
    found["captum"] = lambda: np.concatenate([by_captum(module, part, "gamma").detach().numpy()
                                              for part in parts]).reshape(len(x), -1)
    ours, theirs = found["lrp_numpy"](), found["captum"]()
    far = np.abs(ours - theirs).max(axis=1) > 1e-3 * np.abs(theirs).max(axis=1)
    assert far.mean() < 0.01, far.mean()
    return found


def cnn_memory(digits, name):
    """Megabytes beyond the digits and the program that one of the explainers needs."""
    return peak_beyond_now(explainers(lrp.lenet(rng=0), digits.test_images)[name])
