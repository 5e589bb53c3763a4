"""Suites: every key is checked, listing runs no code, a stranger's suite comes in through the same door."""

from __future__ import annotations

import shutil

import pytest
from conftest import HOME

from audit import UsageError, document, suite

SHEET = """\
title: {en: T, zh: 题}
data: {load: data.jsonl}
probes:
  - probe: shouting
    with: {share: 0.5}
"""
PROBES = '''\
from audit import Classify, Outcome, probe

LOADED = True

@probe(Classify)
def shouting(example, rng, share=1.0):
    """Shout."""
    yield [Classify(example.text)]
    return Outcome(True)
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "suite.yaml").write_text(SHEET)
    (tmp_path / "probes.py").write_text(PROBES)
    return tmp_path


def edit(folder, old, new):
    path = folder / "suite.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_loads_and_binds(folder):
    found = suite.load(str(folder))
    [bound] = suite.bind(found)
    assert bound.probe.name == "shouting"
    assert bound.cells == ((("share", 0.5),),)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("probes:", "probess:", r"suite.yaml:3: probess: not a key; did you mean 'probes'"),
        ("with:", "wiht:", r"suite.yaml:5: probes.0.wiht: not a key; did you mean 'with'"),
        ("{load: data.jsonl}", "{lod: x}", r"suite.yaml:2: data.0.lod: not a key; did you mean 'load'|data.0.load"),
        ("title: {en: T, zh: 题}", "title: {en: T}", r"title.*zh.*required"),
        ("title: {en: T, zh: 题}", "title: 3", r"suite.yaml:1: title"),
        ("    with: {share: 0.5}", "    limit: 0", r"suite.yaml:5: probes.0.limit: .*greater than or equal to 1"),
        ("    with: {share: 0.5}", "    limit: many", r"suite.yaml:5: probes.0.limit: .*integer.*many"),
        ("    with: {share: 0.5}", "    over: {share: []}", r"'share' sweeps over no values"),
        ("  - probe: shouting\n    with: {share: 0.5}", "  []", r"at least one probe"),
        ("data: {load: data.jsonl}", "data: [", r"not YAML"),
        (SHEET, "- 1\n", r"must hold a mapping"),
    ],
)
def test_a_fault_names_file_line_and_the_right_key(folder, old, new, says):
    edit(folder, old, new)
    with pytest.raises(UsageError, match=says):
        suite.load(str(folder))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("probe: shouting", "probe: shoutng", r"no probe 'shoutng' in .*did you mean 'shouting'"),
        ("share: 0.5", "shar: 0.5", r"no setting 'shar': did you mean 'share'"),
        ("with: {share: 0.5}", "over: {shares: [1]}", r"no setting 'shares': did you mean 'share'"),
        ("probe: shouting", "probe: no.such:thing", r"cannot import 'no.such'"),
    ],
)
def test_a_probe_or_setting_that_is_not_there(folder, old, new, says):
    edit(folder, old, new)
    with pytest.raises(UsageError, match=says):
        suite.bind(suite.load(str(folder)))


def test_names_must_be_unique_and_known(folder):
    edit(folder, "  - probe: shouting\n", "  - probe: shouting\n  - probe: shouting\n")
    with pytest.raises(UsageError, match="two probes are named 'shouting'"):
        suite.load(str(folder))
    (folder / "suite.yaml").write_text(SHEET + "across: [{name: all, measure: flip_rate, probes: [shoutin]}]\n")
    with pytest.raises(UsageError, match="across 'all': no probe 'shoutin': did you mean 'shouting'"):
        suite.load(str(folder))
    (folder / "suite.yaml").write_text(SHEET + "    data: dat\n")
    with pytest.raises(UsageError, match=r"no data block 'dat'.*did you mean 'data'"):
        suite.load(str(folder))


def test_probes_that_do_not_import_are_named(folder):
    (folder / "probes.py").write_text("import no_such_module\n")
    found = suite.load(str(folder))
    with pytest.raises(UsageError, match=r"probes.py cannot be imported: ModuleNotFoundError"):
        suite.bind(found)


def test_reading_a_suite_runs_none_of_its_code(folder):
    (folder / "probes.py").write_text("raise SystemExit('it ran')\n")
    assert suite.load(str(folder)).sheet.title.en == "T"


def test_cells_are_every_combination(folder):
    edit(folder, "with: {share: 0.5}", "over: {share: [0.1, 0.2]}")
    [bound] = suite.bind(suite.load(str(folder)))
    assert bound.cells == ((("share", 0.1),), (("share", 0.2),))


def test_the_hash_covers_every_file(folder):
    before = suite.load(str(folder)).hash
    (folder / "data.jsonl").write_text("{}\n")
    assert suite.load(str(folder)).hash != before


def test_an_unknown_reference(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="did you mean 'robustness'"):
        suite.load("robustnes")
    with pytest.raises(UsageError, match=r"this folder has no suite.yaml"):
        suite.load(str(tmp_path))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "suite.yaml").write_text(SHEET)
    with pytest.raises(UsageError, match=r"suites inside it: .*inner"):
        suite.load(str(tmp_path))


def test_an_installed_suite_is_found_by_its_entry_point(folder, tmp_path_factory, monkeypatch):
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(folder, site / "acme_audit")
    info = site / "acme_audit-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-audit\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[audit.suites]\nloud = acme_audit\n")
    monkeypatch.syspath_prepend(str(site))
    assert [b.probe.name for b in suite.bind(suite.load("loud"))] == ["shouting"]
    with pytest.raises(UsageError, match="did you mean 'loud'"):
        suite.load("laud")


@pytest.mark.parametrize("path", sorted((HOME / "suites").glob("*/suite.yaml")), ids=lambda p: p.parent.name)
def test_every_built_in_suite_binds(path):
    found = suite.load(str(path.parent))
    assert suite.bind(found)
    assert found.sheet.limitations


def test_a_sheet_is_parsed_once_however_many_probes_it_has():
    document._tree.cache_clear()
    found = suite.load("robustness")
    assert len(suite.bind(found)) > 80
    assert document._tree.cache_info().misses == 1
