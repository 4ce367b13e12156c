"""What the operator is told by its environment, checked at once before anything is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from modelops.adapters.huggingface.payload import TrainerName
from modelops.api.v1alpha1.meta import HubRepository
from modelops.domain.model_hosts import ModelHosts, entries, is_loopback
from modelops.loopback import SWITCH, NotLoopbackError, assert_loopback, sandboxed

ENV_FILE = "MODELOPS_ENV_FILE"
SHORTEST_SECRET = 16


class SettingsError(Exception):
    """The environment cannot be used; the message lists every problem, with the variable and the remedy."""


def _url(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or "@" in value:
        raise ValueError("write a URL that begins with http:// or https://")
    if not urlsplit(value).hostname:
        raise ValueError("the URL names no host")
    return value.rstrip("/")


Url = Annotated[str, BeforeValidator(_url)]
Port = Annotated[int, Field(ge=0, le=65535)]


def _state_dir() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "modelops"


class Settings(BaseModel):
    """Every variable that the operator reads, with its default. `.env.template` says the same to people."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hub_token: SecretStr = Field(SecretStr(""), alias="HUGGINGFACE_HUB_TOKEN")
    """The installation's own token, for cleaning up where an agent's Secret is gone."""
    jobs_enabled: bool = Field(True, alias="HUGGINGFACE_JOBS_ENABLED")
    """False: TrainingRuns with backend.huggingFace wait with the reason JobsDisabled."""
    hub_org: str = Field("", alias="MODELOPS_HUB_ORG")
    """Organisation or user on the Hub that owns every repository."""
    default_base_model: HubRepository = Field("", alias="MODELOPS_DEFAULT_BASE_MODEL")
    """Of TrainingRuns that name none, `organisation/name`; empty: they wait."""
    hf_endpoint: Url = Field("https://huggingface.co", alias="HF_ENDPOINT")
    endpoints_url: Url = Field("https://api.endpoints.huggingface.cloud/v2", alias="MODELOPS_ENDPOINTS_URL")
    langsmith_endpoint: Url = Field("https://api.smith.langchain.com", alias="LANGSMITH_ENDPOINT")
    langsmith_api_key: SecretStr = Field(SecretStr(""), alias="LANGSMITH_API_KEY")
    """For the operator's own traces; empty: none are sent."""
    openrouter_base_url: Url = Field("https://openrouter.ai/api/v1", alias="OPENROUTER_BASE_URL")
    openrouter_api_key: SecretStr = Field(SecretStr(""), alias="OPENROUTER_API_KEY")
    """Of no use to the operator, since agents bring their own; known, so that it is kept out of logs."""
    model_host_list: tuple[str, ...] = Field((), alias="MODELOPS_MODEL_HOSTS")
    """Hosts besides the services' own where models are asked with an agent's token, separated by commas."""
    sandbox: bool = Field(False, alias=SWITCH)
    """True: refuses to start unless every service is on this machine."""
    state_dir: Path = Field(default_factory=_state_dir, alias="MODELOPS_STATE_DIR")
    """Working folders of the dataset and evaluation programs."""
    trainer: TrainerName = Field("trl", alias="MODELOPS_TRAINER")
    """What is shipped into a job: trl trains language models; tiny, in seconds, is for the sandbox only."""
    training_image: str = Field(
        "", alias="MODELOPS_TRAINING_IMAGE", max_length=255, pattern=r"^$|^[A-Za-z0-9][A-Za-z0-9_.:/@-]*$"
    )
    """A container image of your own for training jobs, with uv; empty: the trainer's, pinned by its digest."""
    training_defaults: Path | None = Field(None, alias="MODELOPS_TRAINING_DEFAULTS")
    """A training_defaults.yaml of your own."""
    bind_address: str = Field("", alias="MODELOPS_BIND_ADDRESS")
    """Empty: 127.0.0.1 in the sandbox, every address otherwise."""
    metrics_port: Port = Field(8080, alias="MODELOPS_METRICS_PORT")
    """/metrics, /healthz, /readyz; 0 takes a free port."""
    report_port: Port = Field(8081, alias="MODELOPS_REPORT_PORT")
    """Where agents report what they use; 0 takes a free port."""
    report_token: SecretStr = Field(SecretStr(""), alias="MODELOPS_REPORT_TOKEN")
    """A shared secret for reports; empty: service account tokens are checked by TokenReview."""
    kubeconfig: Path | None = Field(None, alias="KUBECONFIG")
    namespace: str = Field("", alias="MODELOPS_NAMESPACE")
    """Where the lease and the installation's id are; empty: our Pod's namespace or the kubeconfig's."""
    watch_namespaces: tuple[str, ...] = Field((), alias="MODELOPS_WATCH_NAMESPACES")
    """Separated by commas; empty: all."""
    poll_seconds: float = Field(15.0, alias="MODELOPS_POLL_SECONDS", ge=0.05)
    """Between two listings of an account's running jobs."""
    progress_seconds: float = Field(30.0, alias="MODELOPS_PROGRESS_SECONDS", ge=0.05)
    """Between two readings of a running job's own reports (loss, percent)."""
    settle_seconds: float = Field(45.0, alias="MODELOPS_SETTLE_SECONDS", ge=0.05)
    """After a lost answer to a submission, before the job is looked for by its label."""
    approval_seconds: float = Field(86400.0, alias="MODELOPS_APPROVAL_SECONDS", ge=1, le=31536000)
    """How long an offer may be approved before it is made anew, with the price of that day."""
    retry_seconds: float = Field(30.0, alias="MODELOPS_RETRY_SECONDS", ge=0.05, le=600)
    """After a job that was lost, before the next attempt; twice as long after each further one, 600 at most."""
    scheduling_seconds: float = Field(1800.0, alias="MODELOPS_SCHEDULING_SECONDS", ge=1)
    """How long a job waits for hardware before, with flavor auto, other hardware is tried."""
    resync_seconds: float = Field(600.0, alias="MODELOPS_RESYNC_SECONDS", ge=1)
    """Between two full listings, which collect missed deletions."""
    workers: int = Field(16, alias="MODELOPS_WORKERS", ge=1, le=256)
    lease_seconds: float = Field(15.0, alias="MODELOPS_LEASE_SECONDS", ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", alias="MODELOPS_LOG_LEVEL")

    @field_validator("watch_namespaces", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("model_host_list", mode="before")
    @classmethod
    def _hosts(cls, value: object) -> object:
        return entries(value.split(",")) if isinstance(value, str) else value

    @field_validator("sandbox", mode="before")
    @classmethod
    def _switched(cls, value: object) -> object:
        return sandboxed(value) if isinstance(value, str) else value

    @field_validator("report_token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"it has less than {SHORTEST_SECRET} characters; make a longer secret")
        return value

    @model_validator(mode="after")
    def _real_trainer(self) -> Self:
        if self.trainer == "tiny" and not self.sandbox:
            raise ValueError(
                "MODELOPS_TRAINER=tiny trains no language model: leave it out, or use the sandbox"
            )
        return self

    @field_validator("training_defaults")
    @classmethod
    def _is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("there is no such file")
        return value

    @property
    def model_hosts(self) -> ModelHosts:
        """Where a model may be asked with an agent's token."""
        address = urlsplit(self.openrouter_base_url)
        own = ("http://" if address.scheme == "http" else "") + address.netloc.lower()
        return ModelHosts(
            added=self.model_host_list,
            openrouter=() if is_loopback(self.openrouter_base_url) else (own,),
            loopback=self.sandbox,
        )

    @property
    def host(self) -> str:
        """The address to listen on."""
        return self.bind_address or ("127.0.0.1" if self.sandbox else "0.0.0.0")


def load(environ: Mapping[str, str] = os.environ) -> tuple[Settings, dict[str, str]]:
    """The settings, and where each came from: `environment`, the file's path, or `default`.

    The environment goes before the file that MODELOPS_ENV_FILE names. A variable that is set but empty counts
    as not set.

    Raises:
        SettingsError: lists every problem.
    """
    file = environ.get(ENV_FILE, "")
    if file and not Path(file).is_file():
        raise SettingsError(f"{ENV_FILE}={file}: no such file")
    from_file = {k: v for k, v in dotenv_values(file).items() if v} if file else {}
    merged = {**from_file, **{k: v for k, v in environ.items() if v}}
    problems: list[str] = []
    settings: Settings | None = None
    try:
        settings = Settings.model_validate({alias: merged[alias] for alias in _aliases() if alias in merged})
    except ValidationError as error:
        problems += (
            _problem(problem)
            for problem in error.errors(include_url=False)
            if problem["loc"][:1] != (SWITCH,)  # The guard tells of that one.
        )
    try:
        assert_loopback(merged)
    except NotLoopbackError as error:
        problems.append(str(error))
    if settings is None or problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise SettingsError(f"the operator's environment cannot be used:\n{listed}")
    sources = {
        alias: "environment" if environ.get(alias) else file if alias in from_file else "default"
        for alias in _aliases()
    }
    return settings, sources


def require_owner(settings: Settings) -> None:
    """Raises SettingsError where nobody would own what is made on the Hub."""
    if not settings.hub_org:
        raise SettingsError(
            "the operator's environment cannot be used:\n  MODELOPS_HUB_ORG: not set; write the organisation or user "
            "on the Hub that owns every repository"
        )


def described(settings: Settings, sources: Mapping[str, str]) -> list[dict[str, str]]:
    """Each variable with its value and source, for a log; secrets are only `set` or `not set`."""
    lines = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = "set" if value.get_secret_value() else "not set"
        lines.append({"variable": str(field.alias), "value": str(value), "from": sources[str(field.alias)]})
    return lines


def _aliases() -> list[str]:
    return [str(field.alias) for field in Settings.model_fields.values()]


def _problem(problem: Any) -> str:
    """With the variable that it is about, unless it is about several."""
    return f"{problem['loc'][0]}: {_said(problem)}" if problem["loc"] else _message(problem)


def _message(problem: Any) -> str:
    return str(problem["msg"]).removeprefix("Value error, ")


def _said(problem: Any) -> str:
    message = _message(problem)
    field = next(f for f in Settings.model_fields.values() if f.alias == problem["loc"][0])
    secret = field.annotation is SecretStr
    return message if secret else f"{message} (it is {problem['input']!r})"
