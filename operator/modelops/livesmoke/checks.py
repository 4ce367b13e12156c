"""`modelops doctor --live`: what a real account answers, by reading alone. It costs nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from modelops.adapters.huggingface.job_list import ATTEMPT_LABEL
from modelops.adapters.langsmith.datasets import resolve_dataset
from modelops.grammar import counted
from modelops.livesmoke.observations import Observations, describe
from modelops.livesmoke.prices import flavor_prices, instance_price, price_differences
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services
from modelops.livesmoke.token_checks import (
    BILLING_PAGE,
    NEW_TOKEN,
    check_namespace,
    check_token,
    passed,
    problem,
)
from modelops.tools.doctor import Check, State

BASE_MODEL: Final = "Qwen/Qwen2.5-0.5B-Instruct"
BASELINE_MODELS: Final = {
    "openrouter": "qwen/qwen-2.5-7b-instruct",
    "huggingface": "Qwen/Qwen2.5-7B-Instruct",
}
VENDOR, REGION = "aws", "us-east-1"
INSTANCE: Final = "nvidia-l4"
"""The cheapest GPU of the endpoints that computes in bfloat16, which the server of the models expects."""
SIZE: Final = "x1"


@dataclass
class Found:
    """What the checks have learnt about the account."""

    who: dict[str, Any] = field(default_factory=dict)
    user: str = ""
    org: str = ""
    hardware: list[dict[str, Any]] = field(default_factory=list)
    provider: dict[str, Any] = field(default_factory=dict)
    endpoint_price: Decimal | None = None


def examine_account(
    services: Services,
    observations: Observations,
    found: Found,
    *,
    base_model: str = BASE_MODEL,
    baseline_model: str = "",
    instance: str = INSTANCE,
    size: str = SIZE,
    datasets: Sequence[str] = (),
) -> Iterator[Check]:
    """All checks; it stops at a token that is not accepted. `found` gets what a run needs to know."""
    yield _checked("Hugging Face token", lambda: _token(services, observations, found), NEW_TOKEN)
    if found.user:
        org = services.account.org or found.user
        namespace = _checked("namespace", lambda: check_namespace(found.who, org), NEW_TOKEN)
        yield namespace
        if namespace.state is State.OK:
            found.org = org
            yield from _hugging_face(services, observations, found, base_model, instance, size)
    key = _checked(
        "LangSmith",
        lambda: _langsmith(services, observations),
        "make a key in LangSmith under Settings, API Keys, and export LANGSMITH_API_KEY; outside the US set "
        "LANGSMITH_ENDPOINT, such as https://eu.api.smith.langchain.com",
    )
    yield key
    if key.state is State.OK:
        for ref in datasets:
            yield _checked(
                f"dataset {ref}",
                lambda ref=ref: _dataset(services, ref),  # type: ignore[misc]
                "modelops dataset list, with the same LANGSMITH_API_KEY, shows the names",
            )
    model = baseline_model or BASELINE_MODELS[services.account.baseline_service]
    yield _checked(
        "baseline",
        lambda: _baseline(services, model),
        f"choose a model of {services.account.baseline_url}/models with --baseline-model, and check "
        f"{services.account.baseline_token_variable}",
    )
    yield from shape_checks(observations)


def shape_checks(observations: Observations) -> Iterator[Check]:
    """How the answers so far differ from the sandbox's."""
    lines = [line for name, one in observations.differences().items() for line in describe(name, one)]
    lines += observations.unknown_words()
    for line in lines:
        yield Check(subject="answers", state=State.WARNING, message=line)
    if not lines:
        answers = ", ".join(sorted(observations.shapes))
        yield passed("answers", f"of the same shape as the sandbox's: {answers}")


def _hugging_face(
    services: Services, seen: Observations, found: Found, base_model: str, instance: str, size: str
) -> Iterator[Check]:
    org = found.org
    yield _checked("jobs", lambda: _jobs(services, seen, org), f"{NEW_TOKEN}, and {BILLING_PAGE}")
    yield _checked("prices of jobs", lambda: _hardware(services, seen, found), NEW_TOKEN)
    yield _checked(
        "base model",
        lambda: _base_model(services, seen, base_model),
        f"open https://huggingface.co/{base_model} and accept its terms, or choose another with --base-model",
    )
    yield _checked("Inference Endpoints", lambda: _endpoints(services, seen, org), NEW_TOKEN)
    yield _checked(
        "hardware of endpoints",
        lambda: _provider(services, seen, found, instance, size),
        f"choose another with --instance: those of {services.account.endpoints_url}/provider/{org}",
    )
    for line in (
        price_differences(found.hardware, found.provider) if found.hardware and found.provider else ()
    ):
        yield Check(subject="prices", state=State.WARNING, message=line)


