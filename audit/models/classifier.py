"""The sequence-classification head: any `...ForSequenceClassification` with one label a text.  Knows no probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from audit.errors import CannotMeasure
from audit.models import LoadOptions
from audit.models.labels import label_map
from audit.models.rows import NOT_FINITE, counted, each, embed, inputs, overlong, refused
from audit.models.saliency import Flipper, saliency, watch
from audit.models.source import Source
from audit.models.tokens import Row
from audit.models.weights import Weights, open_weights
from audit.types import Answer, Classify, Embed, Failed, Gradient, Labels, Request, Tokens


class Classifier:
    """Answers `Classify` (texts and pairs), `Embed` (mean of the last hidden states) and, with offsets, `Gradient`."""

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = weights = open_weights(source, "AutoModelForSequenceClassification", options)
        self.about = weights.about
        own = label_names(weights, source)
        self.labels = label_map(own, options.labels, source.reference)
        # One log-odds logit becomes the two columns (0, z), whose softmax is (1 - p, p).
        self.one_logit = int(weights.config.num_labels) == 1
        self.answers: frozenset[type[Request]] = frozenset({Classify, Embed, Gradient, Tokens})
        if not weights.encoder.fast:
            self.answers -= {Gradient}
            self.about["notes"].append("a slow tokenizer keeps no offsets, so it cannot answer Gradient")
        self.about["labels"] = list(self.labels.names)
        self.flipper: Flipper | None = None
        self.known: dict[tuple[object, ...], Answer] = {}

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        weights, first = self.weights, batch[0] if batch else None
        if isinstance(first, Gradient):
            return self.gradients(cast(list[Gradient], batch))
        if isinstance(first, Classify):
            asked = cast(list[Classify], batch)
            rows = weights.encoder.encode([r.text for r in asked], [r.pair for r in asked])
            return each(weights, rows, self.classify, self.known)
        if isinstance(first, Tokens):
            return counted(weights.encoder.whole([r.text for r in cast(list[Tokens], batch)]))
        rows = weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(weights, rows, lambda part: embed(weights, part)) if rows else []

    def classify(self, rows: Sequence[Row]) -> list[Answer]:
        """Labels for one micro-batch."""
        with torch.inference_mode():
            logits = self.logits(inputs(self.weights, rows, self.weights.left))
            finite = torch.isfinite(logits).all(-1).tolist()
            merged, probs = logits.tolist(), logits.softmax(-1).tolist()
        answers: list[Answer] = []
        for row, ok, values, shares in zip(rows, finite, merged, probs, strict=True):
            if ok:
                answers.append(
                    Labels(tuple(shares), self.labels.names, tuple(values), dropped=row.dropped, unknown=row.unknown)
                )
            else:
                answers.append(Failed(f"the model's logits {NOT_FINITE}", dropped=row.dropped))
        return answers

    def gradients(self, batch: list[Gradient]) -> list[Answer]:
        """Saliency of each text for its label; a label that the model does not have is `Failed`."""
        encoder = self.weights.encoder
        rows = encoder.encode([r.text for r in batch])
        if self.flipper is None and any(r.flips for r in batch):
            self.flipper = Flipper(self.weights.model, encoder.tokenizer)

        def work(part: list[int]) -> list[Answer]:
            known = [i for i in part if batch[i].label in self.labels.names and not refused(self.weights, rows[i])]
            targets = [self.labels.names.index(batch[i].label) for i in known]
            found = iter(self.slopes([rows[i] for i in known], targets) if known else [])
            said = {i: saliency(batch[i], rows[i], encoder, next(found), self.flipper) for i in known}
            return [said.get(i) or self.unaskable(batch[i], rows[i]) for i in part]

        return self.weights.batcher.run([2 * len(row.ids) for row in rows], work)

    def unaskable(self, request: Gradient, row: Row) -> Answer:
        """Why a gradient is not computed."""
        if request.label in self.labels.names:
            return overlong(self.weights, row)
        return Failed(f"the model has no label {request.label!r} (it has {', '.join(self.labels.names)})")

    def slopes(self, rows: Sequence[Row], targets: list[int]) -> list[torch.Tensor]:
        """For each row, d(-log p(target)) / d(input embedding): (tokens, width), float32."""
        with torch.enable_grad(), watch(self.weights.model.get_input_embeddings()) as seen:
            logits = self.logits(inputs(self.weights, rows, self.weights.left))
            at = torch.tensor(targets, device=logits.device)
            torch.nn.functional.cross_entropy(logits, at, reduction="sum").backward()
            gradient = seen[0].grad
        if gradient is None:
            raise RuntimeError("no gradient reached the input embeddings")
        width = gradient.shape[1]
        starts = [width - len(row.ids) if self.weights.left else 0 for row in rows]
        return [g[s : s + len(row.ids)].float() for g, s, row in zip(gradient, starts, rows, strict=True)]

    def logits(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Float32 logits (rows, names), merged by log-sum-exp where several labels got one name."""
        logits: torch.Tensor = self.weights.model(**inputs).logits.float()
        if self.one_logit:
            logits = torch.cat([torch.zeros_like(logits), logits], -1)
        if self.labels.plain:
            return logits
        return torch.stack([logits[:, list(columns)].logsumexp(-1) for columns in self.labels.columns], -1)


def label_names(weights: Weights, source: Source) -> list[str]:
    """The model's labels, in column order; CannotMeasure for a model that does not choose one of them."""
    config = weights.config
    if config.problem_type == "multi_label_classification" and config.num_labels > 1:
        raise CannotMeasure(
            f"{source.folder} is a multi-label classifier: its {config.num_labels} labels are independent yes/no "
            "answers whose probabilities do not sum to 1, so `which label?` has no answer; audit a single-label "
            "classifier, or save one yes/no model for each label of interest"
        )
    if config.problem_type == "regression" or (config.num_labels == 1 and config.problem_type is None):
        raise CannotMeasure(
            f"{source.folder} is a regression model (one number, no labels), which has no answer to `which label?`; if "
            'its one logit is the log-odds of a label, set "problem_type": "multi_label_classification" in config.json'
        )
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    return [f"not {names[0]}", names[0]] if len(names) == 1 else names
