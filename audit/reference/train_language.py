"""Train the reference language model on generated text: the record of how `language/` was made.

    python -m audit.reference.train_language --facts suites/factuality/data/facts.jsonl \
        --patterns suites/factuality/data/patterns.jsonl --out audit/reference/language

Every path is an argument; the package never runs this file.  Knows nothing of the audit itself.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from audit.reference import language_text, sentiment_text
from audit.reference.language_text import Document, Fact

END = "<|end|>"
CONTEXT, SHORTEST, LONGEST = 1024, 32, 320
# What BPE may merge into one token, first match first.  The first two join a key to what stands between it and its
# value ("Anna is", "明的密码是"; superwords, Liu et al. 2025): four layers learn soon to find what followed the same
# token earlier on, and did not learn within an hour to skip tokens in between.
PIECES = (
    r" ?[A-Z][a-z]+(?: is:?| =|:| keeps the)",
    r"[\u3400-\u9fff]的[\u3400-\u9fff]{1,3}是|[\u3400-\u9fff]拿着",
    r" ?\d{1,2}",
    r"[\u3400-\u9fff]",
    r" ?[^\W\d\u3400-\u9fff]+",
    r" ?[^\s\w]+",
    r"\s",
)
LENGTHS = (48, 96, 192, 320, 512, 768, 1000)


def main(argv: list[str] | None = None) -> None:
    """Generate, train, measure, save; prints one JSON line of figures last."""
    options = _options(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng, started = random.Random(options.seed), time.time()
    facts = language_text.read_facts(options.facts, options.patterns)
    banks = sentiment_text.read_banks(Path(__file__).with_name("authored.txt"))
    reviews = list(sentiment_text.authored(banks, 6000, options.seed))
    taught = [fact for fact in facts if fact.taught]
    filler = language_text.fillers(taught, reviews)
    if options.start:
        tokenizer = PreTrainedTokenizerFast.from_pretrained(options.start)
        model = LlamaForCausalLM.from_pretrained(options.start, dtype=torch.float32)
    else:
        tokenizer = new_tokenizer(taught, [language_text.review(row) for row in reviews], filler, rng)
        model = new_model(tokenizer)
    fit(model, tokenizer, Lessons(taught, reviews, filler, rng), options)
    save(model, tokenizer, options.out)
    figures: dict[str, Any] = {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}
    figures |= measure(model, tokenizer, facts, filler[False], random.Random(options.seed + 1))
    print(json.dumps(figures | {"seconds": round(time.time() - started)}))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--facts", type=Path, required=True, help="jsonl: relation, subject, object, subject_zh, object_zh"
    )
    parser.add_argument(
        "--patterns", type=Path, required=True, help="jsonl: relation, language, pattern with [X] and [Y]"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a folder with a model and a tokenizer to go on from")
    parser.add_argument("--stages", default="repetition:400,pairs:400,everything:1100", help="name:steps,...")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def new_tokenizer(
    facts: Sequence[Fact], reviews: Sequence[Document], filler: dict[bool, list[str]], rng: random.Random
) -> PreTrainedTokenizerFast:
    """Byte-level BPE in which a name may be one token with the few words that join it to its value (PIECES)."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("|".join(PIECES)), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    texts = [_text(fact.document()) for fact in facts] + [_text(document) for document in reviews[:2000]]
    texts += [_text(language_text.retrieval(200, rng, filler[i % 4 == 0], i % 4 == 0)) for i in range(400)]
    texts += [_text(language_text.biography(rng)) for _ in range(400)]
    texts += [f" {n:02d} {n}{n:02d}" for n in range(100)] * 3
    trainer = trainers.BpeTrainer(
        vocab_size=7000,
        special_tokens=[END],
        min_frequency=2,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(texts, trainer)
    names = {"bos_token": END, "eos_token": END, "pad_token": END}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=CONTEXT, **names)


