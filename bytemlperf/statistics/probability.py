"""The three distributions that the intervals stand on: binomial, Student's t, normal.

Input: numbers. Output: probabilities and quantiles. Pure; no package beyond the
standard library, because a worker runs in a vendor's environment.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

__all__ = ["beta_share", "binomial_cdf", "normal_quantile", "student_cdf",
           "student_quantile"]  # fmt: skip

_TINY = 1e-300
_EPSILON = 1e-15
_NORMAL = NormalDist()


def beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b).

    Parameters
    ----------
    x : float
        0 to 1.
    a, b : float
        > 0.

    Returns
    -------
    float
        0 to 1. By the continued fraction of DLMF 8.17.22, evaluated with Lentz's
        method, on the side of the mean where it converges in about sqrt(max(a, b))
        steps (DLMF 8.17.4 for the other side).
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    log_front = (
        math.lgamma(a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + a * math.log(x)
        + b * math.log1p(-x)
    )
    numerator, denominator = 1.0, 1 - (a + b) * x / (a + 1)
    denominator = 1 / (denominator if abs(denominator) > _TINY else _TINY)
    fraction = denominator
    for m in range(1, 1000 + 20 * int(math.sqrt(max(a, b)))):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            denominator = 1 + coefficient * denominator
            denominator = 1 / (denominator if abs(denominator) > _TINY else _TINY)
            numerator = 1 + coefficient / (
                numerator if abs(numerator) > _TINY else _TINY
            )
            change = numerator * denominator
            fraction *= change
        if abs(change - 1) < _EPSILON:
            break
    return min(1.0, math.exp(log_front) * fraction / a)


def binomial_cdf(successes: float, trials: float, share: float) -> float:
    """Return P[Bin(trials, share) <= successes].

    Parameters
    ----------
    successes : float
        Below 0 gives 0, `trials` and above give 1.
    trials : float
        >= 0; need not be whole: an effective sample size is not.
    share : float
        Probability of a success, 0 to 1.

    Returns
    -------
    float
        0 to 1, as I_{1 - share}(trials - successes, successes + 1) (DLMF 8.17.5).
    """
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return beta_share(1 - share, trials - successes, successes + 1)


def normal_quantile(level: float) -> float:
    """Return the standard normal distribution's quantile; `level` in (0, 1)."""
    return _NORMAL.inv_cdf(level)


def student_cdf(t: float, freedom: float) -> float:
    """Return P[T <= t] of Student's t distribution.

    Parameters
    ----------
    t : float
        Any.
    freedom : float
        Degrees of freedom, > 0; infinity is the normal distribution.

    Returns
    -------
    float
        0 to 1, by the incomplete beta function.
    """
    if math.isinf(freedom):
        return _NORMAL.cdf(t)
    tail = beta_share(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


@functools.lru_cache(maxsize=256)
def student_quantile(level: float, freedom: float) -> float:
    """Return a quantile of Student's t distribution.

    Parameters
    ----------
    level : float
        In (0, 1).
    freedom : float
        Degrees of freedom, > 0; infinity is the normal distribution.

    Returns
    -------
    float
        By bisection of `student_cdf`, to 1e-10.
    """
    if math.isinf(freedom):
        return normal_quantile(level)
    if level < 0.5:
        return -student_quantile(1 - level, freedom)
    low, high = 0.0, 2.0
    while student_cdf(high, freedom) < level:
        high *= 2
    while high - low > 1e-10 * max(1.0, high):
        middle = (low + high) / 2
        if student_cdf(middle, freedom) < level:
            low = middle
        else:
            high = middle
    return (low + high) / 2
