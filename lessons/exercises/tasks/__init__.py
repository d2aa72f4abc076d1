"""The functions of each exercise, the cases they are tried with, and the usual mistakes.

The solutions are functions of the library, but for what it does not have, or only as numba loops. A
mistake is a function as well: where yours returns what that one returns in every case, the grader
knows what you did.
"""
from tasks.broken import DEAD_NEURONS, LOST_RELEVANCE, NEGATIVE_LOGITS, THE_WAY_BACK
from tasks.clusters import INTERSECTION, MIDPOINT_RULE, SOFT_MIN
from tasks.convolution import CONVOLVE, CONVOLVE_TRANSPOSE
from tasks.flipping import CONFIDENCE, FEWER_INPUTS, FLIP
from tasks.forward import AS_ROWS, FORWARD, LINEAR, SOFTMAX
from tasks.hans import ONE_CLASS, PUT_MARK, SHARE_ON
from tasks.loops import LINEAR_SKIPPING, MULTIPLICATIONS, RELEVANCE_SKIPPING
from tasks.modern import (ATTENTION_ROLLOUT, FOLD_BATCHNORM, PRODUCT_RULE, RESIDUAL_SHARE,
                          SOFTMAX_RULE)
from tasks.other_methods import INTEGRATED_GRADIENTS, OCCLUSION
from tasks.relevance import CENTRED_BIAS, LEDGER, LRP_0, LRP_EPSILON, LRP_GAMMA, PIXELS
from tasks.roots import GAMMA_FOR, IN_A_BOX, ROOT_POINT
from tasks.sanity import CASCADE, SIMILARITY
from tasks.training import ADAM_STEP, DLOGITS, GRADIENTS, HAND_DOWN

TASKS = {
    "ex01_digits": [AS_ROWS],
    "ex02_forward": [LINEAR, SOFTMAX, FORWARD],
    "ex03_backpropagation": [DLOGITS, GRADIENTS, HAND_DOWN],
    "ex04_adam": [ADAM_STEP],
    "ex05_lrp_by_hand": [LRP_0, PIXELS],
    "ex06_rules": [LRP_EPSILON, LRP_GAMMA],
    "ex07_roots": [ROOT_POINT, IN_A_BOX, GAMMA_FOR],
    "ex08_ledger": [LEDGER],
    "ex09_zero_centring": [CENTRED_BIAS],
    "ex10_pixel_flipping": [FLIP, CONFIDENCE],
    "ex11_other_methods": [OCCLUSION, INTEGRATED_GRADIENTS],
    "ex12_clever_hans": [PUT_MARK, SHARE_ON, ONE_CLASS],
    "ex13_broken_lrp": [NEGATIVE_LOGITS, DEAD_NEURONS, LOST_RELEVANCE, THE_WAY_BACK],
    "ex14_sanity_checks": [SIMILARITY, CASCADE],
    "ex15_fewer_inputs": [FEWER_INPUTS],
    "ex16_convolution": [CONVOLVE, CONVOLVE_TRANSPOSE],
    "ex17_shortcuts": [RESIDUAL_SHARE, FOLD_BATCHNORM],
    "ex18_attention": [PRODUCT_RULE, SOFTMAX_RULE],
    "ex19_transformer": [ATTENTION_ROLLOUT],
    "ex20_clusters": [SOFT_MIN, MIDPOINT_RULE, INTERSECTION],
    "ex23_hot_loops": [MULTIPLICATIONS, LINEAR_SKIPPING, RELEVANCE_SKIPPING],
}
