"""JSON over HTTP with retries, back-off, a rate limit and a time limit.  Knows no model; never shows its key."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from audit.errors import RequestFailed

AGAIN = (408, 409, 429, 500, 502, 503, 504)
TRIES = 5
LONGEST_WAIT = 30.0
LOST = 3  # requests in a row that no server answered: it is gone


class Gone(RequestFailed):
    """The server cannot be reached (any more)."""


class Refused(RequestFailed):
    """The server answered with a status that trying again does not change."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Client:
    """One server: `ask` is safe to call from several threads."""

    wait = 0.5  # seconds before the second try

    def __init__(self, base: str, key: str, timeout: float, rate: float) -> None:
        self.base, self._key, self.timeout = base.rstrip("/"), key, timeout
        self.pause = 1 / rate if rate > 0 else 0.0
        self._lock = threading.Lock()
        self._next = 0.0
        self._lost = 0
        local = urllib.parse.urlsplit(base).hostname in ("127.0.0.1", "localhost", "::1")
        self._opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if local else []))

    def ask(self, path: str, body: dict[str, Any] | None = None, tries: int = TRIES) -> dict[str, Any]:
        """The JSON object that the server answers to POST `body` (GET without one); RequestFailed where it does not."""
        if self._lost >= LOST:
            raise Gone(f"{self.base} stopped answering")
        for attempt in range(tries):
            self._take_turn()
            wait = min(self.wait * 2**attempt * random.uniform(0.8, 1.2), LONGEST_WAIT)
            last = attempt == tries - 1
            try:
                found = self._once(path, body)
            except urllib.error.HTTPError as error:
                self._lost = 0
                said = self._said(error)
                if error.code not in AGAIN or last:
                    raise Refused(error.code, f"{self.base}{path} answered {error.code}: {said}") from None
                wait = max(wait, min(seconds(error.headers.get("Retry-After")), LONGEST_WAIT))
            except (OSError, ValueError) as error:
                if isinstance(error, ValueError):
                    self._lost = 0
                    raise RequestFailed(f"{self.base}{path} answered with what is not a JSON object") from None
                if last:
                    self._lost += 1
                    raise Gone(f"{self.base}{path} does not answer ({reason(error)})") from None
            else:
                self._lost = 0
                return found
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _once(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers)
        with self._opener.open(request, timeout=self.timeout) as answer:
            found = json.loads(answer.read())
        if not isinstance(found, dict):
            raise ValueError
        return found

    def _take_turn(self) -> None:
        if not self.pause:
            return
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self.pause
        time.sleep(turn - now)

    def _said(self, error: urllib.error.HTTPError) -> str:
        """What an error answer says, on one line, without the key should the server repeat it."""
        with error:
            text = error.read(2000).decode(errors="replace")
        try:
            found = json.loads(text)
            detail = found.get("error", found.get("detail", text)) if isinstance(found, dict) else text
            text = str(detail.get("message", detail)) if isinstance(detail, dict) else str(detail)
        except ValueError:
            pass
        text = " ".join(text.split())[:200]
        return text.replace(self._key, "***") if self._key else text


def seconds(text: str | None) -> float:
    """A Retry-After header in seconds; 0 for none or a date."""
    try:
        return max(float(text or 0), 0.0)
    except ValueError:
        return 0.0


def reason(error: OSError) -> str:
    """Why a connection failed, in a few words."""
    cause = getattr(error, "reason", error)
    return "timed out" if isinstance(cause, TimeoutError) else str(cause) or type(cause).__name__
