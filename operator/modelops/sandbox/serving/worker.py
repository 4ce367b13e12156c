"""Serves one language model from a folder, in the training environment: `worker.py FOLDER`.

A program of its own, which imports nothing of ours: PyTorch stays out of the sandbox's process. It speaks JSON
lines: `{"ready": true}` or `{"error": ...}` first, then an answer for each request. Prompts are rendered by the
model's own chat template; decoding is greedy, so that equal questions have equal answers.
"""

import json
import os
import sys
from typing import Any, TextIO

LONGEST_ANSWER = 1024
"""Tokens, where a request names no bound."""


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
        """`messages`, `tools`, `max_tokens` in; `text`, `finish_reason` and the numbers of tokens out."""
        given = self._tokenizer.apply_chat_template(
            request["messages"],
            tools=request.get("tools"),
            add_generation_prompt=True,
            return_tensors="pt",
            return_dict=True,
        )
        asked = given["input_ids"].shape[1]
        most = int(request.get("max_tokens") or LONGEST_ANSWER)
        with self._torch.inference_mode():
            said = self._model.generate(**given, max_new_tokens=most, do_sample=False)[0][asked:].tolist()
        ended = bool(said) and said[-1] in self._ends
        return {
            "text": self._tokenizer.decode(said, skip_special_tokens=True),
            "finish_reason": "stop" if ended else "length",
            "prompt_tokens": asked,
            "completion_tokens": len(said),
        }


def main() -> None:
    """Answers until stdin ends."""
    # Libraries print; stdout is for answers only.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        server = Server(sys.argv[1])
    except Exception as error:  # noqa: BLE001 - said to the sandbox, which says it to the client
        _say(out, {"error": f"{type(error).__name__}: {error}"})
        return
    _say(out, {"ready": True})
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - one bad request is not the end of the model
            answer = {"error": f"{type(error).__name__}: {error}"}
        _say(out, answer)


def _say(out: TextIO, message: dict[str, Any]) -> None:
    out.write(json.dumps(message) + "\n")
    out.flush()


if __name__ == "__main__":
    main()
