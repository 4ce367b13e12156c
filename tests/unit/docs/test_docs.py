"""What the documentation says is what the code has."""

from __future__ import annotations

import importlib
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr
from tests.unit.docs.pages import ROOT, anchors, blocks, guides, links, pages, prose, runbooks, table

from modelops.adapters.huggingface import HuggingFaceEndpoints, HuggingFaceHub, HuggingFaceJobs
from modelops.api.v1alpha1 import Rollout, TrainingRun
from modelops.domain.reasons import AgentModelReason, RolloutReason, TrainingReason
from modelops.domain.training.pricing.estimate import Workload, estimate_cost, require_hardware
from modelops.domain.training.pricing.memory import StepLoad
from modelops.domain.training.pricing.model_shape import typical_shape
from modelops.ports import Flavor
from modelops.router import RouterState
from modelops.runtime.metrics import Metrics
from modelops.runtime.object_metrics import FAMILIES
from modelops.runtime.settings import Settings

OPERATING = ROOT / "docs" / "guides" / "operating.md"
TROUBLESHOOTING = ROOT / "docs" / "guides" / "troubleshooting.md"
TOOLS = ROOT / "docs" / "guides" / "tools-and-files.md"
AGENTS = ROOT / "docs" / "guides" / "agents.md"
SOURCE = ROOT / "operator" / "modelops"
DESIGNS = sorted((ROOT / "docs" / "designs").glob("0*.md"))

