"""The record of an agent: versions, money and the agent's state, in one ConfigMap that only the operator writes."""

from modelops.domain.record.endpoint import EndpointEntry
from modelops.domain.record.parts import (
    DATA_PRUNED,
    DATA_PRUNING,
    PRUNED,
    PRUNING,
    ActiveRollout,
    Completed,
    Current,
    DeploymentStatus,
    RecordPart,
    RegistryEntry,
    Reservation,
    Settlement,
    Target,
    TrainingSpeeds,
)
from modelops.domain.record.record import LEDGER_KEY, REGISTRY_KEY, MalformedRecord, Record, initial_record

__all__ = [
    "DATA_PRUNED",
    "DATA_PRUNING",
    "LEDGER_KEY",
    "PRUNED",
    "PRUNING",
    "REGISTRY_KEY",
    "ActiveRollout",
    "Completed",
    "Current",
    "DeploymentStatus",
    "EndpointEntry",
    "MalformedRecord",
    "Record",
    "RecordPart",
    "RegistryEntry",
    "Reservation",
    "Settlement",
    "Target",
    "TrainingSpeeds",
    "initial_record",
]