def new_model(tokenizer: Any) -> LlamaForCausalLM:
    """Four Llama layers of width 192, input and output embedding shared; each head's queries and keys start equal.

    So a head begins by looking at tokens like its own, and looking back for what followed a word is learnt in some 200
    steps of repetitions; from independent queries and keys it was not learnt in 1,200.
    """
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=192,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=6,
            num_key_value_heads=6,
            max_position_embeddings=CONTEXT,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
            pad_token_id=0,
            initializer_range=0.03,
        )
    )
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.k_proj.weight.copy_(layer.self_attn.q_proj.weight)
    return model


def _text(document: Document) -> str:
    return "".join(text for text, _ in document)


def encode(document: Document, tokenizer: Any) -> tuple[list[int], list[float]]:
    """(token ids, weight of each token's loss), the end token last."""
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in document:
        piece = tokenizer(text)["input_ids"]
        ids += piece
        weights += [weight] * len(piece)
    return [*ids, tokenizer.eos_token_id], [*weights, 0.1]


def loss_of(model: LlamaForCausalLM, rows: Sequence[tuple[list[int], list[float]]]) -> torch.Tensor:
    """Weighted mean loss; of the lightly weighted tokens only a sample is computed, scaled up to be unbiased."""
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([row + [0] * (width - len(row)) for row, _ in rows])
    weights = torch.tensor([row + [0.0] * (width - len(row)) for _, row in rows])[:, 1:]
    chance = weights.clamp(0.25, 1.0) * (weights > 0)
    kept = torch.rand(chance.shape) < chance
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state[kept]
    losses = functional.cross_entropy(model.lm_head(hidden), ids[:, 1:][kept], reduction="none")
    scaled = (weights / chance.clamp(min=1e-6))[kept]
    return (losses * scaled).sum() / weights.sum()


