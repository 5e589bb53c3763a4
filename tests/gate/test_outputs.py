"""JUnit, SARIF, Markdown, annotations and terminal lines: valid, unique, and deaf to hostile text.

The published schemas (`official`: SARIF 2.1.0 of OASIS, junit-10 of Jenkins' xUnit plugin) are not in this checkout.
JUNIT and SARIF below are written anew, for the parts that are used here: stricter than both, since nothing else is
allowed.
"""

from __future__ import annotations

import datetime
import json
import sys
import unicodedata
from xml.etree import ElementTree

import jsonschema
import made
import official
import pytest
from lxml import etree

from audit.commands.gate import lines
from audit.gate import baseline, clean, files, judge, junit, markdown, sarif, stored
from audit.gate import policy as policies
from audit.types import Record

FORGIVING = etree.XMLParser(recover=True)
CONTROLS = "".join(chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Cc", "Cf", "Zl", "Zp"))
HOSTILE = (
    f"]]> <!-- ::error::boom | `x` **b** <b>&amp;</b> @here https://e.example ##[error]\ud800{CONTROLS}￾\n::stop::"
)

COUNTS = "".join(
    f'<xs:attribute name="{n}" type="xs:int" use="required"/>' for n in ("tests", "failures", "errors", "skipped", "id")
)
TOLD = "".join(
    f'<xs:element name="{n}"><xs:complexType><xs:simpleContent><xs:extension base="xs:string">'
    '<xs:attribute name="message" use="required"/><xs:attribute name="type" use="required"/>'
    "</xs:extension></xs:simpleContent></xs:complexType></xs:element>"
    for n in ("error", "failure")
)
JUNIT = f"""<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:simpleType name="name"><xs:restriction base="xs:token"><xs:minLength value="1"/></xs:restriction></xs:simpleType>
<xs:simpleType name="stamp"><xs:restriction base="xs:dateTime">
 <xs:pattern value="\\d{{4}}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d"/></xs:restriction></xs:simpleType>
<xs:element name="testsuites"><xs:complexType><xs:sequence>
<xs:element name="testsuite" maxOccurs="unbounded"><xs:complexType>
 <xs:sequence>
  <xs:element name="properties"><xs:complexType><xs:sequence><xs:element name="property" maxOccurs="unbounded">
   <xs:complexType>
   <xs:attribute name="name" type="name" use="required"/><xs:attribute name="value" use="required"/>
  </xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element>
  <xs:element name="testcase" minOccurs="0" maxOccurs="unbounded"><xs:complexType>
   <xs:choice minOccurs="0"><xs:element name="skipped">
    <xs:complexType><xs:attribute name="message" use="required"/></xs:complexType></xs:element>{TOLD}</xs:choice>
   <xs:attribute name="name" type="name" use="required"/><xs:attribute name="classname" type="name" use="required"/>
   <xs:attribute name="time" type="xs:decimal" use="required"/>
  </xs:complexType></xs:element>
  <xs:element name="system-out"/><xs:element name="system-err"/>
 </xs:sequence>
 <xs:attribute name="name" type="name" use="required"/><xs:attribute name="package" type="xs:token" use="required"/>
 <xs:attribute name="timestamp" type="stamp" use="required"/><xs:attribute name="hostname" type="name" use="required"/>
 <xs:attribute name="time" type="xs:decimal" use="required"/>{COUNTS}
</xs:complexType></xs:element></xs:sequence></xs:complexType></xs:element></xs:schema>"""

TEXT = {"type": "string", "minLength": 1}


def shape(required: dict, **optional) -> dict:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **optional},
        "additionalProperties": False,
    }


