"""The fast way for ASCII gives what the general way gives: forms of texts are stored for years."""

from hypothesis import example, given
from hypothesis import strategies as st

from modelops.datasets.normalised_text import normalise, normalised_text


@given(st.text(st.characters(max_codepoint=127), max_size=40))
@example("End. x <<= 1!  \x1c\x0b A-B -V %M \\D it's_so 12.5")
def test_ascii_is_normalised_as_in_a_text_with_other_letters(text: str) -> None:
    fast, general = normalise(text), normalise(f"{text} é")
    assert [*fast.words, "é"] == general.words
    assert fast.operators == general.operators
    spaced, _, unspaced = general.form.decode().rpartition("\n")
    assert fast.form.decode() == f"{spaced.removesuffix('é').strip()}\n{unspaced.removesuffix('é')}"
    assert f"{normalised_text(text)} é".strip() == normalised_text(f"{text} é")
