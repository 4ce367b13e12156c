"""Rows as tokens: rendered by the base model's own chat template, with the loss on answers only.

Conversations are tokenised here and not by TRL's `SFTTrainer`, for two reasons: it would read them as Arrow structs,
which fill tool calls with nulls, and it would cut rows that are too long without a message. Pairs are passed to TRL as
rendered text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.grammar import counted, verb
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_calls import takes_text, with_text_arguments
    from modelops.trainers.trl_rows import Chat, Message, Pair
    from modelops.trainers.trl_trainer import IGNORED
else:
    import job as jobs
    from grammar import counted, verb
    from trl_calls import takes_text, with_text_arguments
    from trl_rows import Chat, Message, Pair
    from trl_trainer import IGNORED

_MARK = "modelops"
_SPLIT, _ZERO_WIDTH = "\ue000", "\u200b"
"""A character for private use. In rendered text it stands inside a special token that is text of a row; the text is
tokenised in two parts there, so that the token does not become a control token. Where TRL tokenises a text itself, a
space without width takes its place."""
_NOTHING_LEARNT = (
    "the chat template renders an answer as nothing but its end, as one that has no place for tool calls does: "
    "choose a base model whose template supports tools"
)
_NO_TOOLS = "the template of a base model does not support tools; choose its -Instruct sibling"
CHATML = (
    "{%- if tools %}{{- raise_exception('" + _NO_TOOLS + "') }}{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.tool_calls %}{{- raise_exception('" + _NO_TOOLS + "') }}{%- endif %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' %}{%- generation %}{{- message.content + eos_token }}{%- endgeneration %}"
    "{%- else %}{{- message.content + eos_token }}{%- endif %}{{- '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""The template for a base model without one: OpenAI's ChatML, with the prompt contract's `eos` after every message."""
SERVED_CHATML = CHATML.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
"""The same without the `generation` tags around answers, which not every server's Jinja knows."""


def special_tokens(tokenizer: Any) -> list[str]:
    """The texts of the tokenizer's control tokens, the longest first."""
    added = tokenizer.added_tokens_decoder
    found = {str(token.content) for token in added.values() if token.special}
    found |= {str(token) for token in tokenizer.all_special_tokens}
    return sorted((text for text in found if len(text) > 1), key=lambda text: (-len(text), text))


@dataclass(frozen=True)
class Columns:
    """The columns of a TRL dataset, and the number of tokens in one pass over it."""

    values: Mapping[str, list[Any]]
    tokens: int


