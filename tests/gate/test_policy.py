"""Policies: every fault with its file, its line and the nearest right key."""

from __future__ import annotations

import datetime

import made
import pytest

from audit.errors import UsageError
from audit.gate import judge, stored
from audit.gate import policy as policies

LIMIT = "    limit: {max: 0.15}"
GOOD = """\
version: 1
rules:
  - id: flips
    select: {suite: s, measure: flip_rate}
    limit: {max: 0.15}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made.three(tmp_path_factory.mktemp("runs"))


def fault(path, text) -> str:
    with pytest.raises(UsageError) as caught:
        policies.read(made.policy(path / "release.yaml", text))
    return str(caught.value).removeprefix(str(path) + "/")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (LIMIT, f"{LIMIT}\n    min_nn: 3", "release.yaml:6: rules.0.min_nn: not a key; did you mean 'min_n'?"),
        ("{max: 0.15}", "{}", "release.yaml:5: rules.0.limit: a limit needs max, min or both"),
        ("    limit: {max: 0.15}\n", "", "release.yaml:3: rules.0: a rule needs either limit or regression"),
        ("version: 1", "version: 2", "release.yaml:1: version"),
        ("rules:", "baseline: {ignore: [dtyp]}\nrules:", "'dtyp' is no part of the comparability key; did you mean"),
        ("{max: 0.15}", "{max: no}", "release.yaml:5: rules.0.limit.max"),
        ("rules:", "defaults: {on_error: ignore}\nrules:", "release.yaml:2: defaults.on_error"),
    ],
)  # fmt: skip
def test_faults_have_a_place(tmp_path, old, new, said):
    assert said in fault(tmp_path, GOOD.replace(old, new))


WAIVER = "waivers:\n  - {{rule: {rule}, reason: r, owner: o, approved_by: a, expires: {expires}}}\n"


def test_a_bad_date_and_an_unknown_rule(tmp_path):
    said = fault(tmp_path, GOOD + WAIVER.format(rule="flips", expires="2026-13-40"))
    assert "release.yaml:7: waivers.0.expires" in said
    said = fault(tmp_path, GOOD + WAIVER.format(rule="flip", expires="2026-12-31"))
    assert said == "release.yaml:7: waivers.0.rule: there is no rule 'flip'; did you mean 'flips'?"


def test_a_waiver_needs_an_owner_and_an_end(tmp_path):
    said = fault(tmp_path, GOOD + "waivers:\n  - {rule: flips, reason: r}\n")
    assert "waivers.0.owner" in said
    assert "waivers.0.expires" in said


def test_two_rules_of_one_id(tmp_path):
    twice = GOOD + GOOD.partition("rules:\n")[2]
    assert fault(tmp_path, twice) == "release.yaml:6: rules.1.id: two rules have the id 'flips'; ids are unique."


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("{suite: t}", "suite 't': known: s"),
        ("{probe: typo}", "probe 'typo': did you mean 'typos'?"),
        ("{measure: fliprate}", "measure 'fliprate': did you mean 'flip_rate'?"),
        ("{params: {rate: 0.3}}", "setting rate is 0.3 nowhere: 0.05, 0.1"),
        ("{params: {rat: 0.1}}", "no setting 'rat': did you mean 'rate'?"),
        ("{group: nowhere}", "group 'nowhere'"),
        ("{measure: accuracy_drop, group: '*'}", "group '*': the suite splits 'accuracy_drop' by no group"),
        ("{finding: s/typos/rate=0.1/flip}", "did you mean 's/typos/rate=0.1/flip_rate'?"),
    ],
)
def test_a_select_that_matches_nothing(tmp_path, runs, select, said):
    path = made.policy(tmp_path / "release.yaml", GOOD.replace("{suite: s, measure: flip_rate}", select))
    with pytest.raises(UsageError) as caught:
        judge(path, policies.read(path), stored.read(runs / "base"), [], datetime.date(2026, 1, 1))
    assert str(caught.value).startswith(f"{path}:4: rules.0.select: matches none of the run's findings; ")
    assert said in str(caught.value)
