"""Column names: parts and text are one to one, whatever the parts hold."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from oncoframe.columns import Column

#: Pieces that meet the syntax of column names and that of safe names.
PIECES = st.sampled_from(["_", "__", "[", "]", "[]", "_u5b_", "u5f_", "a", "TP53", "::", "é", "7"])
texts = st.text() | st.lists(PIECES).map("".join)


@settings(max_examples=500)
@given(texts)
@example("")
@example("t__b[x[1]]__y]")
@example("__b[]")
@example("t__[x]")
def test_parse__is_undone_by_str(text):
    """A name that only nearly comes back joins another gene's words to a column."""
    column = Column.parse(text)

    assert str(column) == text
    assert not text or Column.of_safe(column.safe) == column


@settings(max_examples=500)
@given(texts, texts, st.none() | texts)
@example("snv_features", "snv_gene_burden", "TP53[R175H]__x")
@example("t_", "n", None)
def test_str__is_undone_by_parse_or_refused(table, name, position):
    """Two columns of one text would be one column of the model."""
    try:
        column = Column(table, name, position)
    except ValueError:
        # Only these have no text of their own.
        assert (
            not name
            or "__" in f"{table}_"
            or "[" in table + name
            or (not table and "__" in name)
            or name.startswith("_")
        )
        return
    assert Column.parse(str(column)) == column


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("snv_features__snv_count", ("snv_features", "snv_count", None)),
        ("snv_features__snv_gene_burden[TP53]", ("snv_features", "snv_gene_burden", "TP53")),
        ("snv_features__snv_gene_burden[TP53[R175H]]", (
            "snv_features", "snv_gene_burden", "TP53[R175H]",
        )),
        ("sv_features__sv_join[A__B]", ("sv_features", "sv_join", "A__B")),
        ("probability[t(8;21) [x]__y]", ("", "probability", "t(8;21) [x]__y")),
        ("fusion_features__A__B", ("fusion_features", "A__B", None)),
        ("label", ("", "label", None)),
    ],
)  # fmt: skip
def test_parse__reads_the_parts(text, parts):
    column = Column.parse(text)

    assert (column.table, column.name, column.position) == parts


def test_of_safe__reads_frames_and_expanded_frames():
    """A frame encodes each column, an expanded one its positions, too."""
    fusion = Column("fusion_features", "BCR::ABL1")
    burden = Column("snv_features", "snv_gene_burden", "HLA-A")

    assert Column.of_safe("fusion_features__BCR_u3a__u3a_ABL1") == fusion
    assert Column.of_safe("snv_features__snv_gene_burden_u5b_HLA_u2d_A_u5d_") == burden


def test_parts__without_a_text_of_their_own_are_refused():
    """The table ``a__b`` would be read as the table ``a``."""
    for parts in (("a__b", "n"), ("t", "TP53[R175H]"), ("", "a__b"), ("t", "")):
        with pytest.raises(ValueError, match="read as another column"):
            Column(*parts)


def test_at__names_positions_as_parse_reads_them():
    names = Column("snv_features", "snv_gene_burden").at(["TP53", "a[b]"])

    assert [Column.parse(name).position for name in names] == ["TP53", "a[b]"]
