"""The operator's settings, from its environment and an optional file; every value is checked at the start.

`pydantic-settings` reads the variables and the file. Ours are the messages, which name the variable and the remedy
and list every problem at once, and the table of where each value came from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from modelops.adapters.huggingface.payload import TrainerName
from modelops.adapters.programjobs import ProgramPodSettings
from modelops.api.v1alpha1.meta import HubRepository
from modelops.api.v1alpha1.notification import NotificationType, Severity
from modelops.code_tests.shells import SETTING as CODE_TESTS
from modelops.code_tests.shells import Shell
from modelops.domain.model_hosts import ModelHosts, is_loopback, parse_host_list
from modelops.domain.notifications.hosts import NotificationHosts
from modelops.listening import EVERY_ADDRESS
from modelops.loopback import SWITCH, NotLoopbackError, assert_loopback, sandboxed

ENV_FILE = "MODELOPS_ENV_FILE"
"""Names a file of `VARIABLE=value` lines. The environment has precedence over it."""
MIN_SECRET_LENGTH = 16
"""In characters; a shared secret for reports is refused below it."""
_CANNOT_START = "the operator cannot start with these settings:"


class SettingsError(Exception):
    """The settings are invalid; the message lists every problem, with the variable and the remedy."""


def _checked_url(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or "@" in value:
        raise ValueError("write a URL that begins with http:// or https://")
    if not urlsplit(value).hostname:
        raise ValueError("the URL has no host")
    return value.rstrip("/")


Url = Annotated[str, BeforeValidator(_checked_url)]
Port = Annotated[int, Field(ge=0, le=65535)]


def _default_state_dir() -> Path:
    """`$XDG_STATE_HOME/modelops`; XDG Base Directory Specification."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "modelops"


