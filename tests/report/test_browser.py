"""The page in a real browser: filter, links, print, no errors.  Skipped where no Chromium is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from made_run import build

from audit import report

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no Chromium is installed (looked for {', '.join(BROWSERS)})")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    return report.write(build(tmp_path_factory.mktemp("run"), 1))[0]


def shown(browser: str, address: str, home: Path, *more: str) -> tuple[str, str]:
    """The page's DOM after its script has run, and what the console said."""
    command = [
        browser,
        *QUIET,
        f"--user-data-dir={home}",
        "--enable-logging=stderr",
        "--v=0",
        *more,
        "--dump-dom",
        address,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("the browser did not answer within 90 s")
    if not done.stdout.strip():
        pytest.skip(f"the browser does not run here: {done.stderr.strip()[-200:]}")
    return done.stdout, done.stderr


def test_the_script_runs_under_the_policy_and_opens_what_is_linked(browser, page, tmp_path):
    dom, console = shown(browser, f"{page.as_uri()}#p.robustness.pruthi", tmp_path)
    assert "CONSOLE" not in console
    form = re.search(r'<form id="filter"[^>]*>', dom)[0]
    assert "hidden" not in form
    card = dom[dom.index('id="p.robustness.pruthi"') :]
    assert "open" in re.search("<details[^>]*>", card)[0]
    assert re.search(r'<output id="filtered"[^>]*>(\d+) of \1 probes shown', dom)


def test_hostile_text_makes_no_elements(browser, page, tmp_path):
    dom, _console = shown(browser, page.as_uri(), tmp_path)
    assert len(re.findall("<script", dom)) == 1
    assert not re.search("<img", dom)
