"""Rows as tokens: rendered by the base model's own chat template, with the loss on answers only.

Conversations are tokenised here and not by TRL's `SFTTrainer`. It would take them as Arrow structs, which fill
tool calls with nulls, and it would cut what is too long without a word. Pairs are handed over as rendered text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_rows import Chat, Message, Pair
else:
    import job as jobs
    from trl_rows import Chat, Message, Pair

IGNORED = -100
"""The label that no loss is computed for (PyTorch's `cross_entropy`)."""
_MARK = "modelops"
_NO_TOOLS = "the template of a base model has no place for tools; choose the -Instruct sibling"
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
"""For a base model without a template: OpenAI's ChatML, in which every message ends with the contract's `eos`."""
SERVED_CHATML = CHATML.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
"""The same without the marks of answers, which not every server's Jinja knows."""


@dataclass(frozen=True)
class Columns:
    """What a TRL dataset is made of, and how many tokens one pass over it has."""

    values: Mapping[str, list[Any]]
    tokens: int


class Wording:
    """The base model's tokenizer with its chat template. `end` is the token that ends an answer: `eos`, which the
    prompt contract names, else the template's own. A model without a template gets one where there is an `eos`.

    Raises jobs.BadData where there is no template, or none that a model could learn to stop from.
    """

    def __init__(self, tokenizer: Any, *, base_model: str, eos: str = "") -> None:
        self.tokenizer = tokenizer
        self._own_end_id: int | None = tokenizer.eos_token_id
        if eos and eos not in tokenizer.get_vocab():
            raise jobs.BadData(f"spec.prompt.eos {eos} is no token of {base_model}")
        if not tokenizer.chat_template and not eos:
            raise jobs.BadData(
                f"{base_model} has no chat template: choose its -Instruct sibling, or set spec.prompt.eos"
            )
        made = not tokenizer.chat_template
        if made:
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
        marked = CHATML if made else _training_template(tokenizer)
        self._training_template = marked if self._written == self.end else None

    @property
    def end_id(self) -> int:
        """The id of `end`."""
        return int(self.tokenizer.eos_token_id)

    def new_ends(self, known: Iterable[int]) -> tuple[int, ...]:
        """The end's id where the base model has never learnt it: it is not its own, nor among those `known`."""
        return () if self.end_id in {self._own_end_id, *known} else (self.end_id,)

    def prompt(self, messages: Sequence[Message], tools: Any) -> str:
        """What the model is given when it is to answer."""
        return self._rendered(messages, tools, add_generation_prompt=True)

    def answer(self, prompt: str, messages: Sequence[Message], tools: Any) -> str:
        """What the model must then say, up to and with the token that ends it."""
        full = self._rendered(messages, tools)
        if not full.startswith(prompt):
            raise jobs.BadData("the chat template renders a prompt differently once it is answered")
        answer = full[len(prompt) :]
        cut = answer.rfind(self._written)
        return (answer[:cut] if cut >= 0 else answer) + self.end

    def ids(self, text: str) -> list[int]:
        """Tokens of rendered text; the template has written the special ones."""
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

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
        """Every answer of a longer conversation where the template can mark them, else the last one."""
        if row.answers > 1 and self._training_template:
            marked = self.tokenizer.apply_chat_template(
                list(row.messages),
                tools=list(row.tools) if row.tools else None,
                chat_template=self._training_template,
                tokenize=True,
                return_dict=True,
                return_assistant_tokens_mask=True,
            )
            ids, mask = list(marked["input_ids"]), marked["assistant_masks"]
            if any(mask):
                return ids, [token if said else IGNORED for token, said in zip(ids, mask, strict=True)]
        prompt = self.prompt(row.prompt, row.tools)
        before, said = self.ids(prompt), self.ids(self.answer(prompt, row.messages, row.tools))
        return before + said, [IGNORED] * len(before) + said

    def _pair(self, row: Pair) -> tuple[str, str, str]:
        prompt = self.prompt(row.prompt, row.tools)
        chosen = self.answer(prompt, (*row.prompt, *row.chosen), row.tools)
        rejected = self.answer(prompt, (*row.prompt, *row.rejected), row.tools)
        return prompt, chosen, rejected

    def _without_bos(self, prompt: str) -> str:
        """TRL tokenises text with special tokens, so that a template's own would be there twice."""
        bos = self.tokenizer.bos_token
        adds = bos and self.tokenizer(_MARK)["input_ids"][:1] == [self.tokenizer.bos_token_id]
        return prompt.removeprefix(bos) if adds else prompt

    def _rendered(self, messages: Sequence[Message], tools: Any, **more: Any) -> str:
        try:
            text: str = self.tokenizer.apply_chat_template(
                list(messages), tools=list(tools) if tools else None, tokenize=False, **more
            )
        except Exception as error:  # Whatever the template's own code raises.
            raise jobs.BadData(f"the chat template refuses it: {type(error).__name__} {error}") from error
        return text

    def _written_end(self) -> str:
        """The first special token after an answer, as the template writes it; empty where it writes none."""
        said = ({"role": "user", "content": "x"}, {"role": "assistant", "content": _MARK})
        text = self._rendered(said, None)
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
    """Nothing is cut: half an answer teaches the model to stop in the middle of a sentence."""
    long = [number for number, length in enumerate(lengths, start=1) if length > max_length]
    if long:
        shown = ", ".join(map(str, long[:5])) + (", ..." if len(long) > 5 else "")
        raise jobs.BadData(
            f"{path}: {len(long)} of {len(lengths)} rows are longer than max_seq_length {max_length} tokens "
            f"(the longest has {max(lengths)}), lines {shown}: raise it, or leave them out of the dataset"
        )


def _training_template(tokenizer: Any) -> str | None:
    """A template that marks every answer (`{% generation %}`): the tokenizer's own, or TRL's for its family."""
    from trl.chat_template_utils import get_training_chat_template, has_generation_markers

    own = tokenizer.chat_template
    if isinstance(own, str) and has_generation_markers(own):
        return own
    try:
        found: str | None = get_training_chat_template(tokenizer)
    except Exception:  # noqa: BLE001 - TRL knows no template of this family
        return None
    return found