MESSAGE = shape({"text": TEXT})
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = shape({"id": TEXT, "shortDescription": MESSAGE, "defaultConfiguration": shape({"level": LEVEL})})
REGION = shape({"startLine": {"type": "integer", "minimum": 1}})
PHYSICAL = shape({"artifactLocation": shape({"uri": {"type": "string", "format": "uri-reference"}}), "region": REGION})
LOGICAL = {"type": "array", "uniqueItems": True, "items": shape({"fullyQualifiedName": TEXT, "kind": TEXT})}
SUPPRESSION = shape({"kind": {"enum": ["inSource", "external"]}}, status={"enum": ["accepted"]}, justification=TEXT)
RESULT = shape(
    {
        "ruleId": TEXT,
        "ruleIndex": {"type": "integer", "minimum": -1},
        "level": LEVEL,
        "message": MESSAGE,
        "locations": {"type": "array", "items": shape({"physicalLocation": PHYSICAL, "logicalLocations": LOGICAL})},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    suppressions={"type": "array", "uniqueItems": True, "items": SUPPRESSION},
)
DRIVER = shape({"name": TEXT, "semanticVersion": TEXT, "rules": {"type": "array", "uniqueItems": True, "items": RULE}})
RUN = shape(
    {
        "tool": shape({"driver": DRIVER}),
        "invocations": {
            "type": "array",
            "items": shape({"executionSuccessful": {"type": "boolean"}}, exitCode={"type": "integer"}),
        },
        "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
        "results": {"type": "array", "items": RESULT},
        "properties": {"type": "object"},
    }
)
SARIF = shape({"version": {"const": "2.1.0"}, "$schema": TEXT, "runs": {"type": "array", "items": RUN}})

POLICY = """\
version: 1
name: release
rules:
  - {id: flips, select: {measure: flip_rate, group: "*"}, limit: {max: 0.1, min: 0.0}}
  - {id: worse, select: {measure: flip_rate}, regression: {max_worse: 0.02}}
  - {id: gone, select: {measure: accuracy}, limit: {min: 0.99}, level: warn}
waivers:
  - {rule: flips, finding: "*@b", reason: "`known` | <b>", owner: o, approved_by: a, expires: 2030-01-01}
"""


@pytest.fixture(scope="module")
def judgement(tmp_path_factory):
    """A judgement of a run whose texts, groups and errors are hostile."""
    home = tmp_path_factory.mktemp("hostile")
    sheet = {"probes": [{"probe": "typos"}], "measures": [{"measure": "flip_rate", "by": ["group"]}, "accuracy"]}
    records = []
    for record in made.rows(*made.draw(200, 0.9, 0.3, 1)):
        evidence = {"before": HOSTILE, "after": HOSTILE, "predicted": HOSTILE}
        outcome = type(record.outcome)(record.outcome.passed, record.outcome.values, evidence)
        group = HOSTILE if record.group == "a" else "b"
        records.append(Record(**{**vars(record), "params": {}, "group": group, "outcome": outcome}))
    run = made.folder(home / "run", records, sheet, model={"name": HOSTILE})
    path = made.policy(home / "release.yaml", POLICY)
    policy = policies.read(path)
    references = baseline.references(policy.baseline, home, [str(run)])
    return judge(path, policy, stored.read(run), references, datetime.date(2026, 1, 1))


def test_hostile_groups_are_judged(judgement):
    assert {light.status for light in judgement.lights} >= {"violated", "waived", "met"}
    assert any("::error::" in light.finding.id for light in judgement.lights)


def test_junit_keeps_the_published_schema(judgement):
    published = etree.XMLSchema(etree.fromstring(official.schema("junit")))
    published.assertValid(etree.fromstring(junit.text(judgement).encode()))
    assert not published.validate(
        etree.fromstring(junit.text(judgement).replace("<testcase ", "<case ").encode(), FORGIVING)
    )


def test_sarif_keeps_the_published_schema(judgement):
    published = json.loads(official.schema("sarif"))
    assert "oasis-tcs/sarif-spec" in published["$id"]
    suppression = published["definitions"]["suppression"]["properties"]
    if "state" in suppression:  # a copy older than the standard's last renaming
        suppression["status"] = suppression.pop("state")
    check = jsonschema.Draft7Validator(published, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
    tree = sarif.tree(judgement, "0.1.0")
    check.validate(tree)
    assert any("suppressions" in result for result in tree["runs"][0]["results"])
    assert not check.is_valid({**tree, "version": "2.0.0"})


def test_junit_is_valid_and_names_are_unique(judgement):
    text = junit.text(judgement)
    tree = etree.fromstring(text.encode())
    etree.XMLSchema(etree.fromstring(JUNIT)).assertValid(tree)
    suite = ElementTree.fromstring(text)[0]
    cases = suite.findall("testcase")
    assert (
        len({(c.get("classname"), c.get("name")) for c in cases})
        == len(cases)
        == len(judgement.lights)
        == int(suite.get("tests"))
    )
    for tag, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert sum(c.find(tag) is not None for c in cases) == int(suite.get(name))
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in text if c not in "\n\t")


def test_no_text_of_data_or_model_is_in_junit(judgement):
    assert "text 0" not in junit.text(judgement)
    assert "predicted" not in junit.text(judgement)


def test_sarif_is_valid(judgement):
    tree = sarif.tree(judgement, "0.1.0")
    jsonschema.Draft202012Validator(SARIF).validate(tree)
    run = tree["runs"][0]
    lines = judgement.path.read_text().splitlines()
    for result in run["results"]:
        where = result["locations"][0]["physicalLocation"]
        assert f"id: {result['ruleId']}" in lines[where["region"]["startLine"] - 1]
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    marks = [result["partialFingerprints"]["check/v1"] for result in run["results"]]
    assert len(set(marks)) == len(marks)
    assert sum("suppressions" in result for result in run["results"]) == 1


def test_markdown_holds_no_markup_of_others(judgement):
    text = markdown.text(judgement)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(line.replace("\\|", "").split("|")) in (4, 6, 8) for line in rows)
    assert "<b>" not in text
    assert "@here" not in text
    assert "https://" not in text
    assert not any(line.startswith("::") for line in text.splitlines())
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text if c != "\n" and c != "\ufe0f")


