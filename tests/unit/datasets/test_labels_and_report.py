"""Balance of labels, and the report's text."""

from modelops.datasets.labels import LabelCounts
from modelops.datasets.report import Report


def report_on(*metadata: dict[str, object]) -> Report:
    labels, report = LabelCounts(), Report()
    for one in metadata:
        labels.add(one)
    labels.report_balance(report)
    return report


def test_one_sided_labels_are_a_finding() -> None:
    report = report_on(*[{"language": "python", "agent": "docs"}] * 19, {"language": "go", "agent": "docs"})
    assert report.figures["labels"] == {"language": {"python": 0.95, "go": 0.05}}
    assert report.findings == [
        "95% of the examples have metadata.language 'python': the model learns little from the others"
    ]


def test_ids_texts_and_objects_are_no_labels() -> None:
    many = [{"id": f"x{n}", "note": "a sentence, with a comma!", "o": {"a": 1}} for n in range(30)]
    assert report_on(*many).figures == {}


def test_text_has_figures_and_findings() -> None:
    report = Report(findings=["look"], figures={"rows": 1200, "labels": {"a": {"x": 0.5}}, "left_out": {}})
    assert report.text() == "- rows: 1,200\n- labels: a x 50.0%\n- left out: none\n\nFindings:\n\n- look"
