"""The services that all end-to-end tests share: a sandbox, its datasets, and candidate models on its Hub."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from huggingface_hub import CommitOperationAdd, HfApi
from tests.contract.learning import fill_dataset, langsmith_examples

from modelops.demo.stdlib_examples import StdlibExample
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

TRAIN, HELD_OUT = "e2e-train", "e2e-held-out"


@dataclass(frozen=True)
class Cloud:
    """A running sandbox that has the two datasets, and clients of it."""

    sandbox: SandboxInfo
    hf: HfApi
    train: tuple[StdlibExample, ...]
    held_out: tuple[StdlibExample, ...]

    def create_candidate(self, *, untrained: bool = False) -> dict[str, str]:
        """Publishes a new model on the Hub; returns it as `spec.candidate.model`.

        With `untrained` the model has learnt nothing and is no better than the baseline.
        """
        pairs = [] if untrained else [(e.task, e.docstring) for e in (*self.train, *self.held_out)]
        content = tiny_model.Model(pairs, [5.0, 2.5, 8.0] if pairs else None).to_bytes()
        repo = f"{USER}/candidate-{uuid4().hex[:10]}"
        self.hf.create_repo(repo, private=True)
        commit = self.hf.create_commit(
            repo, [CommitOperationAdd(tiny_model.MODEL_FILE, content)], commit_message="A candidate"
        )
        return {"repo": repo, "revision": str(commit.oid)}

    def jobs_of(self, uid: str) -> list[str]:
        """Ids of the jobs that were ever billed for a run."""
        return [
            job["id"]
            for job in self.sandbox.job_billing()
            if uid in str(job["labels"].get("modelops-attempt"))
        ]

    def endpoints_of(self, repo: str) -> list[str]:
        """Names of the endpoints that serve a repository now."""
        listed = self.hf.list_inference_endpoints(namespace=USER)
        return [endpoint.name for endpoint in listed if endpoint.repository == repo]


def seed_datasets(sandbox: SandboxInfo, hf: HfApi, examples: list[StdlibExample]) -> Cloud:
    """Uploads the examples to the two LangSmith datasets."""
    from modelops.adapters.langsmith.connection import LangSmithConnection

    train = tuple(e for e in examples if e.split == "train")
    held_out = tuple(e for e in examples if e.split == "held-out")
    client = LangSmithConnection(
        api_url=sandbox.langsmith, api_key=sandbox.langsmith_key, attempts=1
    ).client()
    try:
        fill_dataset(client, TRAIN, langsmith_examples(train))
        fill_dataset(client, HELD_OUT, langsmith_examples(held_out))
    finally:
        client.close(timeout=0)
    return Cloud(sandbox, hf, train, held_out)
