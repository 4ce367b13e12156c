"""`python -m modelops.runtime`: runs the operator with the settings of its environment (config/env/.env.template)."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys

from pydantic import SecretStr

from modelops.adapters.kube import ConfigurationError
from modelops.ports import NotLeader, Refused, Unavailable, Uncertain
from modelops.runtime.logs import set_up_logging
from modelops.runtime.process import FAILED, OperatorProcess
from modelops.runtime.settings import Settings, SettingsError, load_settings, require_hub_org, settings_table
from modelops.runtime.training_defaults import TrainingDefaultsError, load_training_defaults

SWITCH_SECONDS = 0.0005
"""How long a thread of an SDK may block the event loop at a time. Python's default is 5 ms at each socket call."""

_log = logging.getLogger("modelops.runtime")


async def _run(settings: Settings) -> int:
    return await OperatorProcess(settings).run()


def main() -> int:
    """Runs the operator; returns its exit code: 0 stopped, 1 failed, 2 wrong environment, 3 lease lost."""
    try:
        settings, sources = load_settings()
        require_hub_org(settings)
        load_training_defaults(settings.training_defaults)
    except (SettingsError, TrainingDefaultsError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    values = (getattr(settings, name) for name in Settings.model_fields)
    set_up_logging(
        settings.log_level, secrets=(v.get_secret_value() for v in values if isinstance(v, SecretStr))
    )
    _log.info("settings", extra={"details": settings_table(settings, sources)})
    # The SDK reads the Hub's address from the environment at its import; the setting may be from a file.
    os.environ["HF_ENDPOINT"] = settings.hf_endpoint
    sys.setswitchinterval(SWITCH_SECONDS)
    # No core dumps: tokens are in the memory of this process and of the programs, which inherit the limit.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        return asyncio.run(_run(settings))
    except (ConfigurationError, Refused, Unavailable, Uncertain, NotLeader, OSError) as error:
        _log.error("the operator cannot start: %s", error)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
