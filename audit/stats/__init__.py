"""Intervals, paired tests, corrections and sample sizes.  Knows arrays of numbers only, nothing of models or findings.

Every interval is two-sided at `confidence` unless its method says otherwise.  A *cluster* is a set of rows that are one
observation made several times: twenty typos of one sentence.  Rows of different clusters are taken as independent.
"""

from audit.stats.compare import (
    adjusted_difference_of,
    difference,
    difference_of,
    holm,
    mcnemar,
    n_to_decide,
    paired_bootstrap,
    smallest_detectable,
)
from audit.stats.folded import folded
from audit.stats.intervals import (
    Clustered,
    by_cluster,
    clopper_pearson,
    mean,
    median,
    normal_quantile,
    proportion,
    proportion_of,
    ratio,
    wilson,
    wilson_bounds,
)
from audit.stats.resampling import (
    bca,
    bootstrap,
    bootstrap_ranks,
    bootstrap_ratio,
    bootstrap_rows,
    bootstrap_sums,
    resample,
    weights,
)
from audit.stats.sequence import confidence_sequence

__all__ = [
    "Clustered",
    "adjusted_difference_of",
    "bca",
    "bootstrap",
    "bootstrap_ranks",
    "bootstrap_ratio",
    "bootstrap_rows",
    "bootstrap_sums",
    "by_cluster",
    "clopper_pearson",
    "confidence_sequence",
    "difference",
    "difference_of",
    "folded",
    "holm",
    "mcnemar",
    "mean",
    "median",
    "n_to_decide",
    "normal_quantile",
    "paired_bootstrap",
    "proportion",
    "proportion_of",
    "ratio",
    "resample",
    "smallest_detectable",
    "weights",
    "wilson",
    "wilson_bounds",
]
