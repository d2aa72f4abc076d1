"""Exercise to lessons 20 to 22: distances and kernels.

Write the functions below, then run this file. It tells you what is right and what is not yet:

    python lessons/exercises/ex20_clusters.py
"""
import numpy as np

from grader import grade


def soft_min(h, beta):
    """The soft minimum of each row of h (N, J), and what share of it each h has.

    Returns (f, p), f (N,) and p (N, J), with

        f_n = -1/beta log sum_j exp(-beta h_nj),    p_nj = exp(-beta h_nj) / sum_j' exp(-beta h_nj')

    beta is a number above 0. beta h may be 2000 or -2000, for which exp has no room.
    Hint: f of (h - c) is f of h, minus c, and p stays the same. Which c makes the largest exp a 1?
    """
    raise NotImplementedError


def midpoint_rule(x, mu, c, R):
    """The relevance of the pixels (N, D), from that of the rivals of cluster c.

        R_ni = sum_k  (x_ni - m_ki) w_ki / h_nk  R_nk,    h_nk = w_k . (x_n - m_k),
        w_k = 2 (mu_c - mu_k),    m_k = (mu_c + mu_k) / 2

    x (N, D); mu (K, D), the centroids; c, the number of the cluster; R (N, K - 1), one for each
    rival: for k = 0, ..., K - 1 without c, in this order. Where h_nk = 0, R_nk is dropped.
    Hint: np.delete(mu, c, axis=0) has the rivals. The rows of R must sum to those of the result,
    wherever no h is 0.
    """
    raise NotImplementedError


def intersection_relevance(x, u, alpha, b):
    """The relevance of each dimension (N, D) for a sum of histogram intersections,

        f(x) = b + sum_i alpha_i sum_d min(x_d, u_id)

    with x (N, D), examples u (J, D), their weights alpha (J,) and a number b. A support vector
    machine with this kernel computes it. There is no network here, but f is a sum over the
    dimensions d, and so each has its part; the V = D dimensions share b equally:

        R_d = b / V + sum_i alpha_i min(x_d, u_id)

    Source: Bach et al. 2015, who explain bags of visual words with it.
    Hint: np.minimum(x[:, None], u) is (N, J, D). The rows of the result sum to f.
    """
    raise NotImplementedError


if __name__ == "__main__":
    grade(__file__)
