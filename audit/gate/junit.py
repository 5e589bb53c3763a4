"""A judgement as JUnit XML: one test case a rule and finding.  No input or output of a model goes in."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from audit import store
from audit.gate.clean import xml
from audit.gate.judge import Judgement, Light

TAGS = {"violates": "failure", "blocks": "error"}


def write(judgement: Judgement, path: Path) -> None:
    """Write the XML file.  UsageError where that is not possible."""
    store.write_text(path, text(judgement))


def text(judgement: Judgement) -> str:
    """The XML; met checks pass, violations fail, blocking ones are errors, all others are skipped with their reason."""
    lights = judgement.lights
    counts = {
        "tests": len(lights),
        "failures": sum(_tag(light) == "failure" for light in lights),
        "errors": sum(_tag(light) == "error" for light in lights),
        "skipped": sum(_tag(light) == "skipped" for light in lights),
    }
    name = xml(f"audit gate {judgement.policy.name}")
    numbers = {key: str(value) for key, value in counts.items()}
    root = ElementTree.Element("testsuites")
    stamp = str(judgement.run.about.get("finished") or judgement.run.about["started"]).rstrip("Z")
    about = {"name": name, "package": "audit", "id": "0", "timestamp": stamp, "hostname": "localhost", "time": "0"}
    suite = ElementTree.SubElement(root, "testsuite", {**about, **numbers})
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("run", judgement.run.about["id"]), ("model", judgement.run.model), ("state", judgement.state)):
        ElementTree.SubElement(properties, "property", {"name": key, "value": xml(str(value))})
    for light in lights:
        _case(suite, light)
    ElementTree.SubElement(suite, "system-out").text = xml(judgement.summary["en"])
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _case(suite: ElementTree.Element, light: Light) -> None:
    where = {"classname": xml(light.rule.id), "name": xml(light.name), "time": "0"}
    case = ElementTree.SubElement(suite, "testcase", where)
    tag, why = _tag(light), xml(light.why["en"])
    if tag in ("failure", "error"):
        ElementTree.SubElement(case, tag, {"message": why, "type": light.status}).text = why
    elif tag == "skipped":
        ElementTree.SubElement(case, tag, {"message": f"{light.status}: {why}"})


def _tag(light: Light) -> str:
    if light.status == "met":
        return ""
    return TAGS.get(light.effect, "skipped")
