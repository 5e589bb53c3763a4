"""Train the reference sentiment classifier by distilling a larger one: the record of how `sentiment/` was made.

    python -m audit.reference.train_sentiment --mr sentence_polarity.zip --held-out-ids mr_test_ids.json \
        --sst2 SST2_FOLDER --subjectivity subjectivity.zip --products product_reviews_1.zip --xed en-annotated.tsv \
        --held-out suites/robustness/data/sentiment.en.jsonl --teacher TEACHER_FOLDER --out audit/reference/sentiment

Every path is an argument; the package never runs this file.  Knows nothing of the audit itself.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer, ElectraForSequenceClassification

from audit.reference import sentiment_student, sentiment_text
from audit.reference.sentiment_text import Row

GOLD = {"mr": 1.0, "sst2": 1.0, "products": 1.0, "xed": 1.0, "authored": 1.0}
REPEATS = {"mr": 0.5, "sst2": 0.5, "subjectivity": 0.5, "products": 1.0, "authored": 0.5}
WIDENING = {"mr": 1500, "sst2": 1000, "products": 1500, "xed": 1000, "authored": 5000}
SMOOTHING = 0.06
DEVELOPMENT = 500


def main(argv: list[str] | None = None) -> None:
    """Read, exclude, label, train, save; prints one JSON line of figures last."""
    options = _options(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    started = time.time()
    train, tests, facts = gather(options)
    teacher = AutoModelForSequenceClassification.from_pretrained(options.teacher, dtype=torch.float32).eval()
    reader = AutoTokenizer.from_pretrained(options.teacher)
    widen(teacher, reader, train, options)
    print("teacher on other domains", accuracy(teacher, reader, tests["check"]), flush=True)
    rows = train + augment(train, _neighbours(teacher, reader, train), options.seed)
    margins = label([row.text for row in rows if _teachable(row)], teacher, reader)
    tokenizer = sentiment_student.new_tokenizer(reader, [row.text for row in train], options.vocabulary)
    student = sentiment_student.new_student(tokenizer, teacher, reader, [row.text for row in train[::200]])
    mixed = random.Random(options.seed).sample([row.text for row in rows], min(len(rows), options.matched))
    sentiment_student.match(student, teacher, tokenizer, reader, mixed)
    facts |= {"texts": len(rows), "parameters": sum(p.numel() for p in student.parameters())}
    print(json.dumps(facts), flush=True)
    fit(student, tokenizer, rows, targets(rows, margins), options, tests)
    sentiment_student.save(student, tokenizer, options.out)
    for name, held_out in tests.items():
        facts[f"accuracy_{name}"] = round(accuracy(student, tokenizer, held_out), 4)
    print(json.dumps(facts | {"seconds": round(time.time() - started)}))


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mr", type=Path, required=True, help="zip of the MR sentence polarity data")
    parser.add_argument(
        "--held-out-ids", type=Path, required=True, help='JSON {"ids": ["pos:753", ...]}, never trained on'
    )
    parser.add_argument(
        "--held-out", type=Path, nargs="*", default=[], help="jsonl files whose `text` is never trained on"
    )
    parser.add_argument("--sst2", type=Path, required=True, help="folder of train.tsv, dev.tsv, test.tsv")
    parser.add_argument("--subjectivity", type=Path, required=True)
    parser.add_argument("--products", type=Path, required=True)
    parser.add_argument("--xed", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="folder of a BERT sentiment classifier")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--authored", type=int, default=20000, help="how many authored reviews to generate")
    parser.add_argument("--vocabulary", type=int, default=12000)
    parser.add_argument("--matched", type=int, default=32000, help="texts to match hidden states on")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=2048, help="tokens a step")
    parser.add_argument("--rate", type=float, default=4e-4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(argv)


def gather(options: argparse.Namespace) -> tuple[list[Row], dict[str, list[Row]], dict[str, Any]]:
    """(rows to train on, held-out rows by name, counts for the model card)."""
    ids = frozenset(json.loads(options.held_out_ids.read_text("utf-8"))["ids"])
    mr, test = sentiment_text.read_mr(options.mr, ids)
    public = mr + sentiment_text.read_sst2(options.sst2) + sentiment_text.read_subjectivity(options.subjectivity)
    public += sentiment_text.read_products(options.products) + sentiment_text.read_xed(options.xed)
    bank = sentiment_text.read_banks(Path(__file__).with_name("authored.txt"))
    own = list(dict.fromkeys(sentiment_text.authored(bank, options.authored, options.seed)))
    held_out = sentiment_text.HeldOut([row.text for row in test])
    kept, excluded = sentiment_text.without(public, held_out)
    random.Random(options.seed).shuffle(kept)
    development = [row for row in kept if row.source == "mr"][:DEVELOPMENT]
    kept, _ = sentiment_text.without(kept, sentiment_text.HeldOut([row.text for row in development]))
    others = sentiment_text.held_out_texts(options.held_out)
    kept, excluded_others = sentiment_text.without(kept + own, sentiment_text.HeldOut(others))
    counts: dict[str, int] = {}
    for row in kept:
        counts[row.source] = counts.get(row.source, 0) + 1
    facts = {"trained_on": counts, "excluded_mr_test": excluded, "excluded_others": excluded_others}
    check = sentiment_text.read_lines(Path(__file__).with_name("authored_check.txt"))
    return kept, {"development": development, "check": check, "mr_test": test}, facts


def widen(teacher: Any, reader: Any, rows: list[Row], options: argparse.Namespace) -> None:
    """Teach the film teacher's two upper layers, in place, gold labels of every source, to label other domains."""
    rng = random.Random(options.seed)
    chosen = [r for s, n in WIDENING.items() for r in [x for x in rows if x.source == s and x.label is not None][:n]]
    for parameter in teacher.parameters():
        parameter.requires_grad_(False)
    parts = [*teacher.base_model.encoder.layer[-2:], teacher.base_model.pooler, teacher.classifier]
    weights = [p for part in parts for p in part.parameters()]
    for parameter in weights:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(weights, lr=1e-4)
    teacher.train()
    started = time.time()
    for batch in batches([len(r.text) // 5 for r in chosen], 700, rng):
        texts, wanted = [chosen[i].text for i in batch], torch.tensor([chosen[i].label for i in batch])
        inputs = reader(texts, padding=True, truncation=True, max_length=128, return_tensors="pt")
        functional.cross_entropy(teacher(**inputs).logits, wanted, label_smoothing=0.05).backward()
        optimiser.step()
        optimiser.zero_grad()
    teacher.eval().requires_grad_(False)
    print(f"teacher widened on {len(chosen)} rows in {time.time() - started:.0f}s", flush=True)


def _neighbours(teacher: Any, reader: Any, rows: list[Row], count: int = 8) -> dict[str, list[str]]:
    """For each frequent word that is one piece to the teacher, the nearest such words in its embedding."""
    seen: dict[str, int] = {}
    for row in rows:
        for word in sentiment_text.words(row.text):
            seen[word] = seen.get(word, 0) + 1
    pieces = reader.get_vocab()
    known = [word for word, times in seen.items() if times >= 3 and word in pieces]
    vectors = teacher.get_input_embeddings().weight.detach()[[pieces[word] for word in known]]
    vectors = functional.normalize(vectors - vectors.mean(0), dim=-1)
    near: dict[str, list[str]] = {}
    for start in range(0, len(known), 1024):
        best = (vectors[start : start + 1024] @ vectors.T).topk(count + 1).indices[:, 1:]
        for word, row_ in zip(known[start : start + 1024], best.tolist(), strict=True):
            near[word] = [known[i] for i in row_]
    return near


def augment(rows: list[Row], near: dict[str, list[str]], seed: int) -> list[Row]:
    """New unlabelled texts: words put in place of near ones, spans of a sentence, two sentences in a row."""
    rng = random.Random(seed)
    made: list[Row] = []
    for row in rows:
        if rng.random() >= REPEATS.get(row.source, 0):
            continue
        parts = row.text.split()
        if rng.random() < 0.4 and len(parts) > 6:
            start = rng.randrange(len(parts) - 3)
            parts = parts[start : start + rng.randint(3, 12)]
        else:
            parts = [rng.choice(near[w]) if w in near and rng.random() < 0.25 else w for w in parts]
        if rng.random() < 0.05:
            parts += rng.choice(rows).text.split()
        made.append(Row(" ".join(parts), None, row.source))
    return made


def _teachable(row: Row) -> bool:
    return row.label is None or GOLD[row.source] < 1


def label(texts: list[str], teacher: Any, reader: Any) -> dict[str, float]:
    """The teacher's logit of positive less that of negative for each text, float32."""
    known: dict[str, float] = {}
    wanted = sorted(set(texts), key=len)
    for start in range(0, len(wanted), 48):
        batch = wanted[start : start + 48]
        inputs = reader(batch, padding=True, truncation=True, max_length=128, return_tensors="pt")
        with torch.no_grad():
            logits = teacher(**inputs).logits
        known |= dict(zip(batch, (logits[:, 1] - logits[:, 0]).tolist(), strict=True))
        if start % 9600 == 0:
            print(f"labelled {start}/{len(wanted)}", flush=True)
    return known


def targets(rows: list[Row], margins: dict[str, float]) -> list[float]:
    """Probability of positive to learn: the teacher's, drawn towards the gold label by its source's weight."""
    wanted = []
    for row in rows:
        soft = float(torch.sigmoid(torch.tensor(margins[row.text] / 1.5))) if _teachable(row) else 0.5
        weight = GOLD[row.source] if row.label is not None else 0.0
        gold = SMOOTHING + (1 - 2 * SMOOTHING) * (row.label or 0)
        wanted.append((1 - weight) * soft + weight * gold)
    return wanted


def batches(lengths: list[int], tokens: int, rng: random.Random) -> Iterator[list[int]]:
    """Indices in batches of similar length, `tokens` padded tokens each, in random order."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i] + rng.random() * 4)
    made: list[list[int]] = [[]]
    for i in order:
        if made[-1] and (len(made[-1]) + 1) * (lengths[i] + 4) > tokens:
            made.append([])
        made[-1].append(i)
    rng.shuffle(made)
    yield from made


def fit(
    student: ElectraForSequenceClassification,
    tokenizer: Any,
    rows: list[Row],
    wanted: list[float],
    options: argparse.Namespace,
    tests: dict[str, list[Row]],
) -> None:
    """Train in place: AdamW, linear warm-up and decay, random position offsets, word dropout."""
    rng = random.Random(options.seed)
    encoded = tokenizer([row.text for row in rows], truncation=True, max_length=192)["input_ids"]
    lengths = [len(ids) for ids in encoded]
    per_epoch = sum(1 for _ in batches(lengths, options.tokens, random.Random(0)))
    total = per_epoch * options.epochs
    optimiser = torch.optim.AdamW(student.parameters(), lr=options.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min((s + 1) / (0.1 * total), max(0.02, (total - s) / (0.9 * total)))
    )
    started, step, running = time.time(), 0, 0.0
    for epoch in range(options.epochs):
        student.train()
        for batch in batches(lengths, options.tokens, rng):
            inputs = sentiment_student.pad([encoded[i] for i in batch], tokenizer, rng)
            logits = student(**inputs).logits
            margin = logits[:, 1] - logits[:, 0]
            loss = functional.binary_cross_entropy_with_logits(margin, torch.tensor([wanted[i] for i in batch]))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            step, running = step + 1, 0.98 * running + 0.02 * loss.item()
            if step % 200 == 0:
                print(f"{step}/{total} loss {running:.4f} {time.time() - started:.0f}s", flush=True)
        scores = [f"{name} {accuracy(student, tokenizer, tests[name]):.4f}" for name in ("development", "check")]
        print(f"epoch {epoch + 1}:", *scores, flush=True)


def accuracy(model: Any, tokenizer: Any, rows: list[Row]) -> float:
    """Share of rows whose more probable label is the gold one."""
    model.eval()
    right = 0
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        inputs = tokenizer([r.text for r in batch], padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            found = model(**inputs).logits.argmax(-1)
        right += int((found == torch.tensor([r.label for r in batch])).sum())
    return right / len(rows)


if __name__ == "__main__":
    main()
