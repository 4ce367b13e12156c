"""What `trl_tokens.py` makes of rows, as JSON: `wording_cases.py BASE-MODEL`, in the training environment.

It runs in a folder with the payload's files. Labels are shown as the text that a loss is computed for.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from job import BadData
from transformers import AutoTokenizer
from trl_rows import Chat, Pair
from trl_tokens import IGNORED, Wording

USER, HELLO = {"role": "user", "content": "Greet."}, {"role": "assistant", "content": "Good morning."}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"type": "function", "function": {"name": "clock", "arguments": {"zone": "UTC"}}}],
}
RESULT = {"role": "tool", "content": "9"}
MARKED = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' %}{%- generation %}{{- message.content + '<|im_end|>' }}{%- endgeneration %}"
    "{%- else %}{{- message.content + '<|im_end|>' }}{%- endif %}{{- '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
END, NO_END = "<|im_end|>", "{%- for m in messages %}{{- m.content }}{%- endfor %}"
CALLS = (
    "{%- for tool in tools or [] %}{{- tool.name }}{%- endfor %}"
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}"
    "{%- for call in message.tool_calls or [] %}{{- call.function | tojson }}{%- endfor %}"
    "{{- '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def wording(template: str | None = "", eos: str = "", **changes: Any) -> Wording:
    """Of the base model's tokenizer with another template, or its own."""
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    if template != "":
        tokenizer.chat_template = template
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return Wording(tokenizer, base_model="base", eos=eos)


def learnt(words: Wording, *messages: Any, tools: Any = None) -> dict[str, str]:
    """The whole text and the part that is learnt."""
    row = Chat(messages=messages, tools=tools)
    columns = words.chats([row], max_length=500, path="p").values
    ids, labels = columns["input_ids"][0], columns["labels"][0]
    said = [token for token in labels if token != IGNORED]
    return {"text": words.tokenizer.decode(ids), "learnt": words.tokenizer.decode(said)}


def refused(make: Callable[[], object]) -> str:
    """Why rows or a tokenizer are refused."""
    try:
        make()
    except BadData as error:
        return str(error)
    return "taken"


def main() -> None:
    """One line of JSON, the last one."""
    plain = wording()
    row, pair = (
        Chat(messages=(USER, HELLO)),
        Pair(prompt=(USER,), chosen=(HELLO,), rejected=(CALL, RESULT, HELLO)),
    )
    found = {
        "one answer": learnt(plain, USER, HELLO),
        "several, unmarked": learnt(plain, USER, HELLO, USER, {**HELLO, "content": "Good evening."}),
        "several, marked": learnt(wording(MARKED), USER, HELLO, USER, {**HELLO, "content": "Good evening."}),
        "tools": learnt(wording(CALLS), USER, CALL, RESULT, HELLO, tools=({"name": "clock"},)),
        "call": learnt(wording(CALLS), USER, CALL, tools=({"name": "clock"},)),
        "pair": dict(wording(CALLS).pairs([pair], max_length=500, path="p").values),
        "eos": [plain.end, plain.tokenizer.eos_token],
        "too long": refused(lambda: plain.chats([row, row], max_length=5, path="p")),
        "pair too long": refused(lambda: wording(CALLS).pairs([pair], max_length=5, path="p")),
        "no template": refused(lambda: wording(None)),
        "made": learnt(wording(None, END), USER, HELLO, USER, {**HELLO, "content": "Good evening."}),
        "made, served": wording(None, END).tokenizer.chat_template,
        "other end": learnt(wording(eos="<|endoftext|>"), USER, HELLO),
        "no end but eos": learnt(wording(NO_END, END), USER, HELLO),
        "new ends": [
            words.new_ends(known)
            for words, known in (
                (wording(None, END), []),
                (wording(None, END), [plain.end_id]),
                (wording(None, "<|endoftext|>"), []),
            )
        ],
        "eos is no token": refused(lambda: wording(None, "<|nothing|>")),
        "made, tools": refused(
            lambda: wording(None, END).chats([Chat(messages=(USER, CALL))], max_length=500, path="p")
        ),
        "no end": refused(lambda: wording(NO_END)),
        "template raises": refused(
            lambda: wording(
                "{%- if messages | length > 2 %}{{- raise_exception('two at most') }}{%- endif %}" + MARKED
            ).chats([Chat(messages=(USER, USER, HELLO))], max_length=500, path="p")
        ),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
