"""Data: every format, unusable rows kept apart, every fault with its place."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from audit import UsageError, data
from audit.rows import Source
from audit.types import Example

ROWS = [{"text": f"text {i}", "label": ["neg", "pos"][i % 2], "topic": "ab"[i % 2]} for i in range(10)]


def write(path, rows=ROWS):
    frame = pd.DataFrame(rows)
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows))
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return str(path)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_every_format_gives_the_same_examples(tmp_path, suffix):
    loaded = data.load(Source(write(tmp_path / f"rows{suffix}"), group="topic"))
    assert [(e.text, e.label, e.group) for e in loaded.examples] == [(r["text"], r["label"], r["topic"]) for r in ROWS]
    assert loaded.about["rows"] == loaded.about["labelled"] == 10
    assert loaded.about["groups"] == {"a": 5, "b": 5}


def test_a_folder_in_datasets_layout_is_loaded_by_datasets(tmp_path):
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.jsonl")
    loaded = data.load(Source(str(tmp_path / "set"), split="train"))
    assert len(loaded.examples) == 10
    with pytest.raises(UsageError, match="split"):
        data.load(Source(str(tmp_path / "set"), split="tset"))


def test_class_labels_get_their_names(tmp_path):
    import datasets

    features = datasets.Features({"sentence": datasets.Value("string"), "y": datasets.ClassLabel(names=["neg", "pos"])})
    made = datasets.Dataset.from_list([{"sentence": "a", "y": 0}, {"sentence": "b", "y": 1}], features=features)
    made.to_parquet(str(tmp_path / "train-00000-of-00001.parquet"))
    loaded = data.load(Source(str(tmp_path), split="train", text="sentence", label="y"))
    assert [e.label for e in loaded.examples] == ["neg", "pos"]


def test_unlabelled_data(tmp_path):
    loaded = data.load(Source(write(tmp_path / "rows.jsonl", [{"text": "a"}, {"text": "b"}])))
    assert [e.label for e in loaded.examples] == [None, None]


@pytest.mark.parametrize(
    "bad", [{"text": None}, {"text": ""}, {"text": "  "}, {"text": 3, "label": "pos"}, {"text": "x"}, 7]
)
def test_an_unusable_row_is_kept_apart(tmp_path, bad):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\n" + json.dumps(bad) + "\n")
    loaded = data.load(Source(str(path)))
    assert len(loaded.examples) == 1
    [(place, why)] = loaded.malformed
    assert place == "line 2"
    assert why


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "there are no rows"),
        ("\n\n", "there are no rows"),
        ('{"text": "a"}\n{"text": \n', r"rows.jsonl:2: not a line of JSON"),
        ('{"txet": "a"}\n', r"no column 'text' for the text \(--text names it\); did you mean 'txet'"),
        ('{"text": null}\n', r"none of its 1 rows can be used; the first, line 1: column 'text' is empty"),
        ('{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n', r"the id '1' stands 2 times"),
    ],
)
def test_a_malformed_file_is_named(tmp_path, content, says):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(UsageError, match=says):
        data.load(Source(str(tmp_path / "rows.jsonl")))


def test_other_faults(tmp_path):
    with pytest.raises(UsageError, match="no such data file"):
        data.load(Source(str(tmp_path / "none.csv")))
    with pytest.raises(UsageError, match=r"HF_HOME"):
        data.load(Source("nobody/nothing-of-this-name"))
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UsageError, match=r"data files end in .jsonl"):
        data.load(Source(str(tmp_path / "a.txt")))
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "\xff"}\n')
    with pytest.raises(UsageError, match="not UTF-8 text at byte"):
        data.load(Source(str(tmp_path / "b.jsonl")))
    (tmp_path / "c.csv").write_text("")
    with pytest.raises(UsageError, match="no rows"):
        data.load(Source(str(tmp_path / "c.csv")))
    (tmp_path / "d.parquet").write_text("nonsense")
    with pytest.raises(UsageError, match="cannot be read as parquet"):
        data.load(Source(str(tmp_path / "d.parquet")))
    (tmp_path / "e.json").write_text('{"a": 1}')
    with pytest.raises(UsageError, match="a list of rows"):
        data.load(Source(str(tmp_path / "e.json")))


def test_a_limit_draws_by_the_seed_and_smaller_draws_are_nested(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{"text": f"t{i}"} for i in range(200)])
    ids = {n: [e.id for e in data.load(Source(path, limit=n), seed=3).examples] for n in (20, 50)}
    assert len(ids[20]) == 20
    assert set(ids[20]) < set(ids[50])
    assert ids[50] == sorted(ids[50], key=int)
    assert ids[20] != [e.id for e in data.load(Source(path, limit=20), seed=4).examples]


@pytest.mark.parametrize(
    ("text", "language"),
    [("a film", "en"), ("这部电影很好看。", "zh"), ("看完 the movie 就走了吧", "zh"), ("12 ?", "en")],
)
def test_the_script_decides_the_language(text, language):
    assert data.language_of(text) == language


def examples(*labels):
    return tuple(Example(str(i), "t", label=label) for i, label in enumerate(labels))


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["negative", "positive"], ["negative", "positive"], ["negative", "positive"]),
        (["Negative"], ["negative", "positive"], ["negative"]),
        (["neg", "pos"], ["negative", "positive"], ["negative", "positive"]),
        (["0", "1"], ["LABEL_0", "LABEL_1"], ["LABEL_0", "LABEL_1"]),
        ([None, "pos"], ["negative", "neutral", "positive"], [None, "positive"]),
    ],
)
def test_labels_are_matched(labels, names, expected):
    aligned, _ = data.align(examples(*labels), names, "rows")
    assert [e.label for e in aligned] == expected


@pytest.mark.parametrize("labels", [["bad", "good"], ["0", "pos"], ["2"], ["n", "p"]])
def test_labels_that_do_not_match_say_what_would_help(labels):
    with pytest.raises(UsageError, match=r"--labels .*=negative"):
        data.align(examples(*labels), ["negative", "positive"], "rows")
