"""Training: the loop, Adam, and runs that can be stopped and resumed."""
from lrp_numpy.ops.reference import cross_entropy, log_softmax
from lrp_numpy.training.adam import Adam, init_state
from lrp_numpy.training.train import History, accuracy, softmax, train, training_step

__all__ = ["Adam", "History", "accuracy", "cross_entropy", "init_state", "log_softmax", "softmax",
           "train", "training_step"]
