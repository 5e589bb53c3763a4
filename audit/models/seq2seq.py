"""The sequence-to-sequence head: log-probabilities of targets, and generated text.  Knows no probe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from transformers.modeling_outputs import BaseModelOutput

from audit.errors import CannotMeasure, RequestFailed
from audit.models import LoadOptions
from audit.models.batches import padded
from audit.models.chat import Chat
from audit.models.generate import generate, plain_settings
from audit.models.picked import at_lanes
from audit.models.rows import NOT_FINITE, counted, each, embed, inputs, pad_id
from audit.models.source import Source
from audit.models.tokens import Row, clean
from audit.models.weights import open_weights
from audit.types import Answer, Embed, Failed, Generate, LogProb, Number, Request, Tokens


class Seq2seq:
    """Answers `LogProb` (of a target, without its end token), `Generate` and `Embed` (mean of the encoder's states)."""

    answers: frozenset[type[Request]] = frozenset({LogProb, Generate, Embed, Tokens})

    def __init__(self, source: Source, options: LoadOptions) -> None:
        self.weights = weights = open_weights(source, "AutoModelForSeq2SeqLM", options)
        self.about = weights.about
        self.chat = Chat(weights.encoder.tokenizer, options.chat, source.reference)
        self.about["chat_template"] = self.chat.hash
        self.about["notes"] += plain_settings(weights.model, weights.encoder.tokenizer)
        self.about["prefix_reuse"] = "on: an input is encoded once for all its targets"
        self.overlong = options.overlong or "error"
        settings = weights.model.generation_config
        starts = (settings.decoder_start_token_id, settings.bos_token_id)
        first = next((token for token in starts if token is not None), None)
        if first is None:
            raise CannotMeasure(f"{source.folder} names no decoder_start_token_id in config.json: add the model's own")
        self.start: int = first

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; the batch holds one kind."""
        first = batch[0] if batch else None
        if isinstance(first, LogProb):
            return self.log_probs(cast(list[LogProb], batch))
        if isinstance(first, Generate):
            return self.texts(cast(list[Generate], batch))
        if isinstance(first, Tokens):
            return counted(self.weights.encoder.whole([r.text for r in cast(list[Tokens], batch)]))
        rows = self.weights.encoder.encode([r.text for r in cast(list[Embed], batch)])
        return each(self.weights, rows, lambda part: embed(self.weights, part)) if rows else []

    def log_probs(self, batch: list[LogProb]) -> list[Answer]:
        """Log-probability of each text as the target of its prefix; equal prefixes are encoded once."""
        # A prefix's last spaces belong to the text (as in lm-evaluation-harness).
        kept = [r.prefix.rstrip() for r in batch]
        rows, answers = self.sources([(prefix, ()) for prefix in kept])
        targets = self.targets([r.text and r.prefix[len(p) :] + r.text for r, p in zip(batch, kept, strict=True)])
        limit = self.weights.encoder.context
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, ids in enumerate(targets):
            if not ids:
                answers[i] = answers[i] or Failed("the text has no token, so it has no probability")
            elif limit and len(ids) > limit:
                answers[i] = answers[i] or Failed(f"{len(ids)} tokens of text are more than the model's {limit}")
            if answers[i] is None:
                groups.setdefault(tuple(rows[i].ids), []).append(i)
        units = list(groups.values())
        lengths = [max(len(rows[u[0]].ids), len(u) * max(len(targets[i]) for i in u)) for u in units]

        def work(part: list[int]) -> list[Answer]:
            some = [units[n] for n in part]
            lanes = [(n, i) for n, unit in enumerate(some) for i in unit]
            values = self.score([rows[u[0]] for u in some], [n for n, _ in lanes], [targets[i] for _, i in lanes])
            for (_, i), value in zip(lanes, values, strict=True):
                answers[i] = (
                    Number(value, len(targets[i]), dropped=rows[i].dropped, unknown=rows[i].unknown)
                    if math.isfinite(value)
                    else Failed(f"the model's logits {NOT_FINITE}")
                )
            return [Number(0.0)] * len(part)

        for unit, done in zip(units, self.weights.batcher.run(lengths, work), strict=True):
            if isinstance(done, Failed):
                for i in unit:
                    answers[i] = done
        return [answer for answer in answers if answer is not None]

    def score(self, sources: list[Row], owner: list[int], targets: list[tuple[int, ...]]) -> list[float]:
        """One sum a target; `owner` is the source (its index) of each."""
        weights = self.weights
        made = inputs(weights, sources)
        index = torch.tensor(owner, device=weights.device)
        fill = pad_id(weights, [row.ids for row in sources])
        before, _ = padded([(self.start, *ids[:-1]) for ids in targets], fill, weights.device)
        with torch.inference_mode():
            states = weights.model.get_encoder()(**made).last_hidden_state[index]
            asked: dict[str, Any] = {"decoder_input_ids": before, "use_cache": False}
            if "attention_mask" in made:
                asked["attention_mask"] = made["attention_mask"][index]
            logits = weights.model(encoder_outputs=BaseModelOutput(last_hidden_state=states), **asked).logits
            return at_lanes(logits, list(range(len(targets))), targets)

    def targets(self, texts: list[str]) -> list[tuple[int, ...]]:
        """Target tokens, without special ones (a target vocabulary of its own is used where there is one)."""
        made = self.weights.encoder.tokenizer(
            text_target=list(map(clean, texts)), add_special_tokens=False, verbose=False
        )
        return [tuple(ids) for ids in made["input_ids"]]

    def sources(self, asked: Sequence[tuple[str, Any]]) -> tuple[list[Row], list[Answer | None]]:
        """Encoder rows, and an answer already where one cannot be asked."""
        texts: list[str] = []
        answers: list[Answer | None] = []
        for prompt, messages in asked:
            try:
                texts.append(self.chat.text(prompt, messages)[0])
                answers.append(None)
            except RequestFailed as error:
                texts.append("")
                answers.append(Failed(str(error)))
        rows = self.weights.encoder.encode(texts)
        limit = self.weights.encoder.context
        for i, row in enumerate(rows):
            if row.dropped and self.overlong != "truncate":
                why = f"{len(row.ids) + row.dropped} tokens are more than the model's {limit}"
                answers[i] = answers[i] or Failed(why, self.overlong == "skip", dropped=row.dropped)
        return rows, answers

    def texts(self, batch: list[Generate]) -> list[Answer]:
        """The text that follows from each prompt."""
        rows, answers = self.sources([(r.prompt, r.messages) for r in batch])
        open_ = [i for i, answer in enumerate(answers) if answer is None]

        def work(part: list[int]) -> list[Answer]:
            some = [open_[n] for n in part]
            made = inputs(self.weights, [rows[i] for i in some])
            fill = pad_id(self.weights, [rows[i].ids for i in some])
            tokenizer = self.weights.encoder.tokenizer
            return generate(self.weights.model, tokenizer, [batch[i] for i in some], made, fill)

        done = self.weights.batcher.run([len(rows[i].ids) + batch[i].limit for i in open_], work)
        for i, answer in zip(open_, done, strict=True):
            answers[i] = replace(answer, dropped=rows[i].dropped, unknown=rows[i].unknown)
        return [answer for answer in answers if answer is not None]
