"""Licences against those that are allowed."""

from modelops.domain.licences import LicensedInput, assess_licences

BASE = LicensedInput(what="base model a/b", licence="Apache-2.0", required=True)
DATA = LicensedInput(what="dataset 'd'", licence="", required=False)


def test_without_a_list_every_licence_is_allowed() -> None:
    assert assess_licences([LicensedInput(what="x", licence="evil", required=True)], allowed=[]).refused == ()


def test_case_does_not_matter_and_an_unknown_licence_is_a_finding() -> None:
    assessment = assess_licences([BASE, DATA], allowed=["apache-2.0"])
    assert assessment.refused == ()
    assert assessment.findings == ("the licence of dataset 'd' is not known: check it yourself",)


def test_another_licence_or_a_base_without_one_is_refused() -> None:
    nameless = LicensedInput(what="base model a/c", licence="", required=True)
    assert assess_licences([BASE, nameless], allowed=["mit"]).refused == (
        "base model a/b has licence 'Apache-2.0'",
        "base model a/c names no licence",
    )
