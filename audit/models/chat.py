"""Prompts and chat messages as the text that a language model was trained to continue.  Knows no tensor."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from audit.errors import CannotMeasure, RequestFailed


class Chat:
    """The tokenizer's chat template, where there is one and `mode` (auto, never, always) lets it be used.

    auto: messages go through the template, prompts are left as they are.  always: prompts become one user message.
    """

    def __init__(self, tokenizer: Any, mode: str, place: str) -> None:
        self.tokenizer = tokenizer
        self.templated = bool(tokenizer.chat_template) and mode != "never"
        self.wrap_prompts = mode == "always"
        if self.wrap_prompts and not self.templated:
            raise CannotMeasure(f"{place} has no chat template, so --chat always cannot be: use --chat auto or never")

    @property
    def hash(self) -> str | None:
        """What tells this template from others; None where none is used."""
        if not self.templated:
            return None
        return hashlib.sha256(json.dumps(self.tokenizer.chat_template, sort_keys=True).encode()).hexdigest()[:12]

    def text(self, prompt: str, messages: tuple[tuple[str, str], ...] = ()) -> tuple[str, bool]:
        """The text to continue, and whether special tokens are still to be added (a template writes its own).

        RequestFailed where the template refuses these messages.
        """
        if self.wrap_prompts and not messages:
            messages = (("user", prompt),)
        if not messages:
            return prompt, True
        if not self.templated:
            return "".join(f"{role}: {content}\n" for role, content in messages) + "assistant:", True
        turns = [{"role": role, "content": content} for role, content in messages]
        try:
            text = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # templates are programs of their own, and raise what they like
            raise RequestFailed(f"the chat template refuses these messages: {error}") from error
        return text, False
