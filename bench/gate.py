"""How often the whole gate is wrong: run folders in, exit codes out.  Prints one JSON line last.

Each repetition writes the records of two runs of one model (20 probes on the same 400 items; each run changes a share
of the answers at random, as another seed or batch size does), concludes both, and judges the second by 20 regression
rules against the first: once as it is, once after it lost exactly five points on one probe.

    python bench/gate.py [repetitions] [share of answers that change]
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "gate"))

import made

from audit.gate import baseline, judge, stored
from audit.gate import policy as policies

RULES, ITEMS = 20, 400
SHEET = {"probes": [{"probe": f"p{rule}"} for rule in range(RULES)], "measures": ["accuracy"]}
POLICY = "version: 1\nrules:\n" + "".join(
    f"  - {{id: r{rule}, select: {{probe: p{rule}}}, regression: {{max_worse: 0.0}}}}\n" for rule in range(RULES)
)


def records(answers):
    """Records of one run: rightness (rules, items)."""
    rows = []
    for rule, right in enumerate(answers):
        made_rows = made.rows(right, right, entry=f"p{rule}")
        rows += [type(row)(**{**vars(row), "params": {}}) for row in made_rows]
    return rows


def main(repetitions: int, churn: float) -> None:
    rng = np.random.default_rng(0)
    begun, wrong, found, clean = time.time(), 0, 0, 0
    with tempfile.TemporaryDirectory() as home:
        where = Path(home)
        path = made.policy(where / "release.yaml", POLICY)
        policy = policies.read(path)
        for number in range(repetitions):
            right = rng.random(ITEMS) < 0.9
            then, now = (right ^ (rng.random((RULES, ITEMS)) < churn) for _ in range(2))
            lost = now.copy()
            lost[0, rng.permutation(np.flatnonzero(now[0]))[: ITEMS // 20]] = False
            folders = [
                made.folder(where / f"{number}-{name}", records(answers), SHEET)
                for name, answers in (("then", then), ("now", now), ("lost", lost))
            ]
            references = baseline.references(policy.baseline, where, [str(folders[0])])
            today = datetime.date(2026, 1, 1)
            same, worse = (judge(path, policy, stored.read(f), references, today) for f in folders[1:])
            wrong += int(same.exit) == 1
            found += any(light.rule.id == "r0" and light.status == "violated" for light in worse.lights)
            clean += all(light.status != "violated" for light in worse.lights if light.rule.id != "r0")
    row = {
        "repetitions": repetitions,
        "churn": churn,
        "false_failures": wrong / repetitions,
        "found": found / repetitions,
    }
    print(
        json.dumps(
            {"bench": "gate", **row, "others_clean": clean / repetitions, "seconds": round(time.time() - begun, 1)}
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, float(sys.argv[2]) if len(sys.argv) > 2 else 0.002)
