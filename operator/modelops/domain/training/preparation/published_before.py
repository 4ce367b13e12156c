"""Where a record was lost, or is restored after its runs: what this installation has published goes into it first.

A run whose model is among that is completed, and trains nothing again. So the order of a restore does not decide
whether a model is paid for twice.
"""

from __future__ import annotations

from modelops.domain.agentmodel.published import with_published
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.hub_repositories import ModelRepository, RepositoryCatalog
from modelops.domain.plan import Announce, Plan, WriteRecord
from modelops.domain.record import Record
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import agent_name, hub_organisation
from modelops.domain.training.state import State
from modelops.domain.training.status import wait_for_hub


def restore_record_from_hub(state: State) -> TrainingPlan | None:
    """Asks the Hub while the record knows of no run that has ended: in normal life only before the agent's first model.

    Only models of this installation count: another cluster may share the organisation, and have an agent of this name.
    """
    record = state.require_record()
    if knows_an_ended_run(record):
        return None
    if state.published is UNSEEN:
        return Plan(needs=TrainingFact.PUBLISHED)
    if isinstance(state.published, Outage):
        about = f"models of agent {agent_name(state)} in {hub_organisation(state)}"
        return None if state.published.is_final else wait_for_hub(state, state.published, about)
    namespace, name = state.run.metadata.namespace, state.run.spec.agent_model_ref.name
    models = tuple(
        ModelRepository(repo=m.repo, revision=m.revision, published_at=m.published_at, lineage=m.lineage)
        for m in state.published
        if m.lineage.get("installation") == state.settings.installation
    )
    found = with_published(record, RepositoryCatalog(models=models), agent_model=f"{namespace}/{name}").record
    if found == record:
        return None
    versions = ", ".join(entry.version for entry in found.history)
    message = (
        f"the record of AgentModel {name} knew of no run, but the Hub has models that it trained, which are in the "
        f"record now: {versions}. If you have a backup of ConfigMap {name}-modelops-record, stop the operator, delete "
        "that ConfigMap and restore it: costs and rollouts are only there"
    )
    return Plan(
        steps=(
            WriteRecord(record=found, purpose=f"what only the Hub has: {versions}"),
            Announce(reason="RecordRebuilt", message=message, warning=True),
        ),
        requeue_after=0,
    )


def knows_an_ended_run(record: Record) -> bool:
    """Whether some run's end is on record; then the record was not begun anew for the runs that exist now."""
    return bool(record.history or record.completed or record.settlements)
