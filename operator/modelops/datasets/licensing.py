"""The licences of base model and source, gathered and judged. See `domain.licences`."""

from __future__ import annotations

import re

from modelops.datasets.hub_facts import licence
from modelops.datasets.refusals import named
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.source import Version
from modelops.domain.licences import Licensed, assess_licences
from modelops.workdir import ProgramFailure

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_MODEL = "model:"


def check_licences(request: Request, version: Version, *, report: Report) -> None:
    """Raises ProgramFailure: LicenceNotAllowed, HubUnavailable. Asks nobody where everything is allowed."""
    if request.source:
        report.figures["source"] = request.source
    if not request.allowed_licences:
        return
    things = []
    if request.base_model is not None:
        repo = request.base_model.repo
        things.append(Licensed(what=f"base model {repo}", licence=licence(repo), required=True))
    things.append(Licensed(what=named(request, version.name), licence=version.licence, required=False))
    if request.source and request.source.startswith(_MODEL):
        writer = request.source.removeprefix(_MODEL)
        known = licence(writer) if _REPOSITORY.fullmatch(writer) else ""
        things.append(Licensed(what=f"the answers' author {writer}", licence=known, required=False))
    report.figures["licences"] = {thing.what: thing.licence or "not known" for thing in things}
    verdict = assess_licences(things, allowed=request.allowed_licences)
    for sentence in verdict.findings:
        report.find(sentence)
    if verdict.refused:
        raise ProgramFailure(
            "LicenceNotAllowed",
            f"{'; '.join(verdict.refused)}; the AgentModel's spec.allowedLicences has "
            f"{', '.join(request.allowed_licences)}. Choose another, or allow it there",
        )
