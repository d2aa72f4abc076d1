"""Lesson 13: four programs to be mended. The first mistake of each is the fault left in it."""
import numpy as np

from judging import Case, Task
from lrp_numpy import rules
from lrp_numpy.layers import activations
from tasks.changes import array, without
from tasks.relevance import (LRP_EPSILON, LRP_GAMMA, PIXELS, as_it_is, contributions,
                             favoured, gamma_with, lrp_epsilon, lrp_gamma, relevance_of_pixels,
                             rule_cases, share, with_denominator)

STILL = "the fault is still there: "


def with_totals(totals):
    """LRP-0 with something else in the place of z."""
    return lambda a, W, b, R: share(contributions(a, W), totals(a @ W + b), R)


NEGATIVE_LOGITS = Task("negative_logits", rules.lrp_0, rule_cases(), [
    (STILL + "where a logit is negative, its relevance is lost; try z = -2",
     with_totals(activations.relu)),
    ("the sign of z is lost: a negative logit has negative relevance to share out",
     with_totals(np.abs)),
    ("z = 0 is kept from being a denominator, and so is every negative z",
     with_totals(lambda z: np.where(z <= 0, 1, z))),
    ("a small number was added to z: LRP-0 has no stabilizer",
     with_totals(lambda z: rules.stabilize(z, 1e-3))),
    ("bias forgotten: z = a @ W + b", without(rules.lrp_0, 2)),
])

def others(task, said):
    """The mistakes of a task but those whose diagnosis begins with `said`: they are told here."""
    return [(what, mistaken) for what, mistaken in task.mistakes if not what.startswith(said)]


DEAD_NEURONS = Task("dead_neurons", lrp_epsilon, rule_cases(epsilon=0.5), [
    (STILL + "where z = 0, sign(z) is 0, and R is divided by 0",
     lambda a, W, b, R, epsilon: a * ((R / (a @ W + b + epsilon * np.sign(a @ W + b))) @ W.T)),
    ("where z = 0, R is dropped; with sign(0) = +1 the denominator is epsilon",
     with_denominator(lambda z, epsilon: z + epsilon * np.sign(z))),
    ("where z = 0, the sign must be +1, not -1",
     with_denominator(lambda z, epsilon: z + epsilon * np.where(z > 0, 1, -1))),
    *others(LRP_EPSILON, "right except where z = 0"),
])

LOST_RELEVANCE = Task("lost_relevance", lrp_gamma, rule_cases(zero=2, gamma=0.5), [
    (STILL + "the inputs and the bias get more than R; add up what one neuron hands down",
     gamma_with(favoured, as_it_is, below=as_it_is)),
    *others(LRP_GAMMA, "the denominator has no gamma"),
])

THE_WAY_BACK = Task("the_way_back", relevance_of_pixels, [
    Case({"x": array([1, 1], [2, 1]), "W1": array([2, 1], [1, -1]), "b1": array(0, 1),
          "W2": array([1, -1], [2, 1]), "b2": array(-1, 0), "target": np.array([0, 1])}),
    *PIXELS.cases], [
    (STILL + "image 1 is explained as the class of image 0; try two images with two targets",
     lambda x, W1, b1, W2, b2, target: relevance_of_pixels(
         x, W1, b1, W2, b2, np.full_like(target, target[0]))),
    *PIXELS.mistakes,
])
