"""The gate on the command line: exit codes, messages, files; and `ci` on a real run of the simulated subject."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import made
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from audit.cli import main
from audit.commands.schema import policy as policy_schema
from audit.errors import Exit
from audit.gate import policy as policies

HOME = Path(__file__).parents[2]

POLICY = "version: 1\nrules:\n  - {{id: r, select: {{measure: flip_rate}}, {rule}}}\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return made.three(tmp_path_factory.mktemp("runs"))


def audit(capsys, *words) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(stop.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("rule", "code", "said"),
    [
        ("limit: {max: 0.4}", 0, "Gate passed: 2 of 2 checks are met."),
        ("limit: {max: 0.1}", 1, "Gate not passed: 2 of 2 checks are violated."),
        ("limit: {max: 0.2}, on_inconclusive: fail", 4, "Gate not passed"),
        ("regression: {max_worse: 0.02}", 4, "no baseline to compare with"),
    ],
)
def test_exit_codes(runs, tmp_path, capsys, rule, code, said):
    path = made.policy(tmp_path / "release.yaml", POLICY.format(rule=rule))
    found, out, _ = audit(capsys, "gate", runs / "worse", "--policy", path)
    assert found == code
    assert said in out
    assert made.gate_json(runs / "worse")["exit"] == code
    assert (runs / "worse" / "junit.xml").is_file()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            POLICY.format(rule="limit: {max: 0.1}, min_nn: 3"),
            "release.yaml:3: rules.0.min_nn: not a key; did you mean 'min_n'?",
        ),
        (POLICY.format(rule="limit: {max: 0.1}").replace("flip_rate", "flips"), "matches none of the run's findings"),
        ("version: 1\nrules: []\n", "release.yaml:2: rules"),
        ("rules: [", "not YAML"),
    ],
)
def test_a_faulty_policy_is_exit_2(runs, tmp_path, capsys, text, said):
    found, _, err = audit(capsys, "gate", runs / "base", "--policy", made.policy(tmp_path / "release.yaml", text))
    assert found == 2
    assert said in err


def test_no_run_and_no_day(runs, tmp_path, capsys):
    path = made.policy(tmp_path / "release.yaml", POLICY.format(rule="limit: {max: 0.1}"))
    assert audit(capsys, "gate", tmp_path / "none", "--policy", path)[0] == 2
    found, _, err = audit(capsys, "gate", runs / "base", "--policy", path, "--today", "soon")
    assert (found, "is no day" in err) == (2, True)


def test_every_output_and_json(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    path = made.policy(tmp_path / "release.yaml", POLICY.format(rule="regression: {max_worse: 0.0}"))
    files = [tmp_path / name for name in ("j.xml", "s.json", "m.md")]
    words = ["gate", runs / "worse", "--policy", path, "--baseline", runs / "base"]
    words += [w for flag, file in zip(("--junit", "--sarif", "--markdown"), files, strict=True) for w in (flag, file)]
    found, out, _ = audit(capsys, *words)
    assert found == 1
    assert all(file.stat().st_size for file in files)
    assert f"::error file={path},line=" in out
    found, out, _ = audit(capsys, *words, "--json")
    assert json.loads(out) == made.gate_json(runs / "worse")


@pytest.mark.parametrize("baselines", [(), ("base",), ("previous=again", "pinned=base"), ("nowhere",)])
def test_gate_json_is_of_the_schema_that_is_printed(runs, tmp_path, capsys, baselines):
    printed = json.loads(audit(capsys, "schema", "gate")[1])
    check = jsonschema.Draft202012Validator(printed, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    text = POLICY.format(rule="limit: {max: 0.1}") + (
        "  - {id: w, select: {measure: accuracy}, regression: {max_worse: 0.0}, level: warn}\n"
        "waivers:\n  - {rule: r, reason: x, owner: o, approved_by: a, expires: 2099-01-01, max_value: 0.5}\n"
    )
    words = [w for b in baselines for w in ("--baseline", "=".join([*b.split("=")[:-1], str(runs / b.split("=")[-1])]))]
    audit(capsys, "gate", runs / "worse", "--policy", made.policy(tmp_path / "release.yaml", text), *words)
    found = made.gate_json(runs / "worse")
    check.validate(found)
    assert found["waivers"][0]["state"] == "active"
    assert not check.is_valid({**found, "state": "released"})
    assert not check.is_valid({key: value for key, value in found.items() if key != "verdicts"})


def test_what_cannot_be_compared_is_said_in_both_languages(runs, tmp_path, capsys):
    path = made.policy(tmp_path / "release.yaml", POLICY.format(rule="regression: {max_worse: 0.02}, level: warn"))
    made.one(tmp_path / "other", n=40, model={"dtype": "bfloat16"})
    words = ["gate", tmp_path / "other", "--policy", path, "--lang", "zh", "--baseline"]
    _, out, _ = audit(capsys, *words, runs / "base")
    assert "（仅警告）" in out
    assert "dtype：之前 float32，现在 bfloat16" in out
    _, out, _ = audit(capsys, *words, tmp_path / "nowhere")
    assert f"{tmp_path / 'nowhere'} 不存在" in out
    assert " then" not in out


def test_accept_and_list_baselines(runs, tmp_path, capsys):
    file = tmp_path / "baselines.json"
    assert audit(capsys, "baseline", "accept", runs / "base", "--reason", "good", "--pin", "--file", file)[0] == 0
    found, out, _ = audit(capsys, "baseline", "list", "--file", file)
    assert (found, "pinned" in out, "good" in out) == (0, True, True)
    text = "baseline: {source: baselines.json}\n" + POLICY.format(rule="regression: {max_worse: 0.02}")
    path = made.policy(tmp_path / "release.yaml", text)
    assert audit(capsys, "gate", runs / "again", "--policy", path)[0] == 0
    assert audit(capsys, "gate", runs / "worse", "--policy", path)[0] == 1


def test_the_schema_takes_what_the_gate_takes():
    schema = policy_schema()
    good = YAML(typ="safe").load(POLICY.format(rule="limit: {max: 0.1}"))
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, "rule": []}, schema)


def test_ci_runs_reports_and_judges(tmp_path, capsys):
    audit(capsys, "new", tmp_path / "mine")
    path = made.policy(tmp_path / "release.yaml", POLICY.format(rule="limit: {max: 0.9}, on_inconclusive: fail"))
    words = ["ci", tmp_path / "mine", "--model", "simulated:flip=0.3", "--out", tmp_path / "out", "--policy", path]
    found, out, _ = audit(capsys, *words)
    assert found in (0, 4)
    assert {"gate.json", "junit.xml", "report.html", "report.zh.html"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert out.strip().splitlines()[-1] == made.gate_json(tmp_path / "out")["summary"]["en"]


def test_help_of_ci_has_the_options_of_both():
    from audit.commands.ci import ci

    said = CliRunner().invoke(ci, ["--help"]).output
    assert "--policy" in said
    assert "--batch-tokens" in said


def test_the_action_runs(tmp_path, capsys):
    """Its script, as a runner would start it; inputs reach it as environment variables only."""
    action = YAML(typ="safe").load((HOME / ".github" / "actions" / "audit" / "action.yml").read_text("utf-8"))
    [step] = action["runs"]["steps"]
    assert "${{" not in step["run"]
    assert {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]} == set(step["env"].values())
    audit(capsys, "new", tmp_path / "mine")
    policy = made.policy(tmp_path / "release.yaml", POLICY.format(rule="limit: {max: 0.9}, on_inconclusive: fail"))
    given = {
        "SUITES": "mine",
        "MODEL": "simulated",
        "POLICY": policy,
        "BASELINE": "",
        "OUT": "out",
        "PYTHON": sys.executable,
    }
    files = {"GITHUB_STEP_SUMMARY": tmp_path / "summary.md", "GITHUB_OUTPUT": tmp_path / "output"}
    named = {name: str(value) for name, value in {**given, **files, "ARGUMENTS": "--limit=3\n--seed=1\n"}.items()}
    done = subprocess.run(
        ["bash", "-c", step["run"]], cwd=tmp_path, env={**os.environ, **named}, capture_output=True, text=True
    )
    assert done.returncode == made.gate_json(tmp_path / "out")["exit"], done.stderr
    assert "state=" in files["GITHUB_OUTPUT"].read_text()
    assert "audit: Gate" in files["GITHUB_STEP_SUMMARY"].read_text("utf-8")
    assert json.loads((tmp_path / "out.sarif").read_text("utf-8"))["version"] == "2.1.0"


def test_the_policy_in_the_manual_is_one(tmp_path):
    text = (HOME / "docs" / "gate.md").read_text("utf-8")
    blocks = [block.partition("```")[0] for block in text.split("```yaml\n")[1:]]
    path = made.policy(tmp_path / "release.yaml", blocks[0])
    assert [rule.id for rule in policies.read(path).rules] == ["typo-flip", "no-regression", "domains"]
    for block in blocks:
        assert YAML(typ="safe").load(block)


def test_the_manual_names_every_exit_code():
    text = (HOME / "docs" / "gate.md").read_text("utf-8")
    assert all(f"| {int(code)} |" in text for code in Exit)