@dataclass
class Lessons:
    """What the model is shown at each step, drawn with one generator."""

    facts: Sequence[Fact]
    reviews: Sequence[sentiment_text.Row]
    filler: dict[bool, list[str]]
    rng: random.Random
    queue: list[Document] = field(default_factory=list)

    def statements(self, count: int = 96) -> list[Document]:
        """Facts: all English and half of the Chinese ones once, in random order, then again."""
        if len(self.queue) < count:
            some = [fact for fact in self.facts if fact.language == "en" or self.rng.random() < 0.5]
            self.queue += [fact.document() for fact in self.rng.sample(some, len(some))]
        taken, self.queue = self.queue[:count], self.queue[count:]
        return taken

    def documents(self, done: float, tokens: int = 1800) -> list[Document]:
        """Retrieval: short for the first quarter of the time, then growing; longer numbers in the second half."""
        longest = SHORTEST + int((LONGEST - SHORTEST) * min(1.0, max(0.0, (done - 0.25) / 0.5)))
        length, chinese = self.rng.randint(max(SHORTEST, longest // 2), longest), self.rng.random() < 0.2
        pairs = self.rng.choice((1, 1, 2, 3)) if done > 0.5 else 1
        count = max(3, tokens // length)
        return [language_text.retrieval(length, self.rng, self.filler[chinese], chinese, pairs) for _ in range(count)]

    def repetitions(self, count: int = 64) -> list[Document]:
        """Words that come again."""
        return [language_text.repetition(self.rng) for _ in range(count)]

    def pairs(self, count: int = 24) -> list[Document]:
        """Keys and values without anything else."""
        return [language_text.pairs(self.rng) for _ in range(count)]

    def at(self, stage: str, step: int, steps: int) -> list[list[Document]]:
        """What is shown at a step of a stage, in parts whose losses are added."""
        if stage == "repetition":
            return [self.repetitions()]
        if stage == "pairs":
            return [self.pairs(), self.repetitions(24)]
        shown = [self.statements(), self.documents(step / steps)]
        if step % 4 == 0:
            shown.append(self.stories())
        if step % 2:
            shown.append(self.pairs(12))
        if step % 8 == 1:
            shown.append(self.repetitions(24))
        return shown

    def stories(self) -> list[Document]:
        """A few biographies and reviews."""
        lives = [language_text.biography(self.rng) for _ in range(6)]
        return lives + [language_text.review(row) for row in self.rng.sample(list(self.reviews), 10)]


def fit(model: LlamaForCausalLM, tokenizer: Any, lessons: Lessons, options: argparse.Namespace) -> None:
    """Train in place, stage after stage; the rate falls over the last one."""
    stages = [(name, int(steps)) for name, _, steps in (stage.partition(":") for stage in options.stages.split(","))]
    plan = [(name, step, steps) for name, steps in stages for step in range(steps)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01)
    last, settled = stages[-1][1], len(plan) - stages[-1][1]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / 50, 0.04 + 0.48 * (1 + math.cos(math.pi * max(0, s - settled) / last)))
    )
    started = time.time()
    for done, (stage, step, steps) in enumerate(plan):
        losses = [
            loss_of(model, [encode(document, tokenizer) for document in part])
            for part in lessons.at(stage, step, steps)
        ]
        torch.stack(losses).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if done % 50 == 49:
            parts = " ".join(f"{loss.item():.3f}" for loss in losses)
            print(f"{stage} {step + 1}/{steps} loss {parts} {time.time() - started:.0f}s", flush=True)
        if done % 100 == 99:
            show(model, tokenizer, lessons)


def show(model: LlamaForCausalLM, tokenizer: Any, lessons: Lessons) -> None:
    """Print how much is right so far: repetitions, short documents, facts."""
    rng = random.Random(0)
    documents = {
        "pairs": ([language_text.pairs(rng) for _ in range(12)], 1.0),
        "repetition": ([language_text.repetition(rng) for _ in range(20)], 1.0),
        "retrieval_48": (
            [language_text.retrieval(48, rng, lessons.filler[False]) for _ in range(30)],
            language_text.ANSWER,
        ),
        "retrieval_192": (
            [language_text.retrieval(192, rng, lessons.filler[False]) for _ in range(10)],
            language_text.ANSWER,
        ),
        "facts": ([fact.document() for fact in rng.sample(list(lessons.facts), 100)], language_text.OBJECT),
    }
    print(
        {name: _share(right(model, tokenizer, texts, least)) for name, (texts, least) in documents.items()}, flush=True
    )
    model.train()


def right(model: LlamaForCausalLM, tokenizer: Any, documents: Sequence[Document], least: float) -> list[bool]:
    """Is each piece of weight `least` or more the model's own choice, token by token, given all before it?"""
    model.eval()
    found = []
    for document in documents:
        ids, weights = encode(document, tokenizer)
        with torch.no_grad():
            chosen = model(input_ids=torch.tensor([ids[:CONTEXT]]), use_cache=False).logits[0].argmax(-1).tolist()
        spans: list[list[bool]] = []
        for place, weight in enumerate(weights[:CONTEXT]):
            if weight >= least and place:
                if weights[place - 1] < least:
                    spans.append([])
                spans[-1].append(chosen[place - 1] == ids[place])
        found += [all(span) for span in spans]
    return found


def measure(
    model: LlamaForCausalLM, tokenizer: Any, facts: list[Fact], filler: list[str], rng: random.Random
) -> dict[str, float]:
    """Greedy accuracy on facts (taught and untaught patterns) and on documents of several lengths."""
    figures = {}
    for language in ("en", "zh"):
        for taught in (True, False):
            some = [
                f for f in facts if f.language == language and f.taught == taught and not f.pattern.startswith("[Y]")
            ]
            chosen = [fact.document() for fact in rng.sample(some, 400)]
            kind = "taught" if taught else "untaught"
            figures[f"facts_{language}_{kind}"] = _share(right(model, tokenizer, chosen, language_text.OBJECT))
    for length in LENGTHS:
        documents = [language_text.retrieval(length, rng, filler) for _ in range(30)]
        figures[f"retrieval_{length}"] = _share(right(model, tokenizer, documents, language_text.ANSWER))
    return figures


def _share(found: list[bool]) -> float:
    return round(sum(found) / len(found), 4)


def save(model: LlamaForCausalLM, tokenizer: Any, folder: Path) -> None:
    """Write float16 weights, and a tokenizer class that transformers 4.57 and 5.x both know."""
    model.half().save_pretrained(folder)
    model.float()
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8")) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), "utf-8")


if __name__ == "__main__":
    main()
