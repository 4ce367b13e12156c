"""The public API of the router, which agents import."""

import inspect
import subprocess
import sys

import modelops.router
from modelops.router import Route, Router


def test_the_exported_names_are_these() -> None:
    assert sorted(modelops.router.__all__) == [
        "CallsExhausted",
        "EvaluationArm",
        "EvaluationNotAllowed",
        "LATENCY_BUCKETS_MS",
        "NoConfiguration",
        "Request",
        "Route",
        "Router",
        "RouterState",
        "WatchConfig",
        "bucket_of",
        "evaluation_arm",
        "latency_quantile",
        "require_evaluation_token",
    ]


def test_a_router_has_these_methods() -> None:
    methods = {name for name, _ in inspect.getmembers(Router, inspect.isfunction) if not name.startswith("_")}
    assert methods == {
        "async_openai",
        "call",
        "chat_model",
        "close",
        "observe",
        "openai",
        "pick",
        "request",
        "run_metadata",
        "state",
        "wait_ready",
    }


def test_a_route_has_these_fields() -> None:
    assert Route._fields == (
        "track",
        "model",
        "served_model",
        "endpoint",
        "endpoint_url",
        "api_key_env",
        "version",
        "generation",
        "salt",
    )


def test_importing_it_imports_the_standard_library_only_and_no_network() -> None:
    code = (
        "import sys; before = set(sys.modules); import modelops.router;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert imported - sys.stdlib_module_names == {"modelops"}
    assert not imported & {"http", "ssl", "socket", "json", "asyncio", "urllib", "dataclasses", "inspect"}
