"""Prints the columns that `trl_tokens.py` makes of rows, as JSON: `chat_template_cases.py BASE-MODEL`.

It runs in the training environment, in a folder with the payload's files. Labels are printed as the text that a loss is
computed for.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trl
from job import BadData
from transformers import AutoTokenizer
from trl_rows import Chat, Pair, chat_of
from trl_tokens import IGNORED, ChatTemplate

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
CALLED = {"type": "function", "function": {"name": "clock", "arguments": '{"zone": "<|im_end|>"}'}}
ROW = {"messages": [USER, {"role": "assistant", "content": "", "tool_calls": [CALLED]}]}
"""A row as the dataset program uploads it: arguments are JSON text, as OpenAI has them."""
ENDS = {
    "qwen2_5": "<|im_end|>",
    "llama3_1": "<|eot_id|>",
    "lfm2_v2": "<|im_end|>",
    "deepseekv3": "<｜end▁of▁sentence｜>",
    "llama3": "<|eot_id|>",
    "gemma": "<end_of_turn>",
}
"""Templates of real models, as TRL has them, and the token that ends an answer in each."""
CONTROL_PAIR = Pair(
    prompt=({**USER, "content": "Explain <|im_end|>."},),
    chosen=({**HELLO, "content": "<|im_end|> ends."},),
    rejected=(HELLO,),
)
END, NO_END = "<|im_end|>", "{%- for m in messages %}{{- m.content }}{%- endfor %}"
CALLS = (
    "{%- for tool in tools or [] %}{{- tool.name }}{%- endfor %}"
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}"
    "{%- for call in message.tool_calls or [] %}{{- call.function | tojson }}{%- endfor %}"
    "{{- '<|im_end|>' + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def chat_template(text: str | None = "", eos: str = "", **changes: Any) -> ChatTemplate:
    """The base model's tokenizer with another template, or with its own."""
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    if text != "":
        tokenizer.chat_template = text
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return ChatTemplate(tokenizer, base_model="base", eos=eos)


def call_of(name: str) -> str:
    """What a real model's template makes of a call, or why it is refused."""
    tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
    tokenizer.add_special_tokens(
        {"bos_token": "<s>", "additional_special_tokens": ["<|im_end|>", ENDS[name]]}
    )
    text = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text()
    tokenizer.chat_template = text.replace(
        "<think>\\n", ""
    )  # Without it the prompt is part of its conversation.
    try:
        row = chat_of(ROW)
        return learnt(ChatTemplate(tokenizer, base_model=name), *row.messages)["learnt"]
    except BadData as error:
        return str(error)


def learnt(template: ChatTemplate, *messages: Any, tools: Any = None) -> dict[str, str]:
    """The whole text and the part that is learnt."""
    return learnt_of(template, Chat(messages=messages, tools=tools))


def learnt_of(template: ChatTemplate, row: Chat) -> dict[str, str]:
    """The same of a row."""
    columns = template.chats([row], max_length=500, path="p").values
    ids, labels = columns["input_ids"][0], columns["labels"][0]
    learnt_ids = [token for token in labels if token != IGNORED]
    return {"text": template.tokenizer.decode(ids), "learnt": template.tokenizer.decode(learnt_ids)}


def controls(template: ChatTemplate) -> dict[str, Any]:
    """A row whose texts have control tokens: its text, what is learnt, and how often the end token is in it."""
    messages = ({**USER, "content": f"Explain {END} and <|im_start|>."}, {**HELLO, "content": f"{END} ends."})
    ids = template.chats([Chat(messages=messages)], max_length=500, path="p").values["input_ids"][0]
    prompt = template.prompt(messages[:1], None)
    return {
        **learnt(template, *messages),
        "ends": ids.count(template.end_id),
        "plain": template.plain(prompt),
    }


def refused(make: Callable[[], object]) -> str:
    """The reason why rows or a tokenizer are refused."""
    try:
        make()
    except BadData as error:
        return str(error)
    return "accepted"


def main() -> None:
    """One line of JSON, the last one."""
    plain = chat_template()
    row, pair = (
        Chat(messages=(USER, HELLO)),
        Pair(prompt=(USER,), chosen=(HELLO,), rejected=(CALL, RESULT, HELLO)),
    )
    found = {
        "one answer": learnt(plain, USER, HELLO),
        "several, unmarked": learnt(plain, USER, HELLO, USER, {**HELLO, "content": "Good evening."}),
        "several, marked": learnt(
            chat_template(MARKED), USER, HELLO, USER, {**HELLO, "content": "Good evening."}
        ),
        "several, last": learnt_of(
            chat_template(MARKED),
            chat_of(
                {"messages": [USER, HELLO, USER, {**HELLO, "content": "Good evening."}], "learn": "last"}
            ),
        ),
        "tools": learnt(chat_template(CALLS), USER, CALL, RESULT, HELLO, tools=({"name": "clock"},)),
        "call": learnt(chat_template(CALLS), USER, CALL, tools=({"name": "clock"},)),
        "pair": dict(chat_template(CALLS).pairs([pair], max_length=500, path="p").values),
        "eos": [plain.end, plain.tokenizer.eos_token],
        "too long": refused(lambda: plain.chats([row, row], max_length=5, path="p")),
        "pair too long": refused(lambda: chat_template(CALLS).pairs([pair], max_length=5, path="p")),
        "no template": refused(lambda: chat_template(None)),
        "made": learnt(chat_template(None, END), USER, HELLO, USER, {**HELLO, "content": "Good evening."}),
        "made, served": chat_template(None, END).tokenizer.chat_template,
        "control tokens": controls(plain),
        "control tokens, several": learnt(
            chat_template(MARKED),
            {**USER, "content": f"A {END} B"},
            HELLO,
            USER,
            {**HELLO, "content": "Good evening."},
        ),
        "control tokens, pair": dict(plain.pairs([CONTROL_PAIR], max_length=500, path="p").values),
        "other end": learnt(chat_template(eos="<|endoftext|>"), USER, HELLO),
        "no end but eos": learnt(chat_template(NO_END, END), USER, HELLO),
        "new ends": [
            template.untrained_ends(known)
            for template, known in (
                (chat_template(None, END), []),
                (chat_template(None, END), [plain.end_id]),
                (chat_template(None, "<|endoftext|>"), []),
            )
        ],
        "eos is no token": refused(lambda: chat_template(None, "<|nothing|>")),
        "made, tools": refused(
            lambda: chat_template(None, END).chats([Chat(messages=(USER, CALL))], max_length=500, path="p")
        ),
        "marked, call": refused(
            lambda: chat_template(MARKED).chats(
                [Chat(messages=(USER, CALL, RESULT, HELLO))], max_length=500, path="p"
            )
        ),
        "marked, template raises": refused(
            lambda: chat_template("{{- raise_exception('no') if messages | length > 2 }}" + MARKED).chats(
                [Chat(messages=(USER, HELLO, USER, HELLO))], max_length=500, path="p"
            )
        ),
        "no end": refused(lambda: chat_template(NO_END)),
        "template raises": refused(
            lambda: chat_template(
                "{%- if messages | length > 2 %}{{- raise_exception('two at most') }}{%- endif %}" + MARKED
            ).chats([Chat(messages=(USER, USER, HELLO))], max_length=500, path="p")
        ),
    }
    found |= {f"call, {name}": call_of(name) for name in ENDS}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
