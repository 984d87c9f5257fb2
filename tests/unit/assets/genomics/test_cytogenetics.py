"""What karyotypes say: regions, patterns and counts against readings by hand."""

import pytest

from assets.genomics.karyotype.copy_changes import END, CopyChange, copy_changes
from assets.genomics.karyotype.cytogenetics import gained, karyotype_counts, lost, region
from assets.genomics.karyotype.iscn import Karyotype, parse_karyotype
from assets.genomics.karyotype.items import parse_item
from assets.genomics.karyotype.rearrangements import pattern

ARMS = [f"{c}{arm}" for c in (*range(1, 23), "X", "Y") for arm in "pq"]


def karyotype(text: str) -> Karyotype:
    found = parse_karyotype(text)
    assert isinstance(found, Karyotype)
    return found


@pytest.mark.parametrize(
    ("text", "losses", "gains"),
    [
        ("46,XX[20]", "", ""),
        ("45,XX,-7[20]", "7p 7q", ""),
        ("47,XX,+8[20]", "", "8p 8q"),
        ("46,XX,t(9;22)(q34;q11)", "", ""),
        ("46,XX,inv(16)(p13q22)", "", ""),
        ("46,XX,ins(10;11)(p12;q23q13)", "", ""),
        ("46,XX,del(5)(q13q33)", "5q", ""),
        ("46,XX,del(7)(p15q11)", "7p 7q", ""),
        ("46,XX,add(17)(p13)", "17p", ""),
        ("46,XX,i(17)(q10)", "17p", "17q"),
        ("46,XX,idic(X)(q13)", "Xq", "Xp Xq"),
        ("46,XX,dup(1)(q21q32)", "", "1q"),
        ("46,XX,r(7)(p12q31)", "7p 7q", ""),
        ("45,XX,dic(5;17)(q11;p11)", "5q 17p", ""),
        ("46,XX,der(7)t(1;7)(q10;p10)", "7q", "1q"),
        ("46,XX,+1,der(1;7)(q10;p10)", "7q", "1q"),
        ("46,XX,der(5)t(5;17)(q13;q11)", "5q", "17q"),
        ("46,XX,der(9)t(9;22)(q34;q11),der(22)t(9;22)(q34;q11)", "", ""),
        ("47,XX,t(9;22)(q34;q11),+der(22)t(9;22)(q34;q11)", "", "9q 22p 22q"),
        ("46,XX,-7,+8[4]/47,XX,-7,+8,+7[3]", "7p 7q", "8p 8q"),
        ("46,XX,der(4)t(4;9;11)(p14;p22;q23)", "4p", "11q"),
        ("30<1n>,XX,+1,+2", " ".join(f"{c}{a}" for c in range(3, 23) for a in "pq"), ""),
        ("47,XY,+21c", "", ""),
        ("46,XX,+mar,-5", "5p 5q", ""),
    ],
)
def test_lost_and_gained__follow_from_the_abnormalities(text, losses, gains):
    """A der() read as a deletion, or a balanced one as a loss, is a wrong prognosis."""
    found = karyotype(text)
    assert [arm for arm in ARMS if lost(found, region(arm))] == losses.split()
    assert [arm for arm in ARMS if gained(found, region(arm))] == gains.split()


@pytest.mark.parametrize(
    ("text", "where", "expected"),
    [
        ("46,XX,del(5)(q31)", "5q31-q33", True),
        ("46,XX,del(5)(q13q31)", "5q33", False),
        ("46,XX,del(5)(q33)", "5q31", False),
        ("46,XX,del(17)(p11.2)", "17p13", True),
        ("46,XX,del(7)(q22)", "7", False),
        ("45,XX,-7", "7", True),
        ("46,XX,del(13)(q12q14)", "13q14", True),
        ("46,XX,?del(13)(q12q14)", "13q14", None),
        ("46,XX,zzz(1)", "13q14", None),
        ("46,XX,zzz(1),-13", "13q14", True),
    ],
)
def test_lost__asks_for_a_stretch(text, where, expected):
    """del(5)(q33) spares 5q31; what is doubtful or unread is neither lost nor kept."""
    assert lost(karyotype(text), region(where)) is expected


def test_copy_changes__of_a_gained_derivative_are_its_parts():
    item = parse_item("+der(5)t(5;7)(q31;q22)", {})
    assert sorted(copy_changes(item), key=str) == sorted(
        [
            CopyChange("5", 31.0, END, -1),
            CopyChange("7", 22.0, END, 1),
            CopyChange("5", -END, END, 1),
        ],
        key=str,
    )