every_page = pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
every_guide = pytest.mark.parametrize(
    "page", [*guides(), *runbooks()], ids=lambda page: str(page.relative_to(ROOT))
)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}, which does not exist"
        assert file.is_relative_to(ROOT), f"{page.name} links out of the repository: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: no heading of {file.name} makes {target}"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    """A path in backticks that begins in a folder of the repository is one of its files."""
    folders = "operator/modelops|tests|config|crds|charts|docs|requirements"
    named = re.findall(rf"`((?:{folders})/[\w./*-]*)`", prose(page))
    asked_for = {"config/models/registry.json"} if page == TOOLS else set()
    missing = [name for name in named if name not in asked_for and not list(ROOT.glob(name.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("page", DESIGNS, ids=lambda page: page.stem)
def test_modules_of_a_design_exist(page: Path) -> None:
    """In designs a path may be given below operator/modelops."""
    _, _, where = page.read_text(encoding="utf-8").partition("## Where\n")
    named = re.findall(r"`([a-z_]+(?:/[\w.]+)*(?:/|\.py|\.json))`", where)
    folders = [ROOT, SOURCE, SOURCE / "domain" / "rollout", SOURCE / "domain" / "training"]
    assert named
    missing = [name for name in named if not any((folder / name).exists() for folder in folders)]
    assert not missing


@every_page
def test_page_stands_alone(page: Path) -> None:
    """No page names a place outside the repository, a package index, or a real token."""
    text = page.read_text(encoding="utf-8")
    places = r"\.\./shared|/work/|/root/|/tmp/|pypi\.|index-url|registry\.npmjs|proxy\.golang"
    assert not re.findall(rf"{places}|hf_[A-Za-z0-9]{{20,}}", text)
    assert "\t" not in text
    assert text.endswith("\n")


@every_guide
def test_every_command_is_run_or_says_why_not(page: Path) -> None:
    for block in blocks(page):
        if block.language in ("sh", "python", "bash", "yaml"):
            assert block.marker, f"no `test:` or `not run:` comment above:\n{block.text}"
            assert block.test in (
                "cluster",
                "loop",
                "client",
                "conversation",
                "python",
                "manifest",
                "helm",
                "values",
            ) or block.marker.startswith("not run: ")


def test_settings_are_all_there_with_their_defaults() -> None:
    rows = {row[0].strip("`"): row[1].strip("`") for row in table(OPERATING, "settings")}
    fields = {str(field.alias): field for field in Settings.model_fields.values()}
    assert set(rows) == set(fields)
    for alias, field in fields.items():
        if alias == "MODELOPS_STATE_DIR":
            continue
        assert rows[alias] == _shown(field.default), alias


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return "" if not default or isinstance(default, SecretStr) else str(default)


def test_template_of_the_environment_has_every_setting() -> None:
    template = (ROOT / "config" / "env" / ".env.template").read_text(encoding="utf-8")
    given = set(re.findall(r"^([A-Z_]+)=", template, re.M))
    assert given == {str(field.alias) for field in Settings.model_fields.values()}


def test_metrics_are_all_there() -> None:
    rows = {row[0].strip("`"): row for row in table(OPERATING, "metrics")}
    known = {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in Metrics().registry.collect()
        if family.name.startswith("modelops_")
    }
    assert {name: row[1] for name, row in rows.items()} == known


def test_metrics_of_objects_are_all_there_with_their_labels() -> None:
    rows = [[cell.replace("`", "") for cell in row[:3]] for row in table(OPERATING, "object metrics")]
    assert rows == [[family.name, family.type, ", ".join(family.labels)] for family in FAMILIES]


def test_every_reason_is_explained() -> None:
    text = prose(TROUBLESHOOTING)
    parts = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    for kind, reasons in (
        ("TrainingRun", TrainingReason),
        ("Rollout", RolloutReason),
        ("AgentModel", AgentModelReason),
    ):
        named = set(re.findall(r"`([A-Z][A-Za-z]+)`", parts[kind]))
        missing = {reason.value for reason in reasons} - named
        assert not missing, f"reasons of {kind} without an explanation: {sorted(missing)}"


def test_every_word_of_a_program_is_explained() -> None:
    said: set[str] = set()
    for file in SOURCE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        said |= set(re.findall(r'ProgramFailure\(\s*"(\w+)"', text))
    errors = (SOURCE / "adapters" / "langsmith" / "errors.py").read_text(encoding="utf-8")
    said |= set(re.findall(r'reason: ClassVar\[str\] = "(\w+)"', errors))
    assert not {word for word in said if f"`{word}`" not in prose(TROUBLESHOOTING)}


def test_reasons_that_are_named_exist() -> None:
    """A CamelCase word in a reason column is a reason."""
    known = {r.value for kind in (TrainingReason, RolloutReason, AgentModelReason) for r in kind}
    text = prose(TROUBLESHOOTING).partition("## Datasets")[0]
    for line in text.splitlines():
        if line.startswith("| `"):
            assert set(re.findall(r"`([A-Za-z]+)`", line.split("|")[1])) <= known


def test_errors_of_the_canary_are_explained() -> None:
    source = (SOURCE / "router" / "reachability.py").read_text(encoding="utf-8")
    classes, _, _ = source.partition("Never the key")
    listed = re.search(r"Classes: (.*?)\.\s*$", classes, re.S)
    assert listed
    words = [word.strip() for word in re.split(r",\s*", listed[1].replace("\n", " "))]
    assert not [word for word in words if f"`{word.partition('<')[0]}`" not in prose(AGENTS)]


def test_fields_of_the_routers_state_exist() -> None:
    _, _, part = prose(AGENTS).partition("| field | meaning |")
    rows = [line for line in part.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named
    assert named <= set(RouterState._fields)


def test_status_fields_of_the_tools_page_exist() -> None:
    kinds: dict[str, type[BaseModel]] = {"TrainingRun": TrainingRun, "Rollout": Rollout}
    found = re.findall(r"(TrainingRun|Rollout) ((?:`[\w.]+`(?:, )?)+)", prose(TOOLS))
    assert found
    for kind, paths in found:
        schema = kinds[kind].model_json_schema(by_alias=True)
        for path in re.findall(r"`([\w.]+)`", paths):
            assert _has(schema, schema, path.split(".")), f"{kind} has no {path}"


def _has(root: dict[str, Any], part: dict[str, Any], path: list[str]) -> bool:
    while "$ref" in part or "anyOf" in part or "allOf" in part:
        part = part.get("anyOf", part.get("allOf", [part]))[0]
        if "$ref" in part:
            part = root["$defs"][part["$ref"].rpartition("/")[2]]
    if not path:
        return True
    inner = part.get("properties", {}).get(path[0])
    return inner is not None and _has(root, inner, path[1:])


def test_each_function_of_hugging_face_that_was_asked_for_is_mapped_to_code() -> None:
    """The five functions of a Hugging Face MCP server, each called by the operator through one method."""
    homes = {
        "HuggingFaceJobs": "modelops.adapters.huggingface.jobs",
        "HuggingFaceEndpoints": "modelops.adapters.huggingface.endpoints",
        "HuggingFaceHub": "modelops.adapters.huggingface.hub",
    }
    rows = dict(re.findall(r"^\| `(hf_\w+)` \| `([\w.]+)`", TOOLS.read_text(encoding="utf-8"), re.M))
    assert set(rows) == {
        "hf_create_training_job",
        "hf_get_job_status",
        "hf_upload_dataset",
        "hf_create_inference_endpoint",
        "hf_get_model_info",
    }
    for mapped in rows.values():
        owner, _, name = mapped.rpartition(".")
        module = importlib.import_module(homes.get(owner, owner))
        assert callable(getattr(getattr(module, owner) if owner in homes else module, name)), mapped


def test_methods_of_the_tools_page_exist() -> None:
    kinds = {kind.__name__: kind for kind in (HuggingFaceJobs, HuggingFaceEndpoints, HuggingFaceHub)}
    named = re.findall(r"`(HuggingFace\w+)\.(\w+)`", prose(TOOLS))
    assert len(named) >= 4
    for kind, method in named:
        assert hasattr(kinds[kind], method)


def test_estimates_of_the_guide_are_the_operators() -> None:
    for row in table(ROOT / "docs" / "MODELOPS.md", "estimates"):
        size, method, tokens, epochs, flavor, price, dollars, minutes = row
        work = Workload(
            shape=typical_shape(int(Decimal(size.rstrip("B")) * 10**9)),
            load=StepLoad(method=method, batch=1, length=1024, rank=32, targets=("all-linear",)),
            tokens=int(tokens.replace(",", "")),
            epochs=int(epochs),
        )
        price_of = Flavor(name=flavor, usd_micro_per_hour=int(Decimal(price) * 10**6), devices=1)
        found = estimate_cost(work, require_hardware(price_of))
        low = Decimal(found.low_usd).quantize(Decimal("0.01"), ROUND_FLOOR)
        high = Decimal(found.high_usd).quantize(Decimal("0.01"), ROUND_CEILING)
        assert (dollars, minutes) == (f"{low} to {high}", f"{found.low_minutes} to {found.high_minutes}")


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 170
