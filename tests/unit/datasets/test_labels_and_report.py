"""Balance and the report's text."""

from modelops.datasets.labels import Labels
from modelops.datasets.report import Report


def said(*metadata: dict[str, object]) -> Report:
    labels, report = Labels(), Report()
    for one in metadata:
        labels.add(one)
    labels.say(report)
    return report


def test_shares_of_labels_and_a_finding_where_one_value_is_nearly_all() -> None:
    report = said(*[{"language": "python", "agent": "docs"}] * 19, {"language": "go", "agent": "docs"})
    assert report.figures["labels"] == {"language": {"python": 0.95, "go": 0.05}}
    assert report.findings == [
        "95% of the examples have metadata.language 'python': the model learns little of the rest"
    ]


def test_ids_texts_and_objects_are_no_labels() -> None:
    many = [{"id": f"x{n}", "note": "a sentence, with a comma!", "o": {"a": 1}} for n in range(30)]
    assert said(*many).figures == {}


def test_text_has_figures_and_findings() -> None:
    report = Report(findings=["look"], figures={"rows": 1200, "labels": {"a": {"x": 0.5}}, "left_out": {}})
    assert report.text() == "- rows: 1,200\n- labels: a x 50.0%\n- left out: none\n\nFindings:\n\n- look"
