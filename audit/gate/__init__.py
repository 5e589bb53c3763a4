"""Stored results against a policy: verdicts, an exit code, and files that CI systems read.  Asks no model anything.

`gate.json`, written beside run.json, is the contract; text, JUnit, SARIF, Markdown and annotations project from it:

    schema      1
    state       "met" | "violated" | "undecided" | "nothing"
    exit        0 | 1 | 4 | 5 (audit.errors.Exit; the text and the exit code come from this one object)
    summary     {en, zh}: one sentence for the top of the page
    policy      {name, file, hash, confidence, corrected}: `corrected` counts the comparisons of Holm's family
    run         {id, model, revision, weights_hash, findings, noise}: the SHA-256 of the findings.json that was judged
                and of the noise.json it was judged by (null without one); where they change, so must the judgement
    baselines   [{name ("previous" | "pinned"), source, id, model, revision, reason, missing ({en, zh} or null)}]
    counts      {violated, inconclusive, not_run, error, not_comparable, waived, met, blocking}: of verdicts
    rules       [{id, kind ("limit" | "regression"), level ("fail" | "warn" | "info"), status (its worst verdict's),
                  effect ("violates" | "blocks" | "warns" | "passes"), text {en, zh}, line, cells}]
    verdicts    [{rule, finding, baseline ("" for limits), level, status, effect, why {en, zh},
                  value, low, high, n, limit, unit, p_adjusted, needed, waiver (reason or "")}]
                `value` of a regression is how much worse the run is than the baseline, in the measure's unit
    waivers     [{rule, finding, reason, owner, approved_by, expires, max_value, state}]
                `state` is "active" | "expired" | "exceeded" | "unused"
    changes     {baseline name: [{finding, verdict ("worse" | "better" | "no_detectable_change" | "not_comparable"),
                  before, after, value, low, high, n, unit, unpaired, worsened, improved, p_adjusted, why {en, zh}}]}
                `value` is after - before; `worsened` and `improved` count items
"""

from audit.gate.judge import Judgement, Light, judge
from audit.gate.policy import Policy
from audit.gate.stored import Stored

__all__ = ["Judgement", "Light", "Policy", "Stored", "judge"]