class ChatTemplate:
    """The base model's tokenizer with its chat template.

    `end` is the token that ends an answer: the prompt contract's `eos`, else the template's own end token. A base model
    without a template gets `CHATML` where the contract has an `eos`.

    Raises jobs.BadData where there is no template, or where the template ends no answer with a special token, so that a
    model could not learn to stop.
    """

    def __init__(self, tokenizer: Any, *, base_model: str, eos: str = "") -> None:
        self.tokenizer = tokenizer
        self._special = re.compile("|".join(map(re.escape, special_tokens(tokenizer))) or "(?!)")
        self._own_end_id: int | None = tokenizer.eos_token_id
        if eos and eos not in tokenizer.get_vocab():
            raise jobs.BadData(f"spec.prompt.eos {eos} is not a token of {base_model}")
        if not tokenizer.chat_template and not eos:
            raise jobs.BadData(
                f"{base_model} has no chat template: choose its -Instruct sibling, or set spec.prompt.eos"
            )
        lacks_template = not tokenizer.chat_template
        if lacks_template:
            tokenizer.eos_token, tokenizer.chat_template = eos, SERVED_CHATML
        written = self._written_end()
        if not eos and not written:
            raise jobs.BadData(
                f"the chat template of {base_model} ends an answer with no special token: "
                "a model trained with it would never stop"
            )
        self.end = eos or written
        self._written = written or self.end
        tokenizer.eos_token = self.end
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = self.end
        marked = CHATML if lacks_template else _training_template(tokenizer)
        self._training_template = marked if self._written == self.end else None

    @property
    def end_id(self) -> int:
        """The id of `end`."""
        return int(self.tokenizer.eos_token_id)

    def untrained_ends(self, known: Iterable[int]) -> tuple[int, ...]:
        """The id of `end` where the base model was never trained with it: it is neither the tokenizer's own end token
        nor in `known`, the end tokens of the model's generation settings."""
        return () if self.end_id in {self._own_end_id, *known} else (self.end_id,)

    def prompt(self, messages: Sequence[Message], tools: Any) -> str:
        """The rendered prompt that asks the model for an answer."""
        return self._rendered(messages, tools, add_generation_prompt=True)

    def answer(self, prompt: str, messages: Sequence[Message], tools: Any) -> str:
        """The rendered answer to the prompt, up to and with `end`. `messages` are the prompt's and the answer's.

        Raises jobs.BadData where the template renders another prompt, or nothing of the answer but its end.
        """
        full = self._rendered(messages, tools)
        if not full.startswith(prompt):
            raise jobs.BadData("the chat template renders the prompt differently when an answer follows it")
        answer = full[len(prompt) :]
        if not self._special.sub("", answer).strip():
            raise jobs.BadData(_NOTHING_LEARNT)
        cut = answer.rfind(self._written)
        return (answer[:cut] if cut >= 0 else answer) + self.end

    def ids(self, text: str) -> list[int]:
        """The tokens of rendered text, to which no special tokens are added: the template has written them."""
        return [
            token
            for part in text.split(_SPLIT)
            for token in self.tokenizer(part, add_special_tokens=False)["input_ids"]
        ]

    def plain(self, text: str) -> str:
        """Rendered text for another tokenizer, for which a special token in the text of a row is a control token."""
        return text.replace(_SPLIT, "")

    def chats(self, rows: Sequence[Chat], *, max_length: int, path: str) -> Columns:
        """`input_ids` and `labels`. Raises jobs.BadData where rows are longer than `max_length`."""
        made = _each(rows, self._labelled, path)
        _check_lengths([len(ids) for ids, _ in made], max_length=max_length, path=path)
        columns = {"input_ids": [ids for ids, _ in made], "labels": [labels for _, labels in made]}
        return Columns(columns, sum(len(ids) for ids, _ in made))

    def pairs(self, rows: Sequence[Pair], *, max_length: int, path: str) -> Columns:
        """`prompt`, `chosen` and `rejected` as text. Raises jobs.BadData as `chats` does."""
        made = _each(rows, self._pair, path)
        sides = [(len(self.ids(p + chosen)), len(self.ids(p + rejected))) for p, chosen, rejected in made]
        _check_lengths([max(pair) for pair in sides], max_length=max_length, path=path)
        columns = {
            name: [row[at] for row in made] for at, name in enumerate(("prompt", "chosen", "rejected"))
        }
        columns["prompt"] = [self._without_bos(prompt) for prompt in columns["prompt"]]
        return Columns(columns, sum(map(sum, sides)))

    def _labelled(self, row: Chat) -> tuple[list[int], list[int]]:
        """Token ids and labels: all answers of a conversation where the template can mark them, else the last one."""
        several = row.answers > 1 and not row.only_last
        if several and self._training_template and self._escaped(row.messages) == list(row.messages):
            marked = self._applied(
                row.messages,
                row.tools,
                chat_template=self._training_template,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
            ids, mask = list(marked["input_ids"]), marked["assistant_masks"]
            if any(mask):
                self._check_answers(row, ids, mask)
                return ids, [token if learnt else IGNORED for token, learnt in zip(ids, mask, strict=True)]
        prompt = self.prompt(row.prompt, row.tools)
        prompt_ids, answer_ids = self.ids(prompt), self.ids(self.answer(prompt, row.messages, row.tools))
        return prompt_ids + answer_ids, [IGNORED] * len(prompt_ids) + answer_ids

    def _check_answers(self, row: Chat, ids: Sequence[int], mask: Sequence[int]) -> None:
        """Raises jobs.BadData where a marked answer has nothing but its end, as a call that the template leaves out."""
        if not any(message.get("tool_calls") for message in row.messages):
            return
        for learnt, tokens in groupby(zip(ids, mask, strict=True), key=lambda one: bool(one[1])):
            if learnt:
                text = self.tokenizer.decode([token for token, _ in tokens], skip_special_tokens=True)
                if not text.strip():
                    raise jobs.BadData(_NOTHING_LEARNT)

    def _pair(self, row: Pair) -> tuple[str, str, str]:
        prompt = self.prompt(row.prompt, row.tools)
        chosen = self.answer(prompt, (*row.prompt, *row.chosen), row.tools)
        rejected = self.answer(prompt, (*row.prompt, *row.rejected), row.tools)
        prompt, chosen, rejected = (text.replace(_SPLIT, _ZERO_WIDTH) for text in (prompt, chosen, rejected))
        return prompt, chosen, rejected

    def _without_bos(self, prompt: str) -> str:
        """The prompt without its first token, where TRL's call of the tokenizer would add that token again."""
        bos = self.tokenizer.bos_token
        adds = bos and self.tokenizer(_MARK)["input_ids"][:1] == [self.tokenizer.bos_token_id]
        return prompt.removeprefix(bos) if adds else prompt

    def _rendered(self, messages: Sequence[Message], tools: Any, **more: Any) -> str:
        return str(self._applied(messages, tools, tokenize=False, **more))

    def _applied(self, messages: Sequence[Message], tools: Any, **more: Any) -> Any:
        """What the tokenizer makes of the conversation. Raises jobs.BadData where the template fails."""
        calls = any(message.get("tool_calls") for message in messages)
        try:
            return self._apply(
                with_text_arguments(messages) if calls and self._takes_text else messages, tools, **more
            )
        except Exception as error:  # The template's own code may raise any error.
            raise jobs.BadData(
                f"the chat template refuses the row: {type(error).__name__} {error}"
            ) from error

    @cached_property
    def _takes_text(self) -> bool:
        return takes_text(lambda messages, tools: str(self._apply(messages, tools, tokenize=False)))

    def _apply(self, messages: Sequence[Message], tools: Any, **more: Any) -> Any:
        escaped = self._escaped(tools) if tools else None
        return self.tokenizer.apply_chat_template(self._escaped(messages), tools=escaped, **more)

    def _escaped(self, value: Any) -> Any:
        """Messages or tools, in whose texts no special token is whole."""
        if isinstance(value, str):
            return self._special.sub(lambda found: found[0][:1] + _SPLIT + found[0][1:], value)
        if isinstance(value, Mapping):
            return {key: self._escaped(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._escaped(inner) for inner in value]
        return value

    def _written_end(self) -> str:
        """The first special token that the template writes after an answer; empty where it writes none."""
        chat = ({"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK})
        text = self._rendered(chat, None)
        added = self.tokenizer.added_tokens_decoder
        special = {number for number, token in added.items() if token.special}
        special |= set(self.tokenizer.all_special_ids)
        for number in self.ids(text[text.rindex(_MARK) + len(_MARK) :]):
            if number in special:
                return str(self.tokenizer.convert_ids_to_tokens(number))
        return ""


def _each(rows: Sequence[Any], make: Callable[[Any], Any], path: str) -> list[Any]:
    made = []
    for number, row in enumerate(rows, start=1):
        try:
            made.append(make(row))
        except jobs.BadData as error:
            raise jobs.BadData(f"{path} line {number}: {error}") from error
    return made


def _check_lengths(lengths: Sequence[int], *, max_length: int, path: str) -> None:
    """Raises jobs.BadData for rows that are too long. No row is cut: half an answer teaches a model to stop early."""
    long = [number for number, length in enumerate(lengths, start=1) if length > max_length]
    if long:
        lines = ", ".join(map(str, long[:5])) + (", ..." if len(long) > 5 else "")
        raise jobs.BadData(
            f"{path}: {counted(len(long), 'row', of=len(lengths))} {verb(len(long), 'is', 'are')} longer than "
            f"max_seq_length {counted(max_length, 'token')} (the longest has {max(lengths)}), "
            f"{verb(len(long), 'line', 'lines')} {lines}: raise "
            f"max_seq_length, or leave {verb(len(long), 'this row', 'these rows')} out of the dataset"
        )


def _training_template(tokenizer: Any) -> str | None:
    """A template that marks every answer (`{% generation %}`): the tokenizer's own, or TRL's for its family."""
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    own = tokenizer.chat_template
    if isinstance(own, str) and has_generation_markers(own):
        return own
    try:
        found: str | None = get_training_chat_template(tokenizer)
    except Exception:  # noqa: BLE001 - TRL has no template for this family
        return None
    return found
