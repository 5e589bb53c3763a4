"""Every interval and test against an oracle, an exact enumeration, or its own coverage in simulation."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.integrate
import scipy.stats
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from audit import stats
from audit.stats.resampling import enough
from audit.types import Estimate

SAMPLES = 2000
TOLERATED = (0.935, 0.965)


def nested(generator, mean, icc, clusters, size, *, samples=SAMPLES):
    """(samples, clusters) event counts and sizes; rows of a cluster share a beta-distributed rate."""
    rate = generator.beta(mean * (1 - icc) / icc, (1 - mean) * (1 - icc) / icc, (samples, clusters))
    sizes = np.full((samples, clusters), size) if isinstance(size, int) else generator.integers(*size, rate.shape)
    return generator.binomial(sizes, rate).astype(float), sizes.astype(float)


def covered(found, truth):
    return np.mean([e.low is not None and e.low <= truth <= e.high for e in found])


# --- closed forms against their oracles ---------------------------------------------------------------------------


@pytest.mark.parametrize(("events", "n"), [(1, 5), (3, 40), (20, 40), (399, 400), (50, 1066)])
def test_wilson_and_clopper_pearson_equal_statsmodels(events, n):
    assert stats.wilson(events, n) == pytest.approx(proportion_confint(events, n, method="wilson"), abs=1e-12)
    assert stats.clopper_pearson(events, n) == pytest.approx(proportion_confint(events, n, method="beta"), abs=1e-9)
    found = stats.proportion([1] * events + [0] * (n - events))
    low, high = stats.wilson(events, n)
    exact = proportion_confint(events, n, alpha=0.1, method="beta")  # each side at 95%
    assert (found.low, found.high) == pytest.approx((min(low, exact[0]), max(high, exact[1])))
    assert (found.n, found.clusters, found.method.startswith("wilson")) == (n, n, True)


@pytest.mark.parametrize("n", [4, 8, 12, 24, 60, 400])
def test_a_proportion_on_its_limit_is_rarely_put_beyond_it(n):
    """Exactly, by enumeration: each bound errs in at most 5% of samples, which Wilson's alone does not keep."""
    counts = np.arange(n + 1)
    found = [stats.proportion([1] * k + [0] * (n - k)) for k in counts]
    wilson = [stats.wilson(k, n) for k in counts]
    worst = {"proportion": 0.0, "wilson": 0.0}
    for limit in (0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9, 0.95, 0.98):
        chances = scipy.stats.binom.pmf(counts, n, limit)
        for name, lows in (("proportion", [f.low for f in found]), ("wilson", [w[0] for w in wilson])):
            worst[name] = max(worst[name], chances[np.array(lows) > limit].sum())
        assert chances[np.array([f.high for f in found]) < limit].sum() <= 0.05 + 1e-9
    assert worst["proportion"] <= 0.05 + 1e-9
    assert n > 24 or worst["wilson"] > 0.05


def test_zero_events_give_the_exact_one_sided_bound():
    found = stats.proportion([0] * 40)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.0722, abs=5e-5)  # no failures in 40 trials: as high as 7.2%
    assert (1 - found.high) ** 40 == pytest.approx(0.05)
    every = stats.proportion([1] * 40)
    assert (every.low, every.high) == pytest.approx((1 - found.high, 1.0))


def test_zero_events_in_clusters_count_clusters_and_not_rows():
    assert stats.proportion([0] * 40, np.repeat(range(8), 5)).high == pytest.approx(1 - 0.05 ** (1 / 8))


def test_twenty_copies_of_every_row_tell_nothing_new():
    values = np.array([1] * 12 + [0] * 28)
    alone = stats.proportion(values)
    copied = stats.proportion(np.repeat(values, 20), np.repeat(range(40), 20))
    assert copied.n == 800
    assert copied.clusters == 40
    # Student's t in place of the normal, and G - 1 in place of G, are all that differ.
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=0.06)
    assert copied.high - copied.low > 3 * (lambda e: e.high - e.low)(stats.proportion(np.repeat(values, 20)))


def test_mean_equals_scipys_t_interval():
    values = np.random.default_rng(0).normal(3, 2, 25)
    found = stats.mean(values)
    expected = scipy.stats.t.interval(0.95, 24, values.mean(), scipy.stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected)