@pytest.mark.parametrize(
    ("rule", "text", "expected"),
    [
        ("t(8;21)(q21|q22;q22)", "46,XX,t(8;21)(q22;q22.1)", True),
        ("t(8;21)(q21|q22;q22)", "46,XX,t(8;21)(q21.3;q22)", True),
        ("t(8;21)(q21|q22;q22)", "46,XX,t(8;21)(p11;q22)", False),
        ("t(8;21)(q21|q22;q22)", "45,X,-Y,t(8;2;21)(q22;p21;q22)", True),
        ("t(8;21)(q21|q22;q22)", "46,XX,t(21;8)(q22;q22)", True),
        ("t(8;21)(q21|q22;q22)", "46,XX,t(8;21)", True),
        ("t(8;21)(q21|q22;q22)", "46,XX,?t(8;21)(q22;q22)", None),
        ("inv(16)(p13;q22)", "46,XX,inv(16)(p13.1q22)", True),
        ("inv(16)(p13;q22)", "46,XX,inv(16)(p13q24)", False),
        ("t(16;16)(p13;q22)", "46,XX,t(16;16)(p13.1;q22)", True),
        ("t(3;3)(q21;q26)", "46,XX,t(3;3)(q26;q21)", True),
        ("t(9;22)(q34;q11)", "46,XX,der(22)t(9;22)(q34;q11.2)", True),
        ("t(*;11)(*;q23)", "46,XX,t(6;11)(q27;q23)", True),
        ("t(*;11)(*;q23)", "46,XX,t(6;11)(q27;q13)", False),
        ("i(17)(q10)", "46,XX,i(17)(q10)", True),
        ("del(5)(q)", "46,XX,del(5)(q13q33)", True),
        ("del(5)(q)", "46,XX,del(5)(p13)", False),
        ("+8", "47,XX,+8", True),
        ("-7", "47,XX,+7", False),
        ("t(9;22)(q34;q11)", "46,XX,t(9;22)(q34;q11)c", False),
    ],
)
def test_pattern__finds_a_rearrangement(rule, text, expected):
    """Sub-bands, three-way exchanges and derivatives are the same rearrangement."""
    assert pattern(rule).found(karyotype(text)) is expected


@pytest.mark.parametrize("text", ["t(8;21)(q22)", "zzz(8)(q22)", "t(8;24)(q1;q2)", "8", ""])
def test_pattern__refuses_what_is_none(text):
    """A misspelt rule would never match and nobody would notice."""
    with pytest.raises(ValueError, match=r"pattern|place"):
        pattern(text)


@pytest.mark.parametrize("text", ["5r", "25q", "q31", ""])
def test_region__refuses_what_is_none(text):
    with pytest.raises(ValueError, match="no chromosome"):
        region(text)


@pytest.mark.parametrize(
    ("text", "abnormalities", "is_complex", "is_monosomal"),
    [
        ("46,XX[20]", 0, False, False),
        ("47,XX,+8", 1, False, False),
        ("46,XX,t(9;22)(q34;q11),+8,-7", 3, True, True),
        ("49,XX,+8,+9,+10", 3, False, False),  # gains alone are hyperdiploidy
        ("48,XX,+8,+9,del(5)(q31)", 3, True, False),
        ("44,XX,-5,-7", 2, False, True),
        ("45,XX,-7", 1, False, False),
        ("45,X,-Y,t(8;21)(q22;q22)", 2, False, False),  # Y is no autosome
        ("45,XX,-7,+mar", 2, False, True),
        ("46,XX,der(9)t(9;22)(q34;q11),der(22)t(9;22)(q34;q11)", 1, False, False),
        ("46,XX,+1,der(1;7)(q10;p10)", 1, False, False),
        ("46,XX,del(5)(q31)[3]/46,idem,+8,-7[4]/46,XX,del(20)(q11)[2]", 4, True, True),
        ("46,XX,del(5)(q31)[3]/46,idem,add(4)(p14)[4]", 2, False, False),
        ("48,XX,+21c,+8", 1, False, False),
        ("46,XX,-5,-12,+2~4mar", 4, True, True),
    ],
)
def test_karyotype_counts__by_hand(text, abnormalities, is_complex, is_monosomal):
    """Shared abnormalities of side lines count once, those of other clones are added."""
    counts = karyotype_counts(karyotype(text))
    assert counts.abnormalities == abnormalities
    assert (counts.is_complex, counts.is_monosomal) == (is_complex, is_monosomal)


def test_karyotype_counts__take_the_largest_clone_and_all_cells():
    counts = karyotype_counts(karyotype("47,XX,+8[4]/51~53,XX,+1,+2,+3,+4,+5[9]/46,XX[7]"))
    assert (counts.modal_number, counts.clones) == (52, 2)
    assert (counts.cells, counts.normal_cells) == (20, 7)
