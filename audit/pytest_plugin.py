"""A pytest plugin: runs as a fixture, and a policy's checks as test items.  Does nothing until one of them is used.

`audit_run("suites/robustness", model="reference", limit=40)` measures and gives back what was found; `pytest
--audit-policy release.yaml --audit-run RUN` adds one test item for each rule and finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from audit.gate import Judgement, Light
    from audit.types import Finding


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("audit", "model audits")
    group.addoption("--audit-policy", metavar="FILE", help="judge audits by this policy")
    group.addoption(
        "--audit-run", metavar="RUN", action="append", default=[], help="a run folder to judge by the policy"
    )
    group.addoption("--audit-baseline", metavar="RUN", action="append", default=[], help="[previous=|pinned=]RUN")


class Audited:
    """What one audit found: `folder`, and `findings` by id."""

    def __init__(self, folder: Path, policy: Path | None, baselines: tuple[str, ...]) -> None:
        self.folder = folder
        self._policy, self._baselines = policy, baselines

    @property
    def findings(self) -> dict[str, Finding]:
        """Findings by id."""
        from audit.gate import stored

        return dict(stored.read(self.folder).findings)

    def judge(self, policy: str | Path | None = None) -> Judgement:
        """The judgement by this policy, or by --audit-policy."""
        from audit.commands.gate import judged
        from audit.errors import UsageError

        path = Path(policy) if policy is not None else self._policy
        if path is None:
            raise UsageError("no policy to judge by: give one, or name it with --audit-policy.")
        return judged(self.folder, path, self._baselines, None)

    def check(self, policy: str | Path | None = None) -> None:
        """Fail the test where the gate is not met, with the checks that are not."""
        from audit.commands.gate import lines
        from audit.errors import Exit

        judgement = self.judge(policy)
        if judgement.exit != Exit.DONE:
            pytest.fail("\n".join(lines(judgement, "en", False)), pytrace=False)


@pytest.fixture
def audit_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Audited]:
    """`audit_run(*suites, model=..., **settings of a run)` measures and gives an `Audited`; `out` names the folder."""

    def measure(*suites: str, model: str, out: Path | None = None, **settings: Any) -> Audited:
        from audit import plan
        from audit import run as running

        spec = plan.Spec(tuple(map(str, suites)), model, **settings)
        ready = running.start(spec, plan.prepare(spec), out or tmp_path_factory.mktemp("audit") / "run")
        running.measure(ready)
        running.conclude(ready.folder)
        policy = request.config.getoption("--audit-policy")
        baselines = tuple(request.config.getoption("--audit-baseline"))
        return Audited(ready.folder, Path(policy) if policy else None, baselines)

    return measure


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the checks of the runs named with --audit-run."""
    policy, runs = config.getoption("--audit-policy"), config.getoption("--audit-run")
    if runs and not policy:
        raise pytest.UsageError("--audit-run needs --audit-policy")
    for folder in runs:
        items.extend(_checks(session, Path(folder), Path(policy), tuple(config.getoption("--audit-baseline"))))


def _checks(session: pytest.Session, folder: Path, policy: Path, baselines: tuple[str, ...]) -> Iterator[pytest.Item]:
    from audit.commands.gate import judged
    from audit.errors import AuditError

    try:
        judgement = judged(folder, policy, baselines, None)
    except AuditError as error:
        raise pytest.UsageError(str(error)) from error
    for light in judgement.lights:
        yield Check.from_parent(session, name=f"{light.rule.id}: {light.name}", light=light, policy=policy)


class Check(pytest.Item):
    """One rule on one finding as a test."""

    def __init__(self, *, light: Light, policy: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._light, self._policy = light, policy

    def runtest(self) -> None:
        """Pass where met, fail where violated or blocking, skip otherwise."""
        from audit.gate.clean import line

        why = line(f"{self._light.status}: {self._light.why['en']}")
        if self._light.effect in ("violates", "blocks"):
            pytest.fail(why, pytrace=False)
        if self._light.status != "met":
            pytest.skip(why)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the rule stands."""
        return self._policy, 0, self.name
