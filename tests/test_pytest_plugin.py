"""The pytest plugin as its users meet it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

POLICY = """\
version: 1
defaults: {{on_inconclusive: pass}}
rules:
  - {{id: flips, select: {{measure: flip_rate}}, limit: {{max: {most}}}}}
"""
TEST = """\
def test_release(audit_run, tmp_path):
    found = audit_run("mine", model="simulated:flip=0.4", out=tmp_path / "run")
    assert found.findings["mine/shouting/share=1/flip_rate"].n > 0
    found.check()
"""


def run(*words, cwd):
    base = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "audit.pytest_plugin"]
    return subprocess.run([*base, *map(str, words)], capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def home(tmp_path):
    subprocess.run([sys.executable, "-m", "audit", "new", "mine"], cwd=tmp_path, check=True, capture_output=True)
    rows = [f'{{"text": "number {i} was wonderful", "label": "positive"}}' for i in range(60)]
    (tmp_path / "mine" / "data.jsonl").write_text("\n".join(rows))
    (tmp_path / "test_release.py").write_text(TEST)
    return tmp_path


def test_the_fixture_measures_and_judges(home):
    (home / "release.yaml").write_text(POLICY.format(most=0.9))
    assert "1 passed" in run("--audit-policy", "release.yaml", cwd=home).stdout
    (home / "release.yaml").write_text(POLICY.format(most=0.05))
    done = run("--audit-policy", "release.yaml", cwd=home)
    assert done.returncode == 1
    assert "Gate not passed" in done.stdout


def test_checks_of_a_stored_run_are_items(home):
    words = ["run", "mine", "--model", "simulated:flip=0.4", "--out", "out"]
    subprocess.run([sys.executable, "-m", "audit", *words], cwd=home, check=True, capture_output=True)
    (home / "test_release.py").unlink()
    (home / "release.yaml").write_text(POLICY.format(most=0.05))
    done = run("--audit-policy", "release.yaml", "--audit-run", "out", cwd=home)
    assert done.returncode == 1
    assert "2 failed" in done.stdout
    assert "wholly beyond the limit" in done.stdout
    (home / "release.yaml").write_text(POLICY.format(most=0.05).replace("flip_rate", "flips"))
    done = run("--audit-policy", "release.yaml", "--audit-run", "out", cwd=home)
    assert "matches none of the run's findings" in done.stdout + done.stderr
    assert run("--audit-run", "out", cwd=home).returncode == 4


def test_the_plugin_is_inert_until_used(tmp_path):
    (tmp_path / "test_light.py").write_text(
        "import sys\n\ndef test_light():\n"
        "    heavy = {'audit.run', 'audit.gate', 'pandas', 'torch', 'pydantic', 'click'} & set(sys.modules)\n"
        "    assert not heavy\n"
    )
    done = run(cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout
