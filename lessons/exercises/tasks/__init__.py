"""What is to be written in each exercise, the cases it is tried with, and the mistakes one makes.

The solutions are functions of the library. A mistake is a function as well: when yours returns the
same as one of them in every case, the grader knows what you did.
"""
from tasks.convolution import CONVOLVE, CONVOLVE_TRANSPOSED
from tasks.forward import AFFINE, AS_ROWS, FORWARD, SOFTMAX
from tasks.relevance import CENTRED_BIAS, LEDGER, LRP_0, LRP_EPSILON, LRP_GAMMA, PIXELS
from tasks.removing import CONFIDENCE, FEWER_INPUTS, REMOVE
from tasks.training import ADAM_STEP, DLOGITS, GRADIENTS, HAND_DOWN

TASKS = {
    "ex01_digits": [AS_ROWS],
    "ex02_forward": [AFFINE, SOFTMAX, FORWARD],
    "ex03_backpropagation": [DLOGITS, GRADIENTS, HAND_DOWN],
    "ex04_adam": [ADAM_STEP],
    "ex05_lrp_by_hand": [LRP_0, PIXELS],
    "ex06_rules": [LRP_EPSILON, LRP_GAMMA],
    "ex07_ledger": [LEDGER],
    "ex08_zero_centring": [CENTRED_BIAS],
    "ex09_removal": [REMOVE, CONFIDENCE],
    "ex10_fewer_inputs": [FEWER_INPUTS],
    "ex13_convolution": [CONVOLVE, CONVOLVE_TRANSPOSED],
}