def test_markdown_and_terminal_speak_chinese(judgement):
    text = markdown.text(judgement, "zh")
    assert "门禁未通过" in text
    assert "| 规则 | 结果 | 原因 |" in text
    assert "### 豁免" in text
    for word in ("violated", "Waivers", "Compared", "Model", "blocks", "active"):
        assert word not in text, word
    assert not any("(blocks)" in said or "(warn)" in said for said in lines(judgement, "zh", False))


def test_markdown_is_cut_below_a_mebibyte(judgement, monkeypatch):
    monkeypatch.setattr(markdown, "MOST", 1700)
    text = markdown.text(judgement)
    assert len(text.encode()) <= 1700
    assert "gate.json" in text


def test_annotations_are_few_and_escaped(judgement):
    found = list(markdown.notes(judgement))
    assert 0 < len(found) <= markdown.ANNOTATIONS
    for note in found:
        command, _, message = note[2:].partition("::")
        assert command.startswith(("error file=", "warning file="))
        assert "\n" not in message
        assert "\r" not in message
    assert found[0].startswith("::error")


def test_lines_of_a_terminal_are_no_commands(judgement):
    for language in ("en", "zh"):
        for text in lines(judgement, language, False):
            assert not text.lstrip().startswith(("::", "##["))
            assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in text)


@pytest.mark.parametrize("escape", [clean.xml, clean.line, clean.markdown])
def test_every_character_survives_cleaning(escape):
    for start in range(0, sys.maxunicode + 1, 4096):
        text = "".join(map(chr, range(start, min(start + 4096, sys.maxunicode + 1))))
        done = escape(text)
        ElementTree.fromstring(f"<a>{done.replace('&', '&amp;').replace('<', '&lt;')}</a>".encode())


def test_files_are_written(judgement, tmp_path):
    files.write(judgement)
    junit.write(judgement, tmp_path / "j.xml")
    sarif.write(judgement, tmp_path / "s.json", "0.1.0")
    markdown.write(judgement, tmp_path / "m.md", "zh")
    assert "门禁" in (tmp_path / "m.md").read_text("utf-8")
    assert made.gate_json(judgement.run.folder)["state"] == "violated"


def test_both_languages_have_the_same_holes():
    import re

    from audit.gate.words import messages

    for key, message in messages().items():
        assert set(message) == {"en", "zh"}, key
        holes = [sorted(re.findall(r"\{\w+\}", message[code])) for code in ("en", "zh")]
        assert holes[0] == holes[1], key
