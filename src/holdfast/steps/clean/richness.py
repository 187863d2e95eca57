"""Species richness: how much of a distribution a sample covers. A species is a distinct instruction.

S: species seen, n: draws, f1, f2: species seen once, twice.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Counts = npt.NDArray[np.int64]


def unseen(counts: Counts) -> float:
    """Estimated number of species not seen, a lower bound. Chao1: Chao 1984, Scand. J. Statist. 11:265; for f2 = 0 the
    bias-corrected form, f1 (f1 - 1) / 2; both times (n - 1) / n."""
    n, f1, f2 = counts.sum(), np.sum(counts == 1), np.sum(counts == 2)
    if n == 0:
        return 0.0
    return float((n - 1) / n * (f1**2 / (2 * f2) if f2 else f1 * (f1 - 1) / 2))


def coverage(counts: Counts) -> float:
    """Estimated probability that the next draw is a species already seen.

    1 - f1/n * ((n-1) f1 / ((n-1) f1 + 2 f2)): Chao and Jost 2012, Ecology 93:2533, equation 4a, after Good 1953.
    """
    n, f1, f2 = counts.sum(), np.sum(counts == 1), np.sum(counts == 2)
    if n == 0:
        return 0.0
    if f1 == 0:
        return 1.0
    if f1 == n:  # every draw was new
        return 0.0
    rest = (n - 1) * f1 / ((n - 1) * f1 + 2 * f2) if f2 else (n - 1) * (f1 - 1) / ((n - 1) * (f1 - 1) + 2)
    return float(1 - f1 / n * rest)


def growth(counts: Counts, draws: int) -> float:
    """Expected number of species in `draws` draws.

    Up to n: rarefaction, Hurlbert 1971, Ecology 52:577. Beyond: Chao et al. 2014, Ecol. Monogr. 84:45, equation 9 (good
    to about 2 n).
    """
    n, seen = int(counts.sum()), len(counts)
    if draws <= n:
        left = n - counts
        possible = left >= draws
        log_missed = (
            gammaln(left[possible] + 1) - gammaln(left[possible] - draws + 1) - gammaln(n + 1) + gammaln(n - draws + 1)
        )
        return float(seen - np.exp(log_missed).sum())
    missing, f1 = unseen(counts), int(np.sum(counts == 1))
    if missing == 0:
        return float(seen)
    return float(seen + missing * (1 - (1 - f1 / (n * missing + f1)) ** (draws - n)))