def _token(services: Services, seen: Observations, found: Found) -> Check:
    found.who = seen.answer("whoami", services.hub("/api/whoami-v2"))
    found.user = str(found.who["name"])
    return check_token(found.who)


def _jobs(services: Services, seen: Observations, org: str) -> Check:
    running = services.hub(f"/api/jobs/{org}", [("stage", "SCHEDULING"), ("stage", "RUNNING")])
    ours = [job for job in running if (job.get("labels") or {}).get(ATTEMPT_LABEL)]
    for job in ours:
        seen.answer("job", job)
    return passed("jobs", f"{org} may list its jobs; {len(running)} run now, {len(ours)} of them of ModelOps")


def _hardware(services: Services, seen: Observations, found: Found) -> Check:
    found.hardware = seen.answer("prices of jobs", services.hub("/api/jobs/hardware"))
    for item in found.hardware:
        seen.word("unit of a price", item.get("unitLabel"))
    prices = flavor_prices(found.hardware)
    if not prices:
        return problem(
            "prices of jobs",
            "no flavor has a price that can be read",
            "report it: the service's answer has changed",
        )
    cheapest = min(prices, key=lambda name: prices[name])
    return passed(
        "prices of jobs",
        f"{len(prices)} flavors; the cheapest is {cheapest}, ${prices[cheapest]:.2f} an hour",
    )


def _base_model(services: Services, seen: Observations, base_model: str) -> Check:
    model = seen.answer("base model", services.hub(f"/api/models/{base_model}"))
    if model.get("gated"):
        services.hub(f"/api/models/{base_model}/auth-check")
    licence = (model.get("cardData") or {}).get("license") or "not named"
    return passed("base model", f"{base_model} can be read; its licence is {licence}")


def _endpoints(services: Services, seen: Observations, org: str) -> Check:
    listed = services.endpoints_api(f"/endpoint/{org}")
    seen.answer("list of endpoints", {**listed, "items": []})
    running = [item["name"] for item in listed["items"] if item["status"]["state"] != "paused"]
    bills = f"; these run and bill: {', '.join(running)}" if running else ""
    return passed("Inference Endpoints", f"{org} has {len(listed['items'])}{bills}")


def _provider(services: Services, seen: Observations, found: Found, instance: str, size: str) -> Check:
    found.provider = seen.answer("prices of endpoints", services.endpoints_api(f"/provider/{found.org}"))
    price = instance_price(found.provider, vendor=VENDOR, region=REGION, kind=instance, size=size)
    found.endpoint_price = price
    named = f"{VENDOR}/{REGION} {instance} {size}"
    if price is None:
        return problem("hardware of endpoints", f"{named} is not offered", "choose another with --instance")
    return passed("hardware of endpoints", f"{named} costs ${price:.2f} an hour")


def _langsmith(services: Services, seen: Observations) -> Check:
    info = seen.answer("LangSmith info", services.langsmith_api("/info"))
    for dataset in services.langsmith_api("/datasets", {"limit": "1"}):
        seen.answer("LangSmith dataset", dataset)
    return passed("LangSmith", f"version {info.get('version') or '?'}; datasets can be read")


def _dataset(services: Services, ref: str) -> Check:
    found = resolve_dataset(services.langsmith, ref)
    services.langsmith_api("/examples", {"dataset": found.id, "limit": "1"})
    return passed(f"dataset {ref}", counted(found.example_count or 0, "example"))


def _baseline(services: Services, model: str) -> Check:
    listed = {str(one.get("id")) for one in services.baseline_models().get("data") or ()}
    service = services.account.baseline_service
    if model not in listed:
        return problem("baseline", f"{service} does not list {model}", "choose another with --baseline-model")
    return passed("baseline", f"{model} at {service}")


def _checked(subject: str, check: Callable[[], Check], remedy: str) -> Check:
    try:
        return check()
    except ServiceError as error:
        return problem(subject, str(error), remedy)
    except UNREADABLE as error:
        message = (
            f"the service's answer has another form than the sandbox's ({type(error).__name__}: {error})"
        )
        return problem(subject, message, "report it with the output of `modelops doctor --live -o json`")
