"""A served model: any server that speaks the OpenAI protocol.  What it can do is tried out, not believed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from audit.errors import CannotMeasure, RequestFailed, UsageError
from audit.models import LoadOptions
from audit.models.wire import Client, Gone, Refused
from audit.types import Answer, Failed, Generate, LogProb, Number, Request, Text

KEYS = ("AUDIT_API_KEY", "OPENAI_API_KEY")
TRIED = ("The capital of France is", "one two three", "the movie was great and the")
CLOSE = 0.05  # nats within which two log-probabilities of one token are the same


class Endpoint:
    """Answers `Generate`, and `LogProb` where the server proves that it echoes true log-probabilities.

    The proof: one greedy token with its log-probability, then the prompt and that token echoed, must give the same
    number.  Servers that ignore or shift echoed log-probabilities would otherwise score at chance without an error.
    """

    def __init__(self, reference: str, options: LoadOptions) -> None:
        url, _, self.name = reference.partition(":")[2].partition("#")
        if not url.startswith(("http://", "https://")) or not self.name:
            raise UsageError(
                f"{reference!r} names no served model: it must be endpoint:URL#NAME, such as "
                "endpoint:http://127.0.0.1:8000/v1#my-model"
            )
        key = next((os.environ[k] for k in KEYS if os.environ.get(k)), "")
        self.client = Client(url, key, options.timeout, options.rate)
        self.threads = max(options.concurrency, 1)
        self.wrap = options.chat
        self.reach(url)
        self.can = self.capabilities()
        if not (self.can["chat"] or self.can["completions"]):
            raise CannotMeasure(
                f"{url} has no model {self.name!r} that answers chat or completion requests: {self.why['completions']}"
            )
        if options.chat == "always" and not self.can["chat"]:
            raise CannotMeasure(f"{url} answers no chat requests, so --chat always cannot be: use --chat auto or never")
        self.answers: frozenset[type[Request]] = frozenset({Generate, LogProb} if self.can["echo"] else {Generate})
        self.about = self.describe(reference)

    def run(self, batch: list[Request]) -> list[Answer]:
        """One answer for each request, in order; several are under way at a time."""
        with ThreadPoolExecutor(min(self.threads, max(len(batch), 1))) as pool:
            return list(pool.map(self.one, batch))

    def one(self, request: Request) -> Answer:
        """One answer; whatever goes wrong with this request is `Failed`."""
        try:
            return self.log_prob(request) if isinstance(request, LogProb) else self.text(request)
        except RequestFailed as error:
            return Failed(str(error))
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            return Failed(f"{self.client.base} answered in a form that is not the protocol's ({type(error).__name__})")

    def text(self, request: Any) -> Answer:
        """Generated text, cut at the first stop string."""
        if not isinstance(request, Generate):
            return Failed(f"a served model cannot answer {type(request).__name__}")
        if request.sample and not self.can["sampling"]:
            return Failed(
                f"{self.client.base} writes the same text at temperature 1 whatever the seed: it does not sample"
            )
        body: dict[str, Any] = {
            "model": self.name,
            "max_tokens": request.limit,
            "temperature": float(bool(request.sample)),
        }
        body |= {"seed": request.sample} if request.sample else {}
        body |= {"stop": list(request.stop[:4])} if request.stop else {}
        messages = request.messages or ((("user", request.prompt),) if self.wrap == "always" else ())
        if (messages and self.can["chat"] and self.wrap != "never") or not self.can["completions"]:
            turns = messages or (("user", request.prompt),)
            body["messages"] = [{"role": role, "content": content} for role, content in turns]
            answer = self.client.ask("/chat/completions", body)
            text = answer["choices"][0]["message"]["content"] or ""
        else:
            body["prompt"] = request.prompt or "".join(f"{r}: {c}\n" for r, c in messages) + "assistant:" * bool(
                messages
            )
            answer = self.client.ask("/completions", body)
            text = answer["choices"][0]["text"] or ""
        cuts = [text.index(stop) for stop in request.stop if stop and stop in text]
        return Text(text[: min(cuts)] if cuts else text, int((answer.get("usage") or {}).get("completion_tokens") or 0))

    def log_prob(self, request: LogProb) -> Answer:
        """The sum over the echoed tokens that end after the prefix (its last spaces belong to the text)."""
        if not request.text:
            return Failed("the text is empty, so it has no probability")
        start, whole = len(request.prefix.rstrip()), request.prefix + request.text
        tokens = self.echo(whole)
        own = [p for begin, end, p in tokens if end > start and begin < len(whole)]
        if not own or any(p is None for p in own):
            return Failed("the server gives the text's first token no probability: put something before the text")
        return Number(sum(p for p in own if p is not None), len(own))

    def echo(self, text: str) -> list[tuple[int, int, float | None]]:
        """(start, end, log-probability) of each token of an echoed text."""
        body = {"model": self.name, "prompt": text, "max_tokens": 1, "temperature": 0.0, "logprobs": 1, "echo": True}
        found = self.client.ask("/completions", body)["choices"][0]["logprobs"]
        names, values = found["tokens"], found["token_logprobs"]
        joined = "".join(names)
        at = -joined.find(text) if text in joined else 0
        made = []
        for name, value in zip(names, values, strict=True):
            made.append((at, at + len(name), None if value is None else float(value)))
            at += len(name)
        if text not in joined:
            raise RequestFailed(f"{self.client.base} echoes tokens that do not spell the text")
        return made

    def reach(self, url: str) -> None:
        """CannotMeasure for a server that cannot be reached or does not let us in."""
        try:
            self.client.ask("/models", tries=3)
        except Gone as error:
            raise CannotMeasure(f"no server: {error}; start it, or correct the address") from None
        except Refused as error:
            if error.status in (401, 403):
                raise CannotMeasure(
                    f"{url} does not let us in ({error}): put the key into the environment variable {KEYS[0]}"
                ) from None
        except RequestFailed as error:
            raise CannotMeasure(f"{url} is no OpenAI-compatible server: {error}") from None

    def capabilities(self) -> dict[str, bool]:
        """What the server can do, each tried once; `why` keeps the reason for what it cannot."""
        self.why: dict[str, str] = {"completions": "", "chat": "", "echo": "no completions", "sampling": ""}
        base: dict[str, Any] = {"model": self.name, "temperature": 0.0}
        say = [{"role": "user", "content": "Name a number."}]
        can = {
            "completions": self.tried(
                "completions", lambda: self.completed(base | {"prompt": "one two", "max_tokens": 1})
            ),
            "chat": self.tried("chat", lambda: self.chatted(base | {"messages": say, "max_tokens": 1})),
        }
        can["echo"] = can["completions"] and bool(self.tried("echo", self.echoes))
        self.can = can | {"sampling": True}
        made = [self.one(Generate("A random number:", limit=12, sample=n)) for n in (1, 2, 3, 4)]
        can["sampling"] = len({answer.text for answer in made if isinstance(answer, Text)}) > 1
        return can

    def tried(self, name: str, ask: Callable[[], bool]) -> bool:
        """True when `ask` is answered and true; the reason is kept where it is not."""
        try:
            return ask()
        except RequestFailed as error:
            self.why[name] = str(error)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            self.why[name] = f"answered in another form ({type(error).__name__})"
        return False

    def completed(self, body: dict[str, Any]) -> bool:
        return isinstance(self.client.ask("/completions", body, tries=2)["choices"][0]["text"], str)

    def chatted(self, body: dict[str, Any]) -> bool:
        return "content" in self.client.ask("/chat/completions", body, tries=2)["choices"][0]["message"]

    def echoes(self) -> bool:
        """The telling test: a token's log-probability must be the same when it is written and when it is echoed."""
        tried = 0
        for prompt in TRIED:
            body = {"model": self.name, "prompt": prompt, "max_tokens": 1, "temperature": 0.0, "logprobs": 1}
            found = self.client.ask("/completions", body)["choices"][0].get("logprobs") or {}
            names, values = found.get("tokens") or [], found.get("token_logprobs") or []
            if not names or not values:
                self.why["echo"] = "no log-probabilities"
                return False
            if not names[0].strip() or not names[0].isascii():
                continue  # white space and partial characters may be joined to what stands before them
            tried += 1
            end = len(prompt) + len(names[0])
            again = [p for begin, stop, p in self.echo(prompt + names[0]) if stop == end and begin >= len(prompt)]
            if len(again) != 1 or again[0] is None:
                self.why["echo"] = "the token it wrote is another one when echoed, or has no log-probability"
                return False
            if abs(again[0] - values[0]) > CLOSE:
                self.why["echo"] = f"one token has log-probability {values[0]:.2f} written and {again[0]:.2f} echoed"
                return False
        self.why["echo"] = "" if tried else "no token to compare"
        return tried > 0

    def describe(self, reference: str) -> dict[str, Any]:
        """What run.json says: a server shows no weights, so its name and address stand for them."""
        missing = [f"{name}: {self.why[name] or 'it does not'}" for name, able in self.can.items() if not able]
        return {
            "reference": reference,
            "name": self.name,
            "revision": None,
            "weights_hash": hashlib.sha256(reference.encode()).hexdigest(),
            "architecture": "served",
            "head": "endpoint",
            "parameters": None,
            "dtype": None,
            "device": "remote",
            "context": None,
            "vocabulary": None,
            "labels": None,
            "tokenizer": None,
            "transformers": None,
            "torch": None,
            "capabilities": dict(self.can),
            "notes": ["a served model is known by address and name only: its weights may change unseen", *missing],
        }
