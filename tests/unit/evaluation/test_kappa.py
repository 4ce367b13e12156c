"""Cohen's kappa against tables that were published, and against what must hold for any raters."""

import pytest

from modelops.domain.gates.kappa import cohens_kappa


def raters(table: list[list[int]]) -> list[tuple[str, str]]:
    return [
        (str(row), str(column))
        for row, counts in enumerate(table)
        for column, count in enumerate(counts)
        for _ in range(count)
    ]


def test_the_diagnoses_of_fleiss_levin_and_paik() -> None:
    """Statistical Methods for Rates and Proportions, table 18.3: kappa .68, standard error .087, .51 to .85."""
    found = cohens_kappa(raters([[75, 1, 4], [5, 4, 1], [0, 0, 10]]))
    assert found.value == pytest.approx(0.676, abs=0.001)
    assert found.agreement == pytest.approx(0.89)
    assert found.low is not None
    assert found.high is not None
    assert (round(found.low, 2), round(found.high, 2)) == (0.50, 0.85)
    assert (found.high - found.low) / 2 / 1.95996 == pytest.approx(0.0877, abs=0.0001)


def test_the_table_of_cohen() -> None:
    """Cohen, Educational and Psychological Measurement 20 (1960): kappa .492 for 200 patients."""
    found = cohens_kappa(raters([[88, 14, 18], [10, 40, 10], [2, 6, 12]]))
    assert found.value == pytest.approx(0.492, abs=0.0005)


def test_full_agreement_is_one_and_chance_is_zero() -> None:
    assert cohens_kappa(raters([[25, 0], [0, 25]])).value == 1
    assert cohens_kappa(raters([[10, 10], [10, 10]])).value == 0
    assert cohens_kappa(raters([[0, 25], [25, 0]])).value == -1


def test_one_label_throughout_has_no_kappa() -> None:
    found = cohens_kappa([("a", "a")] * 50)
    assert (found.agreement, found.value, found.low) == (1, None, None)


def test_no_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        cohens_kappa([])