def test_clustered_mean_equals_statsmodels_cluster_robust_t():
    generator = np.random.default_rng(1)
    clusters = np.repeat(range(15), generator.integers(1, 9, 15))
    values = generator.normal(0, 1, 15)[clusters] + generator.normal(0, 1, len(clusters))
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "df_correction": True}, use_t=True
    )
    count, n = 15, len(values)
    # statsmodels also multiplies by (n - 1) / (n - 1 parameter): one for a mean.
    assert n > count
    found = stats.mean(values, clusters)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)
    assert found.method == "cluster-robust t"


def test_median_interval_is_the_binomial_one_by_enumeration():
    values = np.arange(20.0)
    found = stats.median(values)
    below = sum(math.comb(20, k) for k in range(int(found.low) + 1)) / 2**20
    assert below <= 0.025 < below + math.comb(20, int(found.low) + 1) / 2**20
    assert (found.value, found.high) == (9.5, 19 - found.low)
    assert stats.median([1, 2, 3]).low is None


def test_nothing_is_made_of_nothing():
    for found in (stats.proportion([]), stats.mean([]), stats.median([]), stats.difference([], [])):
        assert (found.value, found.low, found.method) == (None, None, "no rows")
    assert stats.proportion([1, 0, 1], ["a"] * 3).method == "one cluster: no interval"
    assert stats.mean([2.0, 2.0, 2.0]).low is None  # no spread seen: no width can be given
    with pytest.raises(ValueError, match="0 and 1"):
        stats.proportion([0.5, 1])


# --- the bootstrap ------------------------------------------------------------------------------------------------


