"""A small server of the OpenAI protocol over a tiny real model, with the faults that real servers have."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class Served:
    """Serves on loopback while entered; `faults` changes how it behaves, `seen` keeps (path, body, headers)."""

    def __init__(self, folder: Any, faults: set[str] = frozenset(), busy: int = 0) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.faults, self.busy = faults, busy
        self.seen: list[tuple[str, Any, Any]] = []
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, None)

            def do_POST(self) -> None:
                outer.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        self.name = f"endpoint:{self.url}#tiny"

    def __enter__(self) -> Served:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler: Any, body: Any) -> None:
        with self.lock:
            self.seen.append((handler.path, body, dict(handler.headers)))
            status, headers, found = self.decide(handler.path, body, handler.headers)
        data = found if isinstance(found, bytes) else json.dumps(found).encode()
        try:
            handler.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # a client that stopped waiting

    def decide(self, path: str, body: Any, headers: Any) -> tuple[int, dict[str, str], Any]:
        if "locked" in self.faults and headers.get("Authorization") != "Bearer sesame":
            return 401, {}, {"error": {"message": f"wrong key {headers.get('Authorization')}"}}
        if path.endswith("/models"):
            return 200, {}, {"data": [{"id": "tiny"}]}
        if "slow" in self.faults:
            time.sleep(0.3)
        if self.busy > 0:
            self.busy -= 1
            return 429, {"Retry-After": "0"}, {"error": "slow down"}
        if "broken" in self.faults:
            return 200, {}, b"<html>gateway</html>"
        if "odd" in self.faults:
            return 200, {}, {"choices": []}
        if body["model"] != "tiny":
            return 404, {}, {"detail": f"no model {body['model']}"}
        if path.endswith("/chat/completions"):
            if "no chat" in self.faults:
                return 404, {}, {"detail": "not found"}
            body["prompt"] = "".join(f"{m['role']}: {m['content']}\n" for m in body["messages"]) + "assistant:"
        elif "only chat" in self.faults:
            return 404, {}, {"detail": "not found"}
        return 200, {}, self.complete(body, chat="messages" in body)

    def complete(self, body: Any, chat: bool) -> Any:
        ids = self.tokenizer(body["prompt"])["input_ids"]
        size, draw = len(ids), torch.Generator().manual_seed(body.get("seed", 0))
        warm = body.get("temperature", 1.0) > 0 and "greedy" not in self.faults
        for _ in range(body["max_tokens"]):
            with torch.no_grad():
                scores = self.model(torch.tensor([ids])).logits[0, -1]
            pick = torch.multinomial(scores.softmax(-1), 1, generator=draw) if warm else scores.argmax()
            ids.append(int(pick))
        text = self.tokenizer.decode(ids[size:], skip_special_tokens=True)
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        if body.get("logprobs") and not chat and "silent" not in self.faults:
            choice["logprobs"] = self.logprobs(ids, size, bool(body.get("echo")))
        return {"choices": [choice], "usage": {"prompt_tokens": size, "completion_tokens": len(ids) - size}}

    def logprobs(self, ids: list[int], size: int, echo: bool) -> Any:
        with torch.no_grad():
            scores = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        values: list[float | None] = [None, *(float(scores[i - 1, ids[i]]) for i in range(1, len(ids)))]
        if echo and "shifted" in self.faults:
            values = [*values[1:], None]
        names = [self.tokenizer.decode([i]) for i in ids]
        first = 0 if echo else size
        return {"tokens": names[first:], "token_logprobs": values[first:]}
