"""The input of the dataset program: `input.json`, which the operator writes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.workdir import ProgramFailure


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Part):
    """A LangSmith dataset, `ls://<id or exact name>`, at a version (None: the newest).

    `splits` are the splits to use; empty: all. `field` is the manifest's field that names the dataset, for messages.
    """

    dataset: str
    field: str = ""
    as_of: str | None = None
    splits: tuple[str, ...] = ()


class HubTarget(_Part):
    """The private dataset repository that the rows are uploaded to, `org/name`."""

    repo: str


class SplitRule(_Part):
    """The fraction of rows that is held out of the training, and the seed that decides which groups they are."""

    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1
    seed: str


class BaseModelFacts(_Part):
    """The model that will be trained. The tokenizer and the licence of its newest revision are used."""

    repo: str


class Request(_Part):
    """One preparation of a dataset.

    `run` is the TrainingRun's uid. `min_examples` is the least number of usable examples. With `hub` None everything is
    checked and nothing is uploaded. `max_seq_length` is in tokens. `source` says who wrote the answers: `human`, or
    `model:<id>`. `group_key` is a dotted path into inputs or metadata. `project` is the agent's LangSmith project;
    the examples are compared with its recent runs. Of the kinds of sensitive content, `allow_sensitive` may be trained
    on, and examples with `leave_out_sensitive` are left out; any other kind refuses the dataset.
    """

    v: Literal[1]
    run: str
    agent: str
    langsmith: Source
    evaluation_dataset: str | None = None
    prompt: PromptContract
    method: Literal["sft", "dpo", "orpo"]
    hub: HubTarget | None
    min_examples: int = Field(ge=2)
    split: SplitRule
    include_failures: bool = False
    feedback_key: str | None = None
    group_key: str | None = None
    max_seq_length: int | None = Field(default=None, ge=1)
    base_model: BaseModelFacts | None = None
    source: str | None = None
    allowed_licences: tuple[str, ...] = ()
    allow_sensitive: tuple[SensitiveKind, ...] = ()
    leave_out_sensitive: tuple[SensitiveKind, ...] = ()
    project: str | None = None

    @classmethod
    def of(cls, document: Any) -> Request:
        """Raises ProgramFailure InputInvalid, which names every wrong field."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise ProgramFailure("InputInvalid", f"input.json: {wrong}") from None

    def describe_dataset(self, name: str) -> str:
        """The dataset in a message, with the field that names it: `dataset 'docs' (spec.dataset.langsmith)`."""
        field = self.langsmith.field
        return f"dataset {name!r} ({field})" if field else f"dataset {name!r}"