def test_bca_equals_scipys_within_monte_carlo_error():
    values = np.random.default_rng(2).exponential(1, 60)
    expected = scipy.stats.bootstrap((values,), np.mean, n_resamples=20000, method="BCa", rng=np.random.default_rng(0))
    interval = expected.confidence_interval
    fast = stats.bootstrap_ratio(stats.by_cluster(values), replicates=20000)
    slow = stats.bootstrap(lambda f: float(f["x"].mean()), pd.DataFrame({"x": values}), replicates=5000)
    assert (fast.low, fast.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    assert (slow.low, slow.high) == pytest.approx((interval.low, interval.high), abs=0.02)
    assert "BCa" in fast.method
    assert "BCa" in slow.method


def test_bootstrap_draws_clusters_and_is_seeded():
    generator = np.random.default_rng(3)
    clusters = np.repeat(range(40), 10)
    frame = pd.DataFrame({"x": generator.normal(0, 1, 40)[clusters], "cluster": clusters})
    by_calls = stats.bootstrap(lambda f: float(f["x"].mean()), frame, "cluster", seed=5)
    again = stats.bootstrap(lambda f: float(f["x"].mean()), frame, "cluster", seed=5)
    robust = stats.mean(frame["x"], clusters)
    assert by_calls == again
    assert by_calls.high - by_calls.low == pytest.approx(robust.high - robust.low, rel=0.15)
    assert by_calls.clusters == 40


def test_a_cluster_drawn_twice_is_two_clusters():
    frame = pd.DataFrame({"cluster": ["a", "a", "b"], "x": [1, 2, 3]})
    drawn = stats.resample(frame, [np.array([0, 1]), np.array([2])], np.array([0, 0]), "cluster")
    assert drawn["cluster"].nunique() == 2
    assert list(drawn["x"]) == [1, 2, 1, 2]


def test_standard_error_of_a_bootstrap_is_the_sd_of_its_replicates():
    """Trap 15: dividing that sd by sqrt(replicates) makes it 31.6 times too small at 1,000."""
    values = np.random.default_rng(4).normal(0, 1, 200)
    sums = stats.by_cluster(values)
    replicates = stats.weights(200, 1000, 0) @ sums.top / 200
    found = stats.bootstrap_ratio(sums, replicates=1000)
    assert replicates.std(ddof=1) == pytest.approx(values.std(ddof=1) / math.sqrt(200), rel=0.08)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(replicates.std(ddof=1), rel=0.08)


def product(sums):
    """A score made of two shares: (1 - a/n) (2 b/n - 1)."""
    return (1 - sums[..., 0] / sums[..., 2]) * (2 * sums[..., 1] / sums[..., 2] - 1)


def test_bootstrap_of_sums_is_the_bootstrap_of_a_frame():
    generator = np.random.default_rng(16)
    clusters = np.repeat(range(60), 5)
    frame = pd.DataFrame({"a": generator.random(300) < 0.5, "b": generator.random(300) < 0.8, "one": 1.0}) * 1.0
    frame["cluster"] = clusters
    fast = stats.bootstrap_sums(frame[["a", "b", "one"]], product, clusters)
    slow = stats.bootstrap(lambda f: float(product(f[["a", "b", "one"]].sum().to_numpy())), frame, "cluster")
    assert fast.value == pytest.approx(slow.value)
    assert (fast.low, fast.high) == pytest.approx((slow.low, slow.high), abs=0.02)
    assert (fast.n, fast.clusters) == (slow.n, slow.clusters) == (300, 60)


def test_the_bootstrap_bounds_its_memory():
    assert stats.weights(50, seed=1).shape == (2000, 50)
    assert enough(1_000_000) * 1_000_000 == 200_000_000 > enough(50_000) * 50_000
    assert enough(2000) == 2000


def test_bca_says_where_it_is_undefined():
    low, high, name = stats.bca(1.0, np.array([0.2, 0.5, 0.9]), np.array([1.0, 1.1]))
    assert name == "percentile"
    assert (low, high) == pytest.approx(tuple(np.quantile([0.2, 0.5, 0.9], [0.025, 0.975])))


def test_undefined_replicates_are_counted_or_refuse_an_interval():
    frame = pd.DataFrame({"x": [0.0] * 30 + [1.0]})
    seldom = stats.bootstrap(lambda f: None if f["x"].max() == 0 else float(f["x"].mean()), frame, seed=1)
    assert int(seldom.method.split(", ")[-1].split(" of ")[0]) < 300
    never = stats.bootstrap(lambda f: 1.0 if len(f["x"].unique()) == len(f) else None, frame.iloc[-2:])
    assert never.low is None or "of 400" in never.method


# --- comparisons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("up", "down"), [(0, 0), (1, 0), (6, 1), (12, 5), (30, 30)])
def test_mcnemar_equals_statsmodels_exact(up, down):
    first = [1] * up + [0] * down + [1] * 20
    second = [0] * up + [1] * down + [1] * 20
    expected = sm_mcnemar([[20, up], [down, 0]], exact=True).pvalue if up + down else 1.0
    assert stats.mcnemar(first, second) == pytest.approx(expected)


def test_holm_equals_statsmodels():
    p = [0.01, 0.04, 0.03, 0.005, 0.6]
    assert stats.holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]))


def test_bonett_price_by_its_published_formula():
    up, down, n = 9, 2, 60
    moved = np.array([1.0] * up + [-1.0] * down + [0.0] * (n - up - down))
    found = stats.adjusted_difference_of(stats.by_cluster(moved), up + down)
    a, b = (up + 1) / (n + 2), (down + 1) / (n + 2)
    half = scipy.stats.norm.ppf(0.975) * math.sqrt((a + b - (a - b) ** 2) / (n + 2))
    assert found.value == pytest.approx((up - down) / n)
    assert (found.low, found.high) == pytest.approx((a - b - half, a - b + half))


