"""Tiny real checkpoints, made from configs and tokenizers trained here: no network, a few hundred kilobytes each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
TEXTS = [
    "the film is a quiet and moving story about two brothers",
    "an awful and boring mess, I want my money back",
    "good food and friendly people, we will come again",
    "the room was dirty and the staff were rude",
    "Paris is the capital of France and Berlin is the capital of Germany",
    "she reads a book in the garden while he cooks the dinner",
    "it works as expected but the battery is weak",
    "one two three four five six seven eight nine ten",
] * 3
LONG = " ".join(TEXTS)


def wordpiece(size: int = 300) -> PreTrainedTokenizerFast:
    """BERT's kind: lower case, [CLS] a [SEP] b [SEP], unknown words become [UNK]."""
    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.normalizer = normalizers.BertNormalizer(lowercase=True)
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    raw.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special))
    pair = "[CLS] $A [SEP] $B:1 [SEP]:1"
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=pair, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    raw.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def bytebpe(size: int = 400, bos: bool = False, pad: bool = False, length: int = 64) -> PreTrainedTokenizerFast:
    """GPT-2's kind: bytes, no unknown token; with or without a beginning and a padding token."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<s>", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=size, special_tokens=special, initial_alphabet=alphabet)
    )
    if bos:
        raw.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
        )
    else:
        raw.post_processor = processors.ByteLevel(trim_offsets=False)
    names: dict[str, Any] = {"eos_token": "<|end|>", "bos_token": "<s>" if bos else "<|end|>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        model_max_length=length,
        model_input_names=["input_ids", "attention_mask"],
        **names,
        **({"pad_token": "<pad>"} if pad else {}),
    )


def unigram(size: int = 200, length: int = 64) -> PreTrainedTokenizerFast:
    """SentencePiece's kind: unknown runs are one token; T5's ending."""
    raw = Tokenizer(models.Unigram())
    raw.pre_tokenizer = pre_tokenizers.Metaspace()
    raw.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>", "<mask>"]
    raw.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>", show_progress=False)
    )
    raw.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=raw,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        mask_token="<mask>",
        model_max_length=length,
        model_input_names=["input_ids", "attention_mask"],
    )


def save(folder: Path, kind: str, config: Any, tokenizer: Any, seed: int = 0) -> Path:
    """A checkpoint of class `kind` with random weights; wide enough that answers differ clearly."""
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.mul_(4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


def bert(folder: Path, labels: int = 3, kind: str = "BertForSequenceClassification", **more: Any) -> Path:
    """A tiny BERT with `labels` labels named A, B, C ..."""
    tokenizer = wordpiece()
    names = {i: chr(65 + i) for i in range(labels)}
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, id2label=names,
        label2id={v: k for k, v in names.items()}, **(SMALL | more),
    )  # fmt: skip
    return save(folder, kind, config, tokenizer)
