"""`modelops evaluate calibrate`: how well a judge agrees with people's labels, without a cluster.

With labels in a LangSmith dataset it prints what an AgentModel needs so that this judge may decide.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

from modelops.cli import output
from modelops.cli.argument_types import count

COMMAND = "evaluate calibrate"
KEY = "OPENROUTER_API_KEY"


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        COMMAND,
        help="say how well a judge agrees with people",
        description="Ask a model which of two answers is better, and compare it with people's labels by Cohen's "
        "kappa. FILE has a JSON object in each line, at least 50: question (or inputs), answers with a and b, label "
        "(a, b or tie), and expected where there is a right answer. The key is in the environment variable "
        f"{KEY}. With --dataset the labels are in a LangSmith dataset (LANGSMITH_ENDPOINT, LANGSMITH_API_KEY), "
        "with question, answers and expected in the inputs, label in the outputs. Then the command prints "
        "spec.langsmith.judge of the AgentModel, with which scorer judge may decide. Exit status 0: kappa reaches 0.6; "
        "1: it does not, or you declined; 2: wrong input.",
    )
    parser.add_argument("file", metavar="FILE", nargs="?", help="labels, one JSON object in each line")
    parser.add_argument("--dataset", help="labels in a LangSmith dataset, ls://<id or exact name>")
    parser.add_argument(
        "--agent", help="with --dataset: the agent that the calibration is for, as agents.yaml names it"
    )
    parser.add_argument("--model", required=True, help="model of OpenRouter that judges, as author/name")
    parser.add_argument("--concurrency", type=count, default=8, help="calls at the same time (default: 8)")
    parser.add_argument("--timeout", type=count, default=120, help="seconds of one call (default: 120)")
    parser.add_argument("--yes", action="store_true", help="do not ask before the calls are paid")
    output.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    from modelops.evaluation.judge.answers import judge_address
    from modelops.evaluation.judge.calibration import LabelledPair, LabelsError, read_labels
    from modelops.evaluation.judge.fitness import unfitness
    from modelops.evaluation.judge.offer import highest_usd, offer_of
    from modelops.loopback import assert_address
    from modelops.workdir import ProgramFailure

    key, address, model = os.environ.get(KEY, ""), judge_address(), arguments.model
    assert_address("OPENROUTER_BASE_URL", address, os.environ)
    labelled: list[LabelledPair] = []
    as_of = ""
    problem = unfitness(model, ())
    if (arguments.file is None) is (arguments.dataset is None):
        problem = "write either FILE or --dataset"
    elif arguments.dataset is not None and not arguments.agent:
        problem = "--dataset needs --agent: a calibration is for one agent"
    if problem:
        output.complain(COMMAND, problem)
        return 2
    try:
        if arguments.dataset is None:
            with Path(arguments.file).open(encoding="utf-8") as lines:
                labelled = read_labels(lines)
        else:
            labelled, as_of = _labels_in_langsmith(arguments.dataset)
    except (OSError, UnicodeDecodeError, LabelsError, ProgramFailure) as error:
        problem = f"{arguments.dataset or arguments.file}: {error}"
    if not problem and not key:
        problem = f"set {KEY} to a key of OpenRouter"
    if problem:
        output.complain(COMMAND, problem)
        return 2
    offer = offer_of(model, base_url=address, api_key=key)
    if offer.exists is False or offer.takes_schema is False:
        lack = (
            "there is no such model"
            if offer.exists is False
            else "no provider of it takes structured outputs"
        )
        output.complain(COMMAND, f"--model {model}: {lack}")
        return 2
    pairs = [one.pair for one in labelled]
    price = f"at most ${highest_usd(offer.price, pairs):.2f}" if offer.price else "a price that is not known"
    if not output.confirm(
        f"Ask {model} about {len(pairs)} pairs in both orders, for {price}?", yes=arguments.yes
    ):
        output.complain(COMMAND, "nothing was asked; --yes asks without a terminal")
        return 1
    return _calibrate(arguments, labelled, as_of=as_of, address=address, key=key)


def _labels_in_langsmith(dataset: str) -> tuple[Any, str]:
    """The labelled pairs and the version of the dataset. Raises ProgramFailure, LabelsError."""
    from modelops.datasets.download import load_dataset
    from modelops.evaluation.judge.calibration import labels_of
    from modelops.loopback import assert_address
    from modelops.workdir import WorkDir

    assert_address("LANGSMITH_ENDPOINT", os.environ.get("LANGSMITH_ENDPOINT", ""), os.environ)
    with tempfile.TemporaryDirectory(prefix="modelops-labels-") as folder:
        loaded = load_dataset(WorkDir(Path(folder)), "labels", dataset, as_of=None)
    return labels_of(loaded.examples), loaded.as_of


def _agent_model_field(
    arguments: argparse.Namespace, labelled: Any, judged: Any, *, as_of: str
) -> dict[str, Any]:
    """What an AgentModel needs so that this judge may decide: a part of its manifest."""
    from modelops.evaluation.judge.calibrated import calibration_digest, said_of
    from modelops.evaluation.judge.prompt import PROMPT_DIGEST

    said = said_of(labelled, judged)
    digest = calibration_digest(
        agent=arguments.agent,
        model=arguments.model,
        prompt_digest=PROMPT_DIGEST,
        labelled=labelled,
        said=said,
    )
    judge = {
        "model": arguments.model,
        "labels": f"ls://{arguments.dataset.removeprefix('ls://')}",
        "labelsAsOf": as_of,
        "said": said,
        "promptDigest": PROMPT_DIGEST,
        "digest": digest,
    }
    return {"spec": {"langsmith": {"judge": judge}}}


def _calibrate(arguments: argparse.Namespace, labelled: Any, *, as_of: str, address: str, key: str) -> int:
    from modelops.evaluation.judge.calibration import calibration_of
    from modelops.evaluation.judge.calls import JudgeClient, JudgeJournal
    from modelops.evaluation.judge.pairs import Judged, judge_pairs
    from modelops.evaluation.judge.prompt import PROMPT_DIGEST

    async def ask() -> Judged:
        client = JudgeClient(
            model=arguments.model, base_url=address, api_key=key, timeout_seconds=arguments.timeout
        )
        with (
            tempfile.TemporaryDirectory(prefix="modelops-judge-") as folder,
            JudgeJournal(Path(folder) / "judge.jsonl", model=arguments.model) as journal,
        ):
            return await judge_pairs(
                client,
                journal,
                [one.pair for one in labelled],
                concurrency=arguments.concurrency,
                most_seconds=float("inf"),
            )

    judged = asyncio.run(ask())
    found = calibration_of(labelled, judged)
    kappa = found.kappa
    document = {
        "model": arguments.model,
        "promptDigest": PROMPT_DIGEST,
        "pairs": found.pairs,
        "judged": found.judged,
        "missing": found.pairs - found.judged,
        "agreement": None if kappa is None else round(kappa.agreement, 4),
        "kappa": None if kappa is None or kappa.value is None else round(kappa.value, 4),
        "interval": None
        if kappa is None or kappa.low is None or kappa.high is None
        else [round(kappa.low, 4), round(kappa.high, 4)],
        "reaches": found.reaches,
        "usd": f"{judged.usd.normalize():f}",
        "message": found.message,
    }
    part = (
        _agent_model_field(arguments, labelled, judged, as_of=as_of)
        if arguments.dataset and found.reaches
        else None
    )
    if part is not None:
        document["agentModel"] = part
    if arguments.output in ("json", "yaml"):
        output.print_document(document, arguments.output)
    elif arguments.output == "table":
        interval = document["interval"]
        output.print_fields(
            {
                "judge": document["model"],
                "prompt": PROMPT_DIGEST,
                "judged": f"{found.judged} of {found.pairs} pairs",
                "agreement": output.percent(kappa.agreement) if kappa else None,
                "kappa": f"{document['kappa']:.2f}" if document["kappa"] is not None else None,
                "interval": "{:.2f} to {:.2f} (95 %)".format(*interval) if interval else None,
                "cost": f"${document['usd']}",
                "says": found.message,
            }
        )
        if part is not None:
            output.say("\nWrite this into the AgentModel:\n")
            output.print_document(part, "yaml")
    return 0 if found.reaches else 1
