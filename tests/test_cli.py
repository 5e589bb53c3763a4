"""The command line as a user meets it: codes, one-paragraph errors, lines and JSON on stdout, progress on stderr."""

from __future__ import annotations

import json
import subprocess
import sys

import jsonschema
import pytest
from conftest import HOME

from audit.commands.show import lines, one_line


def audit(*words, cwd=HOME, code=0):
    done = subprocess.run([sys.executable, "-m", "audit", *map(str, words)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of a new suite on the simulated subject."""
    home = tmp_path_factory.mktemp("home")
    audit("new", home / "mine")
    done = audit("run", home / "mine", "--model", "simulated:flip=0.3", "--out", home / "out")
    return home, done


def test_new_run_report(folder):
    home, done = folder
    *findings, page = done.stdout.strip().splitlines()
    assert page == str(home / "out" / "report.html")
    assert any("mine/shouting/share=1/flip_rate" in line for line in findings)
    assert "8/8 trials" in done.stderr
    assert {p.name for p in (home / "out").iterdir()} == {
        "run.json", "records.jsonl", "findings.json", "report.html", "report.zh.html",
    }  # fmt: skip


def test_later_files_are_rebuilt_without_a_model(folder):
    home, done = folder
    kept = {name: (home / "out" / name).read_bytes() for name in ("findings.json", "report.html", "report.zh.html")}
    for name in kept:
        (home / "out" / name).unlink()
    again = audit("report", home / "out")
    assert again.stdout == done.stdout
    assert {name: (home / "out" / name).read_bytes() for name in kept} == kept


def test_chinese_lines(folder):
    home, _ = folder
    done = audit("report", home / "out", "--lang", "zh")
    assert "置信区间" in done.stdout
    assert done.stdout.strip().splitlines()[-1].endswith("report.zh.html")


def test_json_is_findings_and_keeps_to_the_schemas(folder):
    home, _ = folder
    content = json.loads(audit("report", home / "out", "--json").stdout)
    assert content == json.loads((home / "out" / "findings.json").read_text())
    schemas = {name: json.loads(audit("schema", name).stdout) for name in ("findings", "run", "record")}
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schemas["findings"])
    jsonschema.validate(json.loads((home / "out" / "run.json").read_text()), schemas["run"])
    for line in (home / "out" / "records.jsonl").read_text().splitlines():
        jsonschema.validate(json.loads(line), schemas["record"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "findings": [{"id": 3}]}, schemas["findings"])
    keys = "id suite probe params group measure value low high n clusters method confidence direction verdict severity"
    more = "statement card skipped errors reason seconds asked"
    assert set(f"{keys} {more}".split()) <= set(content["findings"][0])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["rnu"], 2, "no command 'rnu': did you mean 'run'?"),
        (["run"], 2, "Missing argument 'SUITES...'"),
        (["run", "suites/robustness"], 2, "Missing option '--model'"),
        (["run", "suites/robustnes", "--model", "reference"], 2, "no suite 'suites/robustnes'"),
        (["run", "robustness", "--model", "simulated:flp=1"], 2, "did you mean 'flip'"),
        (["run", "robustness", "--model", "no/such/folder"], 2, "no/such/folder"),
        (["run", "robustness", "--model", "simulated:flip=0.1", "--data", "none.csv"], 2, "there is no such data file"),
        (["run", "robustness", "--model", "simulated:flip=0.1", "--dtype", "float8"], 2, "float8"),
        (
            ["run", "robustness", "--model", "simulated:flip=0.1", "--batch-tokens", "many"],
            2,
            "neither auto nor a positive",
        ),
        (["run", "robustness", "--model", "simulated:flip=0.1", "--labels", "x"], 2, "must look like name=value"),
        (["run", "robustness", "--model", "simulated:flip=0.1", "--limit", "0"], 2, "--limit"),
        (["report", "no/such/run"], 2, "no/such/run is not a run folder"),
        (["list", "things"], 2, "things"),
        (["new", "suites"], 2, "not empty"),
    ],
)
def test_an_error_is_one_paragraph_and_a_code(words, code, says):
    done = audit(*words, code=code)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_the_traceback():
    assert "Traceback" in audit("run", "robustnes", "--model", "reference", "--debug", code=2).stderr


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    audit("new", tmp_path / "mine")
    done = audit("run", tmp_path / "mine", "--model", "simulated:flip=0", "--out", tmp_path / "file" / "out", code=2)
    assert "Choose another folder with --out" in done.stderr


def test_a_run_in_which_everything_fails_cannot_measure(tmp_path):
    audit("new", tmp_path / "mine")
    (tmp_path / "mine" / "probes.py").write_text(
        "from audit import Classify, probe\n\n@probe(Classify)\ndef shouting(example, rng, share=1.0):\n"
        "    '''Fail.'''\n    yield [Classify(example.text)]\n    raise ValueError('always')\n"
    )
    done = audit("run", tmp_path / "mine", "--model", "simulated:flip=0", "--out", tmp_path / "out", code=3)
    assert "every one of the 8 trials ended in an error" in done.stderr
    assert "ValueError: always" in done.stderr
    assert (tmp_path / "out" / "report.html").exists()


def test_a_corrupt_record_is_named_and_kept(folder, tmp_path):
    import shutil

    home, _ = folder
    shutil.copytree(home / "out", tmp_path / "out")
    path = tmp_path / "out" / "records.jsonl"
    broken = path.read_bytes().replace(b'{"trial"', b'{"trail"', 1)
    path.write_bytes(broken)
    done = audit("report", tmp_path / "out", code=2)
    assert "records.jsonl:1: not a record" in done.stderr
    done = audit("run", home / "mine", "--model", "simulated:flip=0.3", "--out", tmp_path / "out", code=2)
    assert path.read_bytes() == broken


def test_list_reads_yaml_only(tmp_path):
    audit("new", tmp_path / "mine")
    (tmp_path / "mine" / "probes.py").write_text("raise SystemExit('it ran')")
    done = audit("list", "probes", tmp_path / "mine")
    assert "mine/shouting" in done.stdout
    assert "robustness" in audit("list", cwd=tmp_path).stdout
    assert "classifier" in audit("list", "heads").stdout
    assert json.loads(audit("list", "measures", "--json").stdout)


def test_what_a_model_or_a_probe_says_cannot_command_a_runner():
    hostile = {
        "severity": "high", "verdict": "confirmed", "id": "s/p/m",
        "statement": {"en": "a\n::error::b\x1b[31m\u202e", "zh": "x"},
    }  # fmt: skip
    [line] = lines([hostile], "en")
    assert "\n" not in line
    assert not line.startswith("::")
    assert one_line("a\x00b\u200bc") == "a b c"
