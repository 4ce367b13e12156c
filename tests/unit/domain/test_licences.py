"""Licences against those that are allowed."""

from modelops.domain.licences import Licensed, assess_licences

BASE = Licensed(what="base model a/b", licence="Apache-2.0", required=True)
DATA = Licensed(what="dataset 'd'", licence="", required=False)


def test_without_a_list_nothing_is_judged() -> None:
    assert assess_licences([Licensed(what="x", licence="evil", required=True)], allowed=[]).refused == ()


def test_case_does_not_matter_and_an_unknown_source_is_a_finding() -> None:
    verdict = assess_licences([BASE, DATA], allowed=["apache-2.0"])
    assert verdict.refused == ()
    assert verdict.findings == ("the licence of dataset 'd' is not known: look at it yourself",)


def test_another_licence_or_a_base_without_one_is_refused() -> None:
    nameless = Licensed(what="base model a/c", licence="", required=True)
    assert assess_licences([BASE, nameless], allowed=["mit"]).refused == (
        "base model a/b has licence 'Apache-2.0'",
        "base model a/c names no licence",
    )
