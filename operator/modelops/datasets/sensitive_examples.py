"""Examples with secrets or personal data: each is named with the field that has them, and never with its content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.datasets.example_fields import field_with
from modelops.datasets.rendering import RenderedExample
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.sensitive import find_sensitive
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure

_SHOWN = 5


@dataclass
class SensitiveExamples:
    """For each kind the ids of the examples that contain it, and for the first of them the field that does."""

    fields_by_kind: dict[SensitiveKind, dict[str, str]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    """Ids of examples that the request leaves out for a kind that they contain."""

    def without_those_left_out(
        self, batch: Sequence[RenderedExample], *, request: Request
    ) -> list[RenderedExample]:
        """The rendered examples that may be used; what is found in any of them is noted."""
        leave_out = set(request.leave_out_sensitive) - set(request.allow_sensitive)
        for one in batch:
            kinds = find_sensitive(one.text)
            for kind in kinds:
                self._note(kind, one)
            if kinds & leave_out:
                self.left_out.add(one.example.id)
        return [one for one in batch if one.example.id not in self.left_out]

    def _note(self, kind: SensitiveKind, one: RenderedExample) -> None:
        """Examples come in the order of their ids, and only the first of a kind are shown with their field."""
        found = self.fields_by_kind.setdefault(kind, {})
        if one.example.id not in found:
            is_shown = len(found) < _SHOWN
            field = field_with(one.example, lambda text: kind in find_sensitive(text)) if is_shown else ""
            found[one.example.id] = field

    def refuse_or_report(self, *, request: Request, name: str, report: Report) -> None:
        """Raises ProgramFailure SensitiveContent for a kind that the request neither allows nor leaves out."""
        found = {kind: dict(sorted(fields.items())) for kind, fields in sorted(self.fields_by_kind.items())}
        if found:
            report.figures["sensitive"] = {kind.value: len(fields) for kind, fields in found.items()}
        refused: dict[SensitiveKind, dict[str, str]] = {}
        for kind, fields in found.items():
            count = len(fields)
            contains = f"{verb(count, 'contains', 'contain')} {_NOUNS[kind]}"
            if kind in request.allow_sensitive:
                report.add_finding(
                    f"{counted(count, 'example')} {contains}, which spec.dataset.allowSensitive permits"
                )
            elif kind in request.leave_out_sensitive:
                report.add_finding(
                    f"{counted(count, 'example')} {verb(count, 'was', 'were')} left out, because "
                    f"{verb(count, 'it', 'they')} {contains} {_listed(fields)}"
                )
            else:
                refused[kind] = fields
        if self.left_out:
            report.figures.setdefault("left_out", {})["sensitive"] = len(self.left_out)
        if not refused:
            return
        kinds = "; ".join(
            f"{len(fields)} with {_NOUNS[kind]} {_listed(fields)}" for kind, fields in refused.items()
        )
        names = ", ".join(refused)
        count = len({example for fields in refused.values() for example in fields})
        raise ProgramFailure(
            "SensitiveContent",
            f"{counted(count, 'example')} of {request.describe_dataset(name)} {verb(count, 'contains', 'contain')} "
            f"secrets or personal data: {kinds}. Correct the {verb(count, 'example', 'examples')} in LangSmith, and "
            "revoke every key that was real. To leave out such examples and train on the others, set "
            f"spec.dataset.leaveOutSensitive: [{names}]. To train on such content nevertheless, set "
            f"spec.dataset.allowSensitive: [{names}]",
        )


_NOUNS = {
    SensitiveKind.PRIVATE_KEY: "a private key",
    SensitiveKind.KEY: "a key, token or password",
    SensitiveKind.EMAIL: "an e-mail address",
    SensitiveKind.PHONE: "a phone number",
}


def _listed(fields: dict[str, str]) -> str:
    """`(id, id) in inputs.task`; with different fields, `(id, id and 3 more): id in inputs.task, id in ...`."""
    shown = dict(list(fields.items())[:_SHOWN])
    more = f" and {len(fields) - _SHOWN} more" if len(fields) > _SHOWN else ""
    places = set(shown.values())
    ids = f"({', '.join(shown)}{more})"
    if len(places) == 1:
        return f"{ids} in {places.pop()}"
    return f"{ids}: {', '.join(f'{example} in {place}' for example, place in shown.items())}"
