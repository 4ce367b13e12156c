"""Licences of the base model and of the dataset's sources, checked against the allowed ones. See `domain.licences`."""

from __future__ import annotations

import re

from modelops.datasets.download import DatasetVersion
from modelops.datasets.hub_models import read_licence
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.domain.licences import LicensedInput, assess_licences
from modelops.workdir import ProgramFailure

_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_MODEL = "model:"


def check_licences(request: Request, version: DatasetVersion, *, report: Report) -> None:
    """Raises ProgramFailure: LicenceNotAllowed, HubUnavailable.

    The Hub is not asked where the AgentModel allows every licence.
    """
    if request.source:
        report.figures["source"] = request.source
    if not request.allowed_licences:
        return
    things = []
    if request.base_model is not None:
        repo = request.base_model.repo
        things.append(LicensedInput(what=f"base model {repo}", licence=read_licence(repo), required=True))
    dataset = request.describe_dataset(version.name)
    things.append(LicensedInput(what=dataset, licence=version.licence, required=False))
    if request.source and request.source.startswith(_MODEL):
        author = request.source.removeprefix(_MODEL)
        known = read_licence(author) if _REPOSITORY.fullmatch(author) else ""
        things.append(LicensedInput(what=f"the answers' author {author}", licence=known, required=False))
    report.figures["licences"] = {thing.what: thing.licence or "not known" for thing in things}
    verdict = assess_licences(things, allowed=request.allowed_licences)
    for finding in verdict.findings:
        report.add_finding(finding)
    if verdict.refused:
        raise ProgramFailure(
            "LicenceNotAllowed",
            f"{'; '.join(verdict.refused)}; the AgentModel's spec.allowedLicences has "
            f"{', '.join(request.allowed_licences)}. Choose another base model or dataset, or add the licence there",
        )
