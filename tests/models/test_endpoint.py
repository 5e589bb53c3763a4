"""A served model against the same weights in this process, and every way in which a server misbehaves."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import transformers
from served import Served
from tinymodels import SMALL, bytebpe, save

from audit import CannotMeasure, Classify, Failed, Generate, LogProb, Number, Text, UsageError
from audit.models import LoadOptions, load
from audit.models.endpoint import Endpoint
from audit.models.wire import Client

COMMAND = Path(sys.executable).parent / "transformers"
ENDS = (" were rude", " a", " one two three")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = bytebpe(bos=True, length=256)
    config = transformers.LlamaConfig(vocab_size=len(made), **SMALL)
    # Weights for which greedy text is readable, so that the server's tokens can be compared as strings.
    return save(tmp_path_factory.mktemp("llama"), "LlamaForCausalLM", config, made, seed=5)


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("AUDIT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Client, "wait", 0.01)


def test_answers_are_those_of_the_weights(folder):
    local = load(str(folder))
    with Served(folder) as server:
        model = load(server.name)
        assert model.answers == {Generate, LogProb}, model.about["notes"]
        asked = [LogProb("the room was dirty and the staff", end) for end in ENDS] + [LogProb("she ", "reads")]
        for one, other in zip(model.run(asked), local.run(asked), strict=True):
            assert isinstance(one, Number), one
            assert one.value == pytest.approx(other.value, abs=1e-3)
            assert one.tokens == other.tokens
        prompts = [Generate(p, limit=6) for p in ("she reads", "the film", "Paris")]
        assert [a.text for a in model.run(prompts)] == [a.text for a in local.run(prompts)]


def test_classification_through_a_server(folder):
    words = {"negative": "bad", "positive": "good"}
    want = load(str(folder), options=LoadOptions(verbalisers=words)).run([Classify("the film")])[0]
    with Served(folder) as server:
        answer = load(server.name, options=LoadOptions(verbalisers=words)).run([Classify("the film")])[0]
    assert answer.probs == pytest.approx(want.probs, abs=1e-3)


@pytest.mark.parametrize("fault", ["shifted", "silent"])
def test_log_probabilities_that_are_not_true_are_not_used(folder, fault):
    with Served(folder, {fault}) as server:
        model = load(server.name)
        assert LogProb not in model.answers
        assert any(note.startswith("echo: ") for note in model.about["notes"])
        with pytest.raises(UsageError, match="log-probabilities"):
            load(server.name, options=LoadOptions(verbalisers={"a": "b", "c": "d"}))


def test_a_server_that_does_not_sample_fails_samples_only(folder):
    with Served(folder, {"greedy"}) as server:
        model = load(server.name)
        greedy, sample = model.run([Generate("she", limit=3), Generate("she", limit=3, sample=7)])
        assert isinstance(greedy, Text)
        assert isinstance(sample, Failed)
    with Served(folder) as server:
        model = load(server.name)
        asked = [Generate("she", limit=6, sample=n) for n in (7, 7, 8, 9)]
        texts = [answer.text for answer in model.run(asked)]
        assert texts[0] == texts[1]
        assert len(set(texts)) > 1


def test_messages_go_to_chat_and_prompts_to_completions(folder):
    with Served(folder) as server:
        model = load(server.name)
        server.seen.clear()
        model.run([Generate("she", limit=2), Generate(messages=(("user", "she"),), limit=2)])
        assert sorted(path for path, _, _ in server.seen) == ["/v1/chat/completions", "/v1/completions"]
    with Served(folder, {"only chat"}) as server:
        model = load(server.name)
        assert model.answers == {Generate}
        assert isinstance(model.run([Generate("she", limit=2)])[0], Text)
    with Served(folder, {"no chat"}) as server:
        assert isinstance(load(server.name).run([Generate(messages=(("user", "x"),), limit=2)])[0], Text)
        with pytest.raises(CannotMeasure, match="chat"):
            load(server.name, options=LoadOptions(chat="always"))


def test_stop_strings_are_cut_here_too(folder):
    with Served(folder) as server:
        model = load(server.name)
        whole = model.run([Generate("the film", limit=8)])[0].text
        stop = whole[len(whole) // 2 :][:2]
        assert model.run([Generate("the film", limit=8, stop=(stop,))])[0].text == whole[: whole.index(stop)]


def test_a_busy_server_is_asked_again(folder):
    with Served(folder) as server:
        model = load(server.name, options=LoadOptions(concurrency=1))
        server.busy = 3
        assert isinstance(model.run([Generate("she", limit=1)])[0], Text)
        server.busy = 1000
        failed = model.run([Generate("she", limit=1)])[0]
        assert isinstance(failed, Failed)
        assert "429" in failed.why


def test_a_server_that_dies_fails_what_is_left_without_hanging(folder):
    with Served(folder) as server:
        model = load(server.name, options=LoadOptions(timeout=2))
    began = time.monotonic()
    answers = model.run([Generate(f"she {n}", limit=1) for n in range(200)])
    assert all(isinstance(answer, Failed) for answer in answers)
    assert time.monotonic() - began < 60


def test_a_dead_server_cannot_be_loaded():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CannotMeasure, match="no server"):
        load(f"endpoint:http://127.0.0.1:{port}/v1#x", options=LoadOptions(timeout=2))


def test_a_slow_server_runs_into_the_time_limit(folder):
    with Served(folder) as server:
        model = load(server.name)
        server.faults, model.client.timeout = {"slow"}, 0.05
        failed = model.run([Generate("she", limit=1)])[0]
    assert isinstance(failed, Failed)
    assert "timed out" in failed.why


@pytest.mark.parametrize(("fault", "said"), [("broken", "not a JSON object"), ("odd", "protocol")])
def test_malformed_answers_fail(folder, fault, said):
    with Served(folder) as server:
        model = load(server.name)
        server.faults = {fault}
        failed = model.run([Generate("she", limit=1), LogProb("a", " b")])
    assert all(isinstance(answer, Failed) for answer in failed)
    assert said in failed[0].why
    with Served(folder, {fault}) as server, pytest.raises(CannotMeasure):
        load(server.name)


def test_a_key_comes_from_the_environment_and_is_never_shown(folder, monkeypatch):
    with Served(folder, {"locked"}) as server:
        with pytest.raises(CannotMeasure, match="AUDIT_API_KEY"):
            load(server.name)
        monkeypatch.setenv("AUDIT_API_KEY", "wrong-secret")
        with pytest.raises(CannotMeasure) as caught:
            load(server.name)
        assert "wrong-secret" not in str(caught.value)
        monkeypatch.setenv("AUDIT_API_KEY", "sesame")
        model = load(server.name)
        assert "sesame" not in str(model.about)
        assert all(headers["Authorization"] == "Bearer sesame" for _, _, headers in server.seen[-3:])


def test_an_unknown_name_says_what_the_server_said(folder):
    with Served(folder) as server, pytest.raises(CannotMeasure, match="no model other"):
        load(server.name.replace("tiny", "other"))


def test_the_rate_is_kept():
    client = Client("http://127.0.0.1:1", "", 1.0, 50.0)
    began = time.monotonic()
    for _ in range(11):
        client._take_turn()
    assert time.monotonic() - began >= 0.19


@pytest.mark.parametrize("name", ["endpoint:", "endpoint:localhost:80#x", "endpoint:http://h/v1"])
def test_names_of_no_served_model(name):
    with pytest.raises(UsageError, match="endpoint:URL#NAME"):
        load(name)


def test_a_request_it_cannot_answer_fails():
    assert isinstance(Endpoint.__new__(Endpoint).one(Classify("x")), Failed)


def serving():
    return COMMAND.is_file() and all(importlib.util.find_spec(name) for name in ("fastapi", "uvicorn", "openai"))


@pytest.mark.skipif(not serving(), reason="needs `pip install transformers[serving]`")
def test_a_foreign_server(folder, tmp_path):
    """`transformers serve` writes text, and is found out as giving no true log-probabilities."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
    chatty = tmp_path / "chatty"
    shutil.copytree(folder, chatty)
    tokenizer.save_pretrained(chatty)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(COMMAND), "serve", str(chatty), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.5)
        model = load(f"endpoint:http://127.0.0.1:{port}/v1#{chatty}")
        assert model.answers == {Generate}, model.about["notes"]
        answer = model.run([Generate(messages=(("user", "she reads"),), limit=6)])[0]
        assert isinstance(answer, Text), answer
    finally:
        process.terminate()
        process.wait(20)
        log.close()
