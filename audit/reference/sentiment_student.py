"""The student of `train_sentiment`: its word pieces, first weights and files.  Knows no corpora and no training."""

from __future__ import annotations

import json
import random
import string
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch.nn import functional
from transformers import ElectraConfig, ElectraForSequenceClassification, PreTrainedTokenizerFast

POSITIONS = 256
WIDTH, LAYERS, INNER = 128, 2, 512
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PLAIN = {"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2026": "..."}
DROPPED = 0.06


def new_tokenizer(reader: Any, texts: list[str], size: int) -> PreTrainedTokenizerFast:
    """The teacher's `size` most used lower-case word pieces, ASCII only: every letter, digit and mark is kept."""
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), 1000):
        for ids in reader(texts[start : start + 1000], add_special_tokens=False)["input_ids"]:
            counts.update(reader.convert_ids_to_tokens(ids))
    marks = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    single = [*marks, *("##" + mark for mark in string.ascii_lowercase + string.digits)]
    known = reader.get_vocab()
    used = [piece for piece, _ in counts.most_common() if piece.isascii() and piece not in SPECIALS]
    kept = list(dict.fromkeys([*single, *used]))[: size - len(SPECIALS)]
    kept.sort(key=lambda piece: known.get(piece, -1))
    core = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate([*SPECIALS, *kept])}, unk_token="[UNK]"))
    plain = [normalizers.Replace(fancy, simple) for fancy, simple in PLAIN.items()]
    core.normalizer = normalizers.Sequence([*plain, normalizers.BertNormalizer(lowercase=True, strip_accents=True)])
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", core.token_to_id("[CLS]")), ("[SEP]", core.token_to_id("[SEP]"))],
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIALS, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=POSITIONS, **names)


def new_student(tokenizer: Any, teacher: Any, reader: Any, texts: list[str]) -> ElectraForSequenceClassification:
    """The teacher's two lower layers with a third of their inner neurons, over a 128-wide cut of its embedding."""
    shape = teacher.config
    config = ElectraConfig(
        vocab_size=len(tokenizer),
        embedding_size=WIDTH,
        hidden_size=shape.hidden_size,
        num_hidden_layers=LAYERS,
        num_attention_heads=shape.num_attention_heads,
        intermediate_size=INNER,
        max_position_embeddings=POSITIONS,
        type_vocab_size=2,
        pad_token_id=tokenizer.pad_token_id,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
    )
    student = ElectraForSequenceClassification(config)
    inner = _inner_activity(teacher, reader, texts)
    with torch.no_grad():
        for place, (mean, size) in enumerate(inner):
            _copy_layer(student.electra.encoder.layer[place], teacher.base_model.encoder.layer[place], mean, size)
        _copy_embedding(student, teacher.base_model.embeddings, tokenizer, reader)
    return student