def constrained(lost, won, n, difference):
    """Tango's score statistic with the restricted maximum likelihood found by search."""

    def cost(share):  # of rows won; `share + difference` of rows lost
        parts = [(lost, share + difference), (won, share), (n - lost - won, 1 - 2 * share - difference)]
        return -sum(count * math.log(max(chance, 1e-300)) for count, chance in parts if count)

    low, high = max(0.0, -difference), (1 - difference) / 2
    share = scipy.optimize.minimize_scalar(cost, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (lost - won - n * difference) / math.sqrt(n * (2 * share + difference * (1 - difference)))


@pytest.mark.parametrize(("lost", "won", "n"), [(9, 2, 60), (7, 1, 21), (3, 3, 40), (30, 5, 400)])
def test_tango_inverts_the_score_test(lost, won, n):
    first, second = [1] * lost + [0] * (n - lost), [0] * lost + [1] * won + [0] * (n - lost - won)
    found = stats.difference(first, second)
    assert found.value == pytest.approx((lost - won) / n)
    assert constrained(lost, won, n, found.low) == pytest.approx(1.959964, abs=1e-3)
    assert constrained(lost, won, n, found.high) == pytest.approx(-1.959964, abs=1e-3)
    mirrored = stats.difference(second, first)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_no_difference_seen_is_not_no_difference():
    found = stats.difference([1] * 100, [1] * 100)
    assert found.value == 0
    assert found.low < -0.02
    assert found.high > 0.02
    assert found.low == pytest.approx(-found.high)


def test_paired_bootstrap_beats_unpaired_and_agrees_with_the_paired_t():
    generator = np.random.default_rng(5)
    hard = generator.normal(0, 1, 300)
    a, b = hard + generator.normal(0, 0.1, 300), hard + generator.normal(0.05, 0.1, 300)
    first, second = stats.by_cluster(a, every=True), stats.by_cluster(b, every=True)
    found = stats.paired_bootstrap(first, second)
    t = scipy.stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((t.low, t.high), abs=2e-3)
    assert stats.mean(a).high - stats.mean(a).low > 5 * (found.high - found.low)
    with pytest.raises(ValueError, match="300 against 2"):
        stats.paired_bootstrap(first, stats.by_cluster([1.0, 2.0]))


# --- how many would decide ----------------------------------------------------------------------------------------


def test_the_n_that_would_decide_is_the_reports_example():
    found = Estimate(0.021, -0.004, 0.046, 400, 400, "t")
    assert stats.n_to_decide(found, 0.03) == pytest.approx(3100, rel=0.01)
    assert stats.n_to_decide(found, 0.021) is None


@pytest.mark.parametrize("limit", [0.04, 0.1, 0.35])
def test_the_n_that_would_decide_decides(limit):
    found = stats.proportion([1] * 8 + [0] * 32)
    n = stats.n_to_decide(found, limit)
    low, high = stats.wilson(0.2 * n, n)
    assert not low <= limit <= high or abs(min(low - limit, limit - high, key=abs)) < 0.01
    low, high = stats.wilson(0.2 * n * 1.2, n * 1.2)
    assert not low <= limit <= high


def test_the_n_that_would_decide_without_events():
    found = stats.proportion([0] * 20)
    n = stats.n_to_decide(found, 0.05)
    assert n == 59
    assert stats.proportion([0] * n).high <= 0.05 < stats.proportion([0] * (n - 1)).high


@pytest.mark.parametrize(("n", "limit"), [(40, 0.0), (100, 0.1), (400, 0.15)])
def test_smallest_detectable_effect_by_enumeration(n, limit):
    found = stats.proportion([1] * (n // 10) + [0] * (n - n // 10))
    effect = stats.smallest_detectable(found, limit)

    def power(truth):
        chance = scipy.stats.binom.pmf(range(n + 1), n, truth)
        lows = [stats.proportion([1] * k + [0] * (n - k)).low for k in range(n + 1)]
        return sum(c for c, low in zip(chance, lows, strict=True) if low > limit)

    assert power(limit + effect) == pytest.approx(0.8, abs=1e-6)
    assert power(limit + effect * 0.9) < 0.8


def test_smallest_detectable_effect_of_a_mean_by_simulation():
    generator = np.random.default_rng(6)
    values = generator.normal(0, 1, (SAMPLES, 200))
    effect = stats.smallest_detectable(stats.mean(values[0]), 0.0)
    found = [stats.mean(row + effect).low > 0 for row in values]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)


def test_percents_are_told_by_their_scale():
    found = stats.proportion([1] * 8 + [0] * 32)
    percent = Estimate(20.0, found.low * 100, found.high * 100, 40, 40, "wilson")
    assert stats.n_to_decide(percent, 10.0, scale=100) == stats.n_to_decide(found, 0.1)
    one, hundred = stats.smallest_detectable(found, 0.1), stats.smallest_detectable(percent, 10.0, scale=100)
    assert hundred == pytest.approx(100 * one)


def test_smallest_detectable_below_a_limit_mirrors_above():
    good = stats.proportion([1] * 90 + [0] * 10)
    bad = stats.proportion([0] * 90 + [1] * 10)
    assert stats.smallest_detectable(good, 0.95, below=True) == pytest.approx(stats.smallest_detectable(bad, 0.05))


# --- coverage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "truth"), [(30, 0.4), (100, 0.2), (400, 0.05), (1066, 0.844)])
def test_coverage_of_independent_proportions_exactly(n, truth):
    """Summed over every possible count: no sampling error."""
    chance = scipy.stats.binom.pmf(range(n + 1), n, truth)
    found = [
        stats.proportion_of(stats.Clustered(np.r_[np.ones(k), np.zeros(n - k)], np.ones(n), n)) for k in range(n + 1)
    ]
    inside = [e.low <= truth <= e.high for e in found]
    assert TOLERATED[0] <= float(chance @ inside) <= TOLERATED[1]


HARD = [
    (0.2, 0.3, 20, 10), (0.05, 0.3, 200, 10), (0.5, 0.6, 40, (1, 40)), (0.9, 0.5, 60, (1, 40)),
    (0.2, 0.3, 50, (1, 20)), (0.03, 0.2, 100, 4), (0.1, 0.5, 30, 10), (0.02, 0.2, 400, 3), (0.005, 0.3, 1000, 6),
]  # fmt: skip


@pytest.mark.parametrize(("truth", "icc", "clusters", "size"), HARD)
def test_coverage_of_clustered_proportions(truth, icc, clusters, size):
    tops, bottoms = nested(np.random.default_rng(7), truth, icc, clusters, size)
    found = [stats.proportion_of(stats.Clustered(t, b, int(b.sum()))) for t, b in zip(tops, bottoms, strict=True)]
    assert TOLERATED[0] <= covered(found, truth) <= TOLERATED[1]


def test_ignoring_the_clusters_covers_far_less():
    """Trap 16: the same samples, each row taken as an observation."""
    tops, bottoms = nested(np.random.default_rng(7), 0.2, 0.3, 50, 10)
    naive = [stats.wilson(t.sum(), b.sum()) for t, b in zip(tops, bottoms, strict=True)]
    assert np.mean([low <= 0.2 <= high for low, high in naive]) < 0.75


@pytest.mark.parametrize(("truth", "icc", "clusters", "size"), [(0.2, 0.3, 80, 10), (0.05, 0.3, 150, 5)])
def test_coverage_of_the_cluster_bootstrap(truth, icc, clusters, size):
    tops, bottoms = nested(np.random.default_rng(8), truth, icc, clusters, size)
    found = [
        stats.bootstrap_ratio(stats.Clustered(t, b, int(b.sum())), replicates=1000)
        for t, b in zip(tops, bottoms, strict=True)
    ]
    assert TOLERATED[0] <= covered(found, truth) <= TOLERATED[1]


def test_coverage_of_the_bootstrap_of_sums():
    tops, _ = nested(np.random.default_rng(17), 0.5, 0.2, 100, 4)
    others, bottoms = nested(np.random.default_rng(18), 0.8, 0.2, 100, 4)
    found = [
        stats.bootstrap_sums(np.stack([a, b, n], axis=1), product)
        for a, b, n in zip(tops, others, bottoms, strict=True)
    ]
    assert TOLERATED[0] <= covered(found, 0.5 * 0.6) <= TOLERATED[1]


@pytest.mark.parametrize("clusters", [8, 25, 100])
def test_coverage_of_the_cluster_robust_t(clusters):
    generator = np.random.default_rng(9)
    shared = generator.normal(0, 1, (SAMPLES, clusters))
    tops = 7 * shared + generator.normal(0, math.sqrt(7), (SAMPLES, clusters))
    found = [stats.ratio(stats.Clustered(t, np.full(clusters, 7.0), 7 * clusters)) for t in tops]
    assert TOLERATED[0] <= covered(found, 0.0) <= TOLERATED[1]


@pytest.mark.parametrize(("lost", "won", "n"), [(0.1, 0.05, 100), (0.3, 0.2, 60), (0.08, 0.08, 120)])
def test_coverage_of_paired_differences_exactly(lost, won, n):
    """Summed over every possible pair of counts: no sampling error."""
    inside = 0.0
    for up in range(n + 1):
        for down in range(n + 1 - up):
            chance = scipy.stats.multinomial.pmf([up, down, n - up - down], n, [lost, won, 1 - lost - won])
            if chance > 1e-9:
                moves = np.repeat([1.0, -1.0, 0.0], [up, down, n - up - down])
                found = stats.difference_of(stats.by_cluster(moves), up + down)
                inside += chance * (found.low <= lost - won <= found.high)
    assert TOLERATED[0] <= inside <= TOLERATED[1]


@pytest.mark.parametrize(("lost", "clusters", "size"), [(0.2, 50, 10), (0.1, 300, 3), (0.3, 30, 20)])
def test_coverage_of_clustered_paired_differences(lost, clusters, size):
    generator = np.random.default_rng(11)
    right = generator.random((SAMPLES, clusters)) < 0.85
    fell, _ = nested(generator, lost, 0.3, clusters, size)
    rose, _ = nested(generator, 0.1, 0.3, clusters, size)
    tops = np.where(right, fell, -rose)
    bottoms = np.full(clusters, float(size))
    found = [stats.difference_of(stats.Clustered(t, bottoms, clusters * size), np.abs(t).sum()) for t in tops]
    assert TOLERATED[0] <= covered(found, 0.85 * lost - 0.15 * 0.1) <= TOLERATED[1]


def test_coverage_of_the_paired_bootstrap():
    generator = np.random.default_rng(12)
    found = []
    for _ in range(SAMPLES):
        hard = generator.random(300)
        a, b = (hard < 0.8).astype(float), (hard + generator.normal(0, 0.2, 300) < 0.7).astype(float)
        first, second = stats.by_cluster(a, every=True), stats.by_cluster(b, every=True)
        found.append(stats.paired_bootstrap(first, second, replicates=1000))
    truth = 0.8 - scipy.integrate.quad(lambda x: scipy.stats.norm.cdf((0.7 - x) / 0.2), 0, 1)[0]
    assert TOLERATED[0] <= covered(found, truth) <= TOLERATED[1]


def test_coverage_of_the_median():
    values = np.random.default_rng(13).exponential(1, (SAMPLES, 101))
    found = [stats.median(row) for row in values]
    assert TOLERATED[0] <= covered(found, math.log(2)) <= TOLERATED[1]


def binned(generator, gap, n, clusters=None):
    """(rows, 15) confidence minus correctness, each row's in the column of its confidence; and the bins' true gaps."""
    said = generator.beta(5, 1.5, n) if clusters is None else np.repeat(generator.beta(5, 1.5, clusters), n // clusters)
    right = generator.random(n) < np.clip(said - gap, 0, 1)
    table = np.zeros((n, 15))
    table[np.arange(n), np.searchsorted(np.arange(1, 15) / 15, said)] = said - right
    return table


@pytest.mark.parametrize(
    ("gap", "n", "clusters", "most"),
    [(0.03, 1000, None, 0.985), (0.1, 1000, None, 0.965), (0.1, 400, None, 0.965), (0.1, 800, 200, 0.965)],
)
def test_coverage_of_folded_means(gap, n, clusters, most):
    """Near zero, where the lower bound is mostly 0, the interval is conservative."""
    generator = np.random.default_rng(21)
    names = None if clusters is None else np.repeat(range(clusters), n // clusters)
    found = [stats.folded(binned(generator, gap, n, clusters), names) for _ in range(SAMPLES // 2)]
    said = np.random.default_rng(22).beta(5, 1.5, 2_000_000)
    truth = float((said - np.clip(said - gap, 0, 1)).mean())  # the gap has one sign, so the bins' gaps add up
    assert TOLERATED[0] <= covered(found, truth) <= most


def test_noise_alone_is_no_gap_where_a_bootstrap_always_sees_one():
    """A perfectly calibrated subject: the plain bootstrap of the same sum never covers the truth, 0."""
    generator = np.random.default_rng(23)
    tables = [binned(generator, 0.0, 400) for _ in range(300)]
    assert np.mean([stats.folded(t).low == 0 for t in tables]) >= 0.95
    plain = [stats.bootstrap_sums(t, lambda sums: np.abs(sums).sum(axis=-1) / 400) for t in tables[:40]]
    assert max(e.low > 0 for e in plain)
    assert np.mean([e.low > 0 for e in plain]) > 0.9


def correlation(table):
    first, second = (table - table.mean(axis=0)).T
    return float(first @ second / math.sqrt((first @ first) * (second @ second)))


@pytest.mark.parametrize("size", [1, 3])
def test_coverage_of_the_bootstrap_by_calls(size):
    """Of a correlation, 0.6 within and between clusters of rows."""
    generator = np.random.default_rng(24)
    found = []
    for _ in range(SAMPLES // 3):
        shared = np.repeat(generator.normal(0, 1, (120, 2)), size, axis=0)
        first, second = (shared + generator.normal(0, 0.5 * (size > 1), shared.shape)).T
        table = np.stack([first, 0.6 * first + 0.8 * second], axis=1)
        names = np.repeat(range(120), size) if size > 1 else None
        found.append(stats.bootstrap_rows(correlation, table, names, seed=len(found), replicates=250))
    assert TOLERATED[0] <= covered(found, 0.6) <= TOLERATED[1]


@pytest.mark.parametrize("cluster", [None, "cluster"])
def test_the_bootstrap_of_frames_and_of_rows_are_one(cluster):
    generator = np.random.default_rng(25)
    frame = pd.DataFrame(generator.normal(size=(60, 2)), columns=["a", "b"]).assign(cluster=np.repeat(range(20), 3))
    whole = stats.bootstrap(lambda f: correlation(f[["a", "b"]].to_numpy()), frame, cluster)
    rows = stats.bootstrap_rows(correlation, frame[["a", "b"]], frame.get(cluster) if cluster else None)
    assert (rows.value, rows.low, rows.high) == pytest.approx((whole.value, whole.low, whole.high))
    assert (rows.n, rows.clusters, rows.method) == (whole.n, whole.clusters, whole.method)


# --- stopping early -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [0.05, 0.3])
def test_a_confidence_sequence_holds_at_every_look_at_once(truth):
    generator = np.random.default_rng(14)
    values = generator.random((400, 150)) < truth
    fixed = sequence = 0
    for row in values.astype(float):
        lows, highs = stats.confidence_sequence(row, grid=200)
        sequence += bool(((lows <= truth) & (truth <= highs)).all())
        bounds = [stats.wilson(row[: i + 1].sum(), i + 1) for i in range(9, 150)]
        fixed += all(low <= truth <= high for low, high in bounds)
    assert sequence / 400 >= 0.95 - 0.022  # two standard errors; conservative by design, so no upper bound
    assert fixed / 400 < 0.85  # what peeking at a fixed-n interval does


def test_a_confidence_sequence_shrinks_and_refuses_what_it_cannot_bound():
    values = (np.random.default_rng(15).random(1000) < 0.2).astype(float)
    lows, highs = stats.confidence_sequence(values)
    assert (np.diff(lows) >= 0).all()
    assert (np.diff(highs) <= 0).all()
    low, high = stats.wilson(values.sum(), 1000)
    assert high - low < highs[-1] - lows[-1] < 3 * (high - low)
    for bad in ([], [0.5, 1.5], [float("nan")]):
        with pytest.raises(ValueError, match="in \\[0, 1\\]"):
            stats.confidence_sequence(bad)


def test_every_estimate_is_plain_numbers():
    """numpy scalars in findings.json would not serialise."""
    some = [
        stats.proportion([1, 0, 1, 1]), stats.proportion([1, 0] * 6, np.repeat(range(6), 2)), stats.mean([1.0, 2.0]),
        stats.difference([1, 0], [0, 0]), stats.median(range(9)), stats.bootstrap_ratio(stats.by_cluster([1.0, 2, 4])),
    ]  # fmt: skip
    for found, bound in itertools.product(some, ("value", "low", "high", "n", "clusters")):
        assert type(getattr(found, bound)) in (float, int)