class Settings(BaseSettings):
    """Every variable that the operator reads, with its default.

    `.env.template` and the settings table of docs/guides/operating.md explain the same variables to people.
    A variable that is set but empty counts as not set. Lists are separated by commas, so they are not decoded as JSON.
    Defaults are not validated: an empty one may mean "not set" where a value must have a form.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        case_sensitive=True,
        env_ignore_empty=True,
        enable_decoding=False,
        validate_default=False,
    )

    hub_token: SecretStr = Field(SecretStr(""), alias="HUGGINGFACE_HUB_TOKEN")
    """The installation's own Hugging Face token. It cleans up after an agent whose Secret was deleted."""
    jobs_enabled: bool = Field(True, alias="HUGGINGFACE_JOBS_ENABLED")
    """When false, TrainingRuns with `backend.huggingFace` wait with the reason JobsDisabled."""
    hub_org: str = Field("", alias="MODELOPS_HUB_ORG")
    """The organisation or user on the Hub that owns every repository. The operator does not start without it."""
    default_base_model: HubRepository = Field("", alias="MODELOPS_DEFAULT_BASE_MODEL")
    """`organisation/name`, for TrainingRuns that name no base model. When empty, such runs wait."""
    hf_endpoint: Url = Field("https://huggingface.co", alias="HF_ENDPOINT")
    endpoints_url: Url = Field("https://api.endpoints.huggingface.cloud/v2", alias="MODELOPS_ENDPOINTS_URL")
    langsmith_endpoint: Url = Field("https://api.smith.langchain.com", alias="LANGSMITH_ENDPOINT")
    langsmith_api_key: SecretStr = Field(SecretStr(""), alias="LANGSMITH_API_KEY")
    """For the operator's own traces. When empty, none are sent."""
    openrouter_base_url: Url = Field("https://openrouter.ai/api/v1", alias="OPENROUTER_BASE_URL")
    openrouter_api_key: SecretStr = Field(SecretStr(""), alias="OPENROUTER_API_KEY")
    """The operator does not use it, since each agent has its own key. It is read so that it is kept out of logs."""
    prometheus_url: Url = Field("", alias="MODELOPS_PROMETHEUS_URL")
    """The installation's Prometheus, before /api/v1/query, for metrics of canaries. When empty, agents name theirs."""
    prometheus_token: SecretStr = Field(SecretStr(""), alias="MODELOPS_PROMETHEUS_TOKEN")
    """The bearer token for that address alone. When empty, none is sent."""
    model_host_list: tuple[str, ...] = Field((), alias="MODELOPS_MODEL_HOSTS")
    """Hosts, besides those of the services, that may be sent an agent's token; separated by commas."""
    notification_url: SecretStr = Field(SecretStr(""), alias="MODELOPS_NOTIFICATION_URL")
    """Where the transitions of every agent are told, besides `spec.notifications`. When empty, nowhere."""
    notification_type: NotificationType = Field(NotificationType.SLACK, alias="MODELOPS_NOTIFICATION_TYPE")
    notification_key: SecretStr = Field(SecretStr(""), alias="MODELOPS_NOTIFICATION_KEY")
    """Signs the requests of the types webhook and cloudevents."""
    notification_severity: Severity = Field(Severity.WARNING, alias="MODELOPS_NOTIFICATION_SEVERITY")
    """The lowest severity that is sent to MODELOPS_NOTIFICATION_URL."""
    notification_host_list: tuple[str, ...] = Field((), alias="MODELOPS_NOTIFICATION_HOSTS")
    """Hosts to which notifications may be sent although they are inside or have no https; separated by commas."""
    sandbox: bool = Field(False, alias=SWITCH)
    """When true, the operator refuses to start unless every service is on this machine."""
    state_dir: Path = Field(default_factory=_default_state_dir, alias="MODELOPS_STATE_DIR")
    """The folder for the work folders of the dataset and evaluation programs."""
    program_jobs: ProgramPodSettings | None = Field(None, alias="MODELOPS_PROGRAM_JOBS")
    """The Pods of the dataset and evaluation programs, as JSON. When empty, the programs are local processes."""
    code_tests: Shell = Field(Shell.BUBBLEWRAP, alias=CODE_TESTS)
    """What is around the code of models that scorer `tests` runs: bubblewrap, inner (no namespaces), pod, or off."""
    trainer: TrainerName = Field("trl", alias="MODELOPS_TRAINER")
    """The trainer that a job runs: `trl` trains language models; `tiny` takes seconds and is for the sandbox only."""
    training_image: str = Field(
        "", alias="MODELOPS_TRAINING_IMAGE", max_length=255, pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9_.:/@-]*$"
    )
    """Your own container image for training jobs, with `uv`. When empty, the trainer's image, pinned by digest."""
    training_security_context: dict[str, Any] | None = Field(None, alias="MODELOPS_TRAINING_SECURITY_CONTEXT")
    """The securityContext of the Pods of `backend.kubernetes`, as JSON. When empty, user and group are 1000."""
    training_defaults: Path | None = Field(None, alias="MODELOPS_TRAINING_DEFAULTS")
    """Path of your own training_defaults.yaml."""
    bind_address: str = Field("", alias="MODELOPS_BIND_ADDRESS")
    """The address to listen on. When empty, 127.0.0.1 in the sandbox and otherwise `::`, which is every address."""
    metrics_port: Port = Field(8080, alias="MODELOPS_METRICS_PORT")
    """For /metrics, /healthz and /readyz; 0 takes a free port."""
    report_port: Port = Field(8081, alias="MODELOPS_REPORT_PORT")
    """For the reports of agents; 0 takes a free port."""
    report_token: SecretStr = Field(SecretStr(""), alias="MODELOPS_REPORT_TOKEN")
    """A shared secret for reports. When empty, service account tokens are checked by TokenReview."""
    kubeconfig: Path | None = Field(None, alias="KUBECONFIG")
    namespace: str = Field("", alias="MODELOPS_NAMESPACE")
    """Where the lease and the installation's id are. When empty, the namespace of the Pod or the kubeconfig."""
    touch_pods: bool = Field(True, alias="MODELOPS_TOUCH_PODS")
    """Whether a change of the agents' file is followed by an annotation of the Pods that mount it."""
    watch_namespaces: tuple[str, ...] = Field((), alias="MODELOPS_WATCH_NAMESPACES")
    """Separated by commas. When empty, all namespaces."""
    poll_seconds: float = Field(15.0, alias="MODELOPS_POLL_SECONDS", ge=0.05)
    """Seconds between two listings of an account's running jobs."""
    progress_seconds: float = Field(30.0, alias="MODELOPS_PROGRESS_SECONDS", ge=0.05)
    """Seconds between two readings of the log of a running job, which reports loss and percent."""
    settle_seconds: float = Field(45.0, alias="MODELOPS_SETTLE_SECONDS", ge=0.05)
    """Seconds between a submission whose answer was lost and the search for the job by its label."""
    approval_seconds: float = Field(86400.0, alias="MODELOPS_APPROVAL_SECONDS", ge=1, le=31536000)
    """Seconds for which an offer may be approved. After that a new offer is made, with the current price."""
    retry_seconds: float = Field(30.0, alias="MODELOPS_RETRY_SECONDS", ge=0.05, le=600)
    """Seconds between a failed attempt and the next one. The wait doubles with each attempt, up to 600."""
    scheduling_seconds: float = Field(1800.0, alias="MODELOPS_SCHEDULING_SECONDS", ge=1)
    """Seconds that a job waits for hardware. After that, with `flavor: auto`, other hardware is tried."""
    resync_seconds: float = Field(600.0, alias="MODELOPS_RESYNC_SECONDS", ge=1)
    """Seconds between two full listings, which find missed deletions."""
    workers: int = Field(16, alias="MODELOPS_WORKERS", ge=1, le=256)
    """Objects that are reconciled at the same time."""
    lease_seconds: float = Field(15.0, alias="MODELOPS_LEASE_SECONDS", ge=1)
    """Seconds after which a leader that does not renew its lease is replaced."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="MODELOPS_LOG_LEVEL")

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split_namespaces(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("model_host_list", "notification_host_list", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        return parse_host_list(value.split(",")) if isinstance(value, str) else value

    @field_validator("program_jobs", "training_security_context", mode="before")
    @classmethod
    def _read_json(cls, value: object) -> object:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError as error:
            raise ValueError(f"this is not JSON: {error}") from error

    @field_validator("sandbox", mode="before")
    @classmethod
    def _read_switch(cls, value: object) -> object:
        return sandboxed(value) if isinstance(value, str) else value

    @field_validator("report_token")
    @classmethod
    def _require_long_secret(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError(f"the secret has less than {MIN_SECRET_LENGTH} characters; write a longer one")
        return value

    @model_validator(mode="after")
    def _require_real_trainer(self) -> Self:
        if self.trainer == "tiny" and not self.sandbox:
            raise ValueError(
                "MODELOPS_TRAINER=tiny trains no language model: leave it out, or use the sandbox"
            )
        return self

    @model_validator(mode="after")
    def _require_allowed_notification_url(self) -> Self:
        url = self.notification_url.get_secret_value()
        refusal = self.notification_hosts.refusal(url) if url else ""
        if refusal:
            raise ValueError(f"MODELOPS_NOTIFICATION_URL cannot be used: {refusal}")
        return self

    @field_validator("training_defaults")
    @classmethod
    def _require_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("the file does not exist")
        return value

    @property
    def model_hosts(self) -> ModelHosts:
        """The hosts that may be sent an agent's token."""
        address = urlsplit(self.openrouter_base_url)
        own = ("http://" if address.scheme == "http" else "") + address.netloc.lower()
        return ModelHosts(
            added=self.model_host_list,
            openrouter=() if is_loopback(self.openrouter_base_url) else (own,),
            loopback=self.sandbox,
        )

    @property
    def notification_hosts(self) -> NotificationHosts:
        """Where notifications may be sent."""
        return NotificationHosts(added=self.notification_host_list, loopback=self.sandbox)

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.bind_address or ("127.0.0.1" if self.sandbox else EVERY_ADDRESS)