def _inner_activity(teacher: Any, reader: Any, texts: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """For each copied layer, (mean, mean size) of every inner neuron's activation over the texts' tokens."""
    seen: list[list[torch.Tensor]] = [[] for _ in range(LAYERS)]
    hooks = [
        teacher.base_model.encoder.layer[k].intermediate.register_forward_hook(
            lambda _module, _inputs, output, k=k: seen[k].append(output.flatten(0, 1))
        )
        for k in range(LAYERS)
    ]
    with torch.no_grad():
        for text in texts:
            teacher.base_model(**reader(text, truncation=True, max_length=128, return_tensors="pt"))
    for hook in hooks:
        hook.remove()
    return [(torch.cat(rows).mean(0), torch.cat(rows).abs().mean(0)) for rows in seen]


def _copy_layer(new: Any, old: Any, mean: torch.Tensor, size: torch.Tensor) -> None:
    """Copy a layer with its most influential inner neurons; what the others add on average goes into the bias."""
    new.attention.load_state_dict(old.attention.state_dict())
    new.output.LayerNorm.load_state_dict(old.output.LayerNorm.state_dict())
    order = (size * old.output.dense.weight.norm(dim=0)).argsort(descending=True)
    kept, dropped = order[:INNER].sort().values, order[INNER:]
    new.intermediate.dense.weight.copy_(old.intermediate.dense.weight[kept])
    new.intermediate.dense.bias.copy_(old.intermediate.dense.bias[kept])
    new.output.dense.weight.copy_(old.output.dense.weight[:, kept])
    new.output.dense.bias.copy_(old.output.dense.bias + old.output.dense.weight[:, dropped] @ mean[dropped])


def _copy_embedding(student: ElectraForSequenceClassification, old: Any, tokenizer: Any, reader: Any) -> None:
    """Principal components of the teacher's normalised embedding; the projection back is fitted by least squares."""
    known = reader.get_vocab()
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    rows = torch.tensor([known.get(piece, reader.unk_token_id) for piece in pieces])
    start = old.position_embeddings.weight[1:40].mean(0) + old.token_type_embeddings.weight[0]
    wanted = old.LayerNorm(old.word_embeddings.weight[rows] + start)
    centre = wanted.mean(0)
    _, _, axes = torch.linalg.svd(wanted - centre, full_matrices=False)
    axes = axes[:WIDTH]
    scale = (wanted - centre).std() / (
        old.word_embeddings.weight[rows] - old.word_embeddings.weight[rows].mean(0)
    ).std()
    new = student.electra.embeddings
    new.word_embeddings.weight.copy_((wanted - centre) @ axes.T)
    moved = old.position_embeddings.weight[:POSITIONS] - old.position_embeddings.weight[1:40].mean(0)
    new.position_embeddings.weight.copy_(moved @ axes.T * scale)
    new.token_type_embeddings.weight.zero_()
    seen = new.LayerNorm(new.word_embeddings.weight)
    seen = torch.cat([seen, torch.ones(len(seen), 1)], -1)
    fitted = torch.linalg.lstsq(seen, wanted).solution
    student.electra.embeddings_project.weight.copy_(fitted[:-1].T)
    student.electra.embeddings_project.bias.copy_(fitted[-1])
    print("variance of the embedding kept", float(1 - ((seen @ fitted - wanted).var() / wanted.var())))


def match(student: Any, teacher: Any, tokenizer: Any, reader: Any, texts: list[str], rate: float = 1e-3) -> None:
    """Teach the student's hidden states the teacher's, layer by layer, one pass over `texts`: its cut is mended."""
    known = reader.get_vocab()
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    to_teacher = torch.tensor([known.get(piece, reader.unk_token_id) for piece in pieces])
    whole = teacher.base_model.encoder.layer
    teacher.base_model.encoder.layer = whole[:LAYERS]
    steps = len(texts) // 64
    optimiser = torch.optim.AdamW(student.electra.parameters(), lr=rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: min((s + 1) / 20, 1 - s / (steps + 1)))
    for step in range(steps):
        some = texts[step * 64 : (step + 1) * 64]
        inputs = tokenizer(some, truncation=True, max_length=64, padding=True, return_tensors="pt")
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        with torch.no_grad():
            wanted = teacher.base_model(to_teacher[ids], attention_mask=mask, output_hidden_states=True).hidden_states
        found = student.electra(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        real = mask.bool()
        apart = [functional.mse_loss(a[real], b[real]) for a, b in zip(found, wanted, strict=True)]
        torch.stack(apart).sum().backward()
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        if step % 100 == 0:
            print(f"match {step}/{steps}", *(f"{part.item():.4f}" for part in apart), flush=True)
    teacher.base_model.encoder.layer = whole


def pad(encoded: list[list[int]], tokenizer: Any, rng: random.Random) -> dict[str, torch.Tensor]:
    """Training inputs: some pieces hidden behind [UNK], positions shifted so that all of them are trained."""
    width = max(len(ids) for ids in encoded)
    unknown, filler = tokenizer.unk_token_id, tokenizer.pad_token_id
    ids = torch.tensor([row + [filler] * (width - len(row)) for row in encoded])
    mask = (ids != filler).long()
    body = (ids != filler) & (ids != tokenizer.cls_token_id) & (ids != tokenizer.sep_token_id)
    noise = torch.rand(ids.shape, generator=torch.Generator().manual_seed(rng.getrandbits(40)))
    ids = torch.where(body & (noise < DROPPED), unknown, ids)
    shift = rng.randrange(POSITIONS - width + 1) if rng.random() < 0.3 else 0
    places = torch.arange(width).expand_as(ids) + shift
    return {"input_ids": ids, "attention_mask": mask, "position_ids": places}


def save(student: ElectraForSequenceClassification, tokenizer: Any, folder: Path) -> None:
    """Write the four files, float16, with a tokenizer class that transformers 4.57 and 5.x both know."""
    folder.mkdir(parents=True, exist_ok=True)
    student.half().save_pretrained(folder)
    student.float()
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
    whole = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(whole, ensure_ascii=False, separators=(",", ":")), "utf-8")
    for extra in ("special_tokens_map.json", "training_args.bin"):
        (folder / extra).unlink(missing_ok=True)
