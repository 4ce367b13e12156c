"""Serves one language model from a folder, in the training environment: `worker.py FOLDER`.

A separate program that imports nothing from modelops, so that PyTorch is not in the sandbox's process. It writes JSON
lines: first `{"ready": true}` or `{"error": ...}`, then one answer for each request. The model's own chat template
renders the prompt; decoding is greedy, so that equal requests have equal answers.
"""

import json
import os
import sys
from typing import Any, TextIO

DEFAULT_MAX_TOKENS = 1024
"""Maximum number of tokens of an answer if the request names none."""


class Server:
    """The model and its tokenizer."""

    def __init__(self, folder: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(1)
        self._torch = torch
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        if not self._tokenizer.chat_template:
            raise ValueError("the repository has no chat template")
        self._model = AutoModelForCausalLM.from_pretrained(folder).eval()
        ends = self._model.generation_config.eos_token_id
        self._ends = {ends} if isinstance(ends, int) else set(ends or ())

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer `messages`, `tools`, `max_tokens` with `text`, `finish_reason` and the numbers of tokens."""
        prompt = self._tokenizer.apply_chat_template(
            request["messages"],
            tools=request.get("tools"),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        prompt_tokens = prompt["input_ids"].shape[1]
        max_tokens = int(request.get("max_tokens") or DEFAULT_MAX_TOKENS)
        with self._torch.inference_mode():
            output = self._model.generate(**prompt, max_new_tokens=max_tokens, do_sample=False)[0]
            answer = output[prompt_tokens:].tolist()
        ended = bool(answer) and answer[-1] in self._ends
        return {
            "text": self._tokenizer.decode(answer, skip_special_tokens=True),
            "finish_reason": "stop" if ended else "length",
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(answer),
        }


def main() -> None:
    """Answer requests until stdin ends."""
    # Libraries print to stdout; it is redirected to stderr so that only answers are written to the original stdout.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        server = Server(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - the sandbox reports it to its client
        _write(out, {"error": f"{type(error).__name__}: {error}"})
        return
    _write(out, {"ready": True})
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - one bad request must not end the worker
            answer = {"error": f"{type(error).__name__}: {error}"}
        _write(out, answer)


def _write(out: TextIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