def load_settings() -> tuple[Settings, dict[str, str]]:
    """The settings, and where each came from: `environment`, the file's path, or `default`.

    Raises:
        SettingsError: lists every problem.
    """
    file = os.environ.get(ENV_FILE, "")
    if file and not Path(file).is_file():
        raise SettingsError(f"{ENV_FILE}={file}: the file does not exist")
    from_environment = EnvSettingsSource(Settings)()
    from_file = DotEnvSettingsSource(Settings, env_file=file or None)()
    settings, problems = None, list[str]()
    try:
        settings = Settings(_env_file=file or None)
    except ValidationError as error:
        problems += (
            _problem_message(problem)
            for problem in error.errors(include_url=False)
            if problem["loc"][:1] != (SWITCH,)  # The guard below reports that one.
        )
    try:
        assert_loopback({**from_file, **from_environment})
    except NotLoopbackError as error:
        problems.append(str(error))
    if settings is None or problems:
        raise SettingsError("\n  ".join([_CANNOT_START, *problems]))
    sources = {
        alias: "environment" if alias in from_environment else file if alias in from_file else "default"
        for alias in (str(field.alias) for field in Settings.model_fields.values())
    }
    return settings, sources


def require_hub_org(settings: Settings) -> None:
    """Raises SettingsError where no organisation or user is set as the owner of repositories on the Hub."""
    if not settings.hub_org:
        raise SettingsError(
            f"{_CANNOT_START}\n  MODELOPS_HUB_ORG: not set; write the organisation or user "
            "on the Hub that owns every repository"
        )


def settings_table(settings: Settings, sources: Mapping[str, str]) -> list[dict[str, str]]:
    """Each variable with its value and its source, for the log; of a secret only `set` or `not set`."""
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = "set" if value.get_secret_value() else "not set"
        rows.append({"variable": str(field.alias), "value": str(value), "from": sources[str(field.alias)]})
    return rows


def _problem_message(problem: Any) -> str:
    """What pydantic reports, after the variable's name where one variable is wrong; never a secret's value."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    variable = problem["loc"][0]
    field = next(field for field in Settings.model_fields.values() if field.alias == variable)
    value = "" if field.annotation is SecretStr else f" (it is {problem['input']!r})"
    field_path = ".".join(str(part) for part in problem["loc"][1:])
    return f"{variable}: {f'{field_path}: ' if field_path else ''}{message}{value}"
