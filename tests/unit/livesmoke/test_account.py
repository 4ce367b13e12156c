"""The account of a live smoke run: which variables it needs, and what of them reaches a report."""

import pytest

from modelops.livesmoke.account import AccountIncompleteError, operator_environment, read_account
from modelops.livesmoke.prices import price_differences
from modelops.livesmoke.report import without_names
from modelops.sandbox.endpoints.hardware import COMPUTES
from modelops.sandbox.jobs.hardware import FLAVORS

TOKENS = {"HF_TOKEN": "hf_abc", "LANGSMITH_API_KEY": "lsv2_abc"}


def test_tokens_alone_mean_the_real_services_and_a_baseline_of_hugging_face() -> None:
    account = read_account(TOKENS)
    assert account.hub_url == "https://huggingface.co"
    assert account.langsmith_url == "https://api.smith.langchain.com"
    assert (account.baseline_service, account.baseline_token_variable) == ("huggingface", "HF_TOKEN")
    assert account.baseline_url == "https://router.huggingface.co/v1"
    assert not account.sandbox


def test_a_key_of_openrouter_chooses_its_baseline() -> None:
    account = read_account({**TOKENS, "OPENROUTER_API_KEY": "sk-or-abc"})
    assert (account.baseline_service, account.baseline_token) == ("openrouter", "sk-or-abc")


@pytest.mark.parametrize("missing", ["HF_TOKEN", "LANGSMITH_API_KEY"])
def test_a_missing_token_is_named_with_the_place_to_make_one(missing: str) -> None:
    given = {name: value for name, value in TOKENS.items() if name != missing}
    with pytest.raises(AccountIncompleteError, match=f"{missing} is not set: make a"):
        read_account(given)


def test_every_problem_is_listed_at_once() -> None:
    with pytest.raises(AccountIncompleteError) as refused:
        read_account({"HF_TOKEN": "hf_a b", "HF_ENDPOINT": "http://hub.example"})
    for word in (
        "white space",
        "LANGSMITH_API_KEY is not set",
        "HF_ENDPOINT=http://hub.example has no https",
    ):
        assert word in str(refused.value)
    assert "hf_a b" not in str(refused.value)


def test_the_sandbox_switch_refuses_a_real_address() -> None:
    with pytest.raises(AccountIncompleteError, match="MODELOPS_SANDBOX=1"):
        read_account({**TOKENS, "MODELOPS_SANDBOX": "1"})


def test_the_operator_of_a_run_gets_no_setting_of_another_installation() -> None:
    environ = {
        **TOKENS,
        "MODELOPS_KUBECONFIG": "/prod",
        "MODELOPS_ENV_FILE": "/prod.env",
        "MODELOPS_POLL_SECONDS": "9",
    }
    given = operator_environment(read_account(environ), environ)
    assert given["MODELOPS_POLL_SECONDS"] == "9"
    assert not {"MODELOPS_KUBECONFIG", "MODELOPS_ENV_FILE", "LANGSMITH_API_KEY"} & set(given)


def test_a_report_has_no_token_and_no_name_of_the_account() -> None:
    text = "hf_abc of anna, model anna/code-chef-x, annabel stays"
    assert (
        without_names(text, ["anna"], ["hf_abc"])
        == "*** of <account>, model <account>/code-chef-x, annabel stays"
    )


def test_prices_that_differ_from_the_sandbox_are_named() -> None:
    hardware = [flavor.to_json() for flavor in FLAVORS.values()]
    listed = [compute.to_json(vendor="aws", region="us-east-1", used=0) for compute in COMPUTES]
    provider = {"vendors": [{"name": "aws", "regions": [{"name": "us-east-1", "computes": listed}]}]}
    assert price_differences(hardware, provider) == []
    dearer = [
        {**one, "unitCostMicroUSD": 2 * one["unitCostMicroUSD"]} if one["name"] == "t4-small" else one
        for one in hardware
    ]
    lines = price_differences([*dearer[:-1], {**dearer[-1], "name": "b300"}], provider)
    assert "flavor t4-small: $0.80 an hour, in the sandbox $0.40" in lines
    assert "flavors offered, and not in the sandbox: b300" in lines
