"""Karyotype strings: hand-checked readings of old and new nomenclature, and what is not one."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.genomics.karyotype.copy_changes import copy_changes, outer, place
from assets.genomics.karyotype.cytogenetics import karyotype_counts
from assets.genomics.karyotype.iscn import Karyotype, Unreadable, parse_karyotype
from assets.genomics.karyotype.items import Abnormality, Marker, parse_item


def written(item: Abnormality) -> str:
    """The item in one way of writing, made anew from what was understood."""
    if not item.is_structural:
        text = item.sign + item.chromosomes[0]
    else:
        bands = ";".join("".join(some) for some in item.bands)
        text = f"{item.sign}{item.kind.value}({';'.join(item.chromosomes)})"
        text += f"({bands})" if bands.strip(";") else ""
        text += "".join(written(part) for part in item.parts)
    return ("?" if item.uncertain else "") + text + ("c" if item.constitutional else "")


def read(text: str) -> list[tuple]:
    """(modal number, cells, items and markers) of each clone."""
    found = parse_karyotype(text)
    assert isinstance(found, Karyotype), text
    return [
        (
            clone.modal,
            clone.cells,
            [*map(written, clone.abnormalities), *(f"{m.least}{m.kind}" for m in clone.markers)],
        )
        for clone in found.clones
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # normal, and how it is written
        ("46,XX[20]", [((46, 46), 20, [])]),
        ("46,XY", [((46, 46), None, [])]),
        ("46XY", [((46, 46), None, [])]),
        (" 46,XY[20)", [((46, 46), 20, [])]),
        ("46, XY [20]", [((46, 46), 20, [])]),
        ("[46,XY]", [((46, 46), None, [])]),
        ("Normal", [((46, 46), None, [])]),
        ("normal female karyotype", [((46, 46), None, [])]),
        # gains, losses, clones
        ("47,XY,+8[17]/46,XY[3]", [((47, 47), 17, ["+8"]), ((46, 46), 3, [])]),
        ("45,X,-Y[20]", [((45, 45), 20, ["-Y"])]),
        ("48,XY,+8,+8[14]/46,XY[6]", [((48, 48), 14, ["+8", "+8"]), ((46, 46), 6, [])]),
        ("47,XY,+21c[20]", [((47, 47), 20, ["+21c"])]),
        ("47~49,XY,+8[cp13]/46,XY[7]", [((47, 49), 13, ["+8"]), ((46, 46), 7, [])]),
        ("45-46,XX,-7[c p18]", [((45, 46), 18, ["-7"])]),
        # structural
        ("46,XY,t(8;21)(q22;q22)[20]", [((46, 46), 20, ["t(8;21)(q22;q22)"])]),
        ("46,X,t(X;11)(p22.1;q13)[3]", [((46, 46), 3, ["t(X;11)(p22.1;q13)"])]),
        ("45,X,-Y,t(8;2;21)(q22;p21;q22)[20]",
         [((45, 45), 20, ["-Y", "t(8;2;21)(q22;p21;q22)"])]),
        ("46,XX,inv(16)(p13.1q22)[20]", [((46, 46), 20, ["inv(16)(p13.1q22)"])]),
        ("46,XX,inv(16)(p13;q22)", [((46, 46), None, ["inv(16)(p13q22)"])]),
        ("46,XX,inv(16)p13.1q22)[4]", [((46, 46), 4, ["inv(16)(p13.1q22)"])]),
        ("46,XX,inv(16)(p13,1q22)[17]", [((46, 46), 17, ["inv(16)(p13.1q22)"])]),
        ("46,XX,del(5)(q13q33)[14]", [((46, 46), 14, ["del(5)(q13q33)"])]),
        ("46,XY,del(5q),20q-", [((46, 46), None, ["del(5)(q)", "del(20)(q)"])]),
        ("46,XX,add(17)(p13)[19]", [((46, 46), 19, ["add(17)(p13)"])]),
        ("46,XX,i(17)(q10)[20]", [((46, 46), 20, ["i(17)(q10)"])]),
        ("46,XX,i(17q)", [((46, 46), None, ["i(17)(q)"])]),
        ("46,XX,idic(7)(q11.2)[20]", [((46, 46), 20, ["idic(7)(q11.2)"])]),
        ("46,XY,ins(10;11)(p12;q23q13)[9]", [((46, 46), 9, ["ins(10;11)(p12;q23q13)"])]),
        ("46,XY,r(7)(p1?3q2?2)[12]", [((46, 46), 12, ["r(7)(p13q22)"])]),
        ("46,XX,inv(3)?(q21q25)[21]", [((46, 46), 21, ["?inv(3)(q21q25)"])]),
        ("46,XX,?add(2)(q35~37)", [((46, 46), None, ["?add(2)(q35)"])]),
        ("45,XX,der(13;14)(q10;q10)?c[20]", [((45, 45), 20, ["der(13;14)(q10;q10)c"])]),
        ("46,XX,dup(1)(q21q32)", [((46, 46), None, ["dup(1)(q21q32)"])]),
        ("46,XY,hsr(6)(p21p23)[17]", [((46, 46), 17, ["hsr(6)(p21p23)"])]),
        # derivatives
        ("47,XY,der(7)t(1;7)(q10;p10)+8[20]",
         [((47, 47), 20, ["der(7)t(1;7)(q10;p10)", "+8"])]),
        ("46,XXder(22)t(1;22)(q12;p11.2)[1]",
         [((46, 46), 1, ["der(22)t(1;22)(q12;p11.2)"])]),
        ("45,XY,der(5)inv(5)(p13q15)del(5)(q15q33)",
         [((45, 45), None, ["der(5)inv(5)(p13q15)del(5)(q15q33)"])]),
        ("46,XX,psu dic(5;7)(q13;p10)", [((46, 46), None, ["dic(5;7)(q13;p10)"])]),
        ("46,XX,der(21)(qter->q22::p11.2->qter)", [((46, 46), None, ["der(21)"])]),
        # stem lines
        ("47,XX,+11[5]/48,idem,+19[15]",
         [((47, 47), 5, ["+11"]), ((48, 48), 15, ["+11", "+19"])]),
        ("46,XY,inv(16)(p13.1q22)[18]/47,sl,+22[2]",
         [((46, 46), 18, ["inv(16)(p13.1q22)"]), ((47, 47), 2, ["inv(16)(p13.1q22)", "+22"])]),
        ("46,XX,del(5)(q31)[3]/45,sl,-7[9]/45,sdl1,del(13)(q12q14)[10]",
         [((46, 46), 3, ["del(5)(q31)"]), ((45, 45), 9, ["del(5)(q31)", "-7"]),
          ((45, 45), 10, ["del(5)(q31)", "-7", "del(13)(q12q14)"])]),
        ("49,XY,+10,+13,+21[1]/48,sl,-10[12]",
         [((49, 49), 1, ["+10", "+13", "+21"]), ((48, 48), 12, ["+13", "+21"])]),
        ("46,XX,add(5)(q31)[1]/46,idem,add(4)(p14),-add(5),+del(5)(q31q35)[4]",
         [((46, 46), 1, ["add(5)(q31)"]), ((46, 46), 4, ["add(4)(p14)", "+del(5)(q31q35)"])]),
        ("47,XY,+der(1;9)(q10;p10)[17]/94,idemx2[2]",
         [((47, 47), 17, ["+der(1;9)(q10;p10)"]), ((94, 94), 2, ["+der(1;9)(q10;p10)"])]),
        ("46,XX,t(9;11)(p22;q23)[3]/50,sl,+der(9)t(9;11)[14]",
         [((46, 46), 3, ["t(9;11)(p22;q23)"]),
          ((50, 50), 14, ["t(9;11)(p22;q23)", "+der(9)t(9;11)(p22;q23)"])]),
        # markers, multiples, missing separators
        ("46~49,XY,-21,+1~4mar[cp20]", [((46, 49), 20, ["-21", "1mar"])]),
        ("49,XY,+8,+mar1,+mar1[cp13]", [((49, 49), 13, ["+8", "1mar", "1mar"])]),
        ("45,XX,add(22)(p11.2)x2,+2mar[20]",
         [((45, 45), 20, ["add(22)(p11.2)", "add(22)(p11.2)", "2mar"])]),
        ("44,XX,-5,+r,+dmin", [((44, 44), None, ["-5", "1r", "1dmin"])]),
        ("46,XY,idic(7)(q11.2)[1]/47,idem,+8[9]46,XY[10]",
         [((46, 46), 1, ["idic(7)(q11.2)"]), ((47, 47), 9, ["idic(7)(q11.2)", "+8"]),
          ((46, 46), 10, [])]),
        ("42,X,-17,-18.add(19)(q13.4)", [((42, 42), None, ["-17", "-18", "add(19)(q13.4)"])]),
        # other methods, remarks, donors
        ("46,XY,del(11)(q14q23)[13]/46,XY[7].ishdel(11)(5'MLL-,3'MLL+)[2].",
         [((46, 46), 13, ["del(11)(q14q23)"]), ((46, 46), 7, [])]),
        ("47,XY,+8[6]/46,XY[13] (Specimen Source: Blood)",
         [((47, 47), 6, ["+8"]), ((46, 46), 13, [])]),
        ("45,XX,-7[9]//46,XY[11]", [((45, 45), 9, ["-7"])]),
        ("88<4n>,XXYY,-5,-7,-7[12]", [((88, 88), 12, ["-5", "-7", "-7"])]),
        ("Inv(3)(q21q26.2)", [(None, None, ["inv(3)(q21q26.2)"])]),
    ],
)  # fmt: skip
def test_parse_karyotype__reads_what_is_written(text, expected):
    """Each a convention that a strict parser drops, and the abnormality with it."""
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no_result"),
        ("n/a", "no_result"),
        ("no growth", "no_result"),
        ("Failed", "no_result"),
        ("//46,XX[20]", "donor_cells_only"),
        ("nuc ish(RUNX1T1,RUNX1)x2[200]", "other_method"),
        ("arr(1-22,X)x2", "other_method"),
        ("see report", "no_karyotype"),
        ("46" * 6000, "too_long"),
    ],
)
def test_parse_karyotype__says_why_a_text_is_none(text, reason):
    """A failed culture read as normal would be a negative finding that nobody made."""
    assert parse_karyotype(text) == Unreadable(reason)


@pytest.mark.parametrize(
    ("text", "unread", "complete"),
    [
        ("46,XX,t(9;22)(q34;q11)[20]", (), True),
        ("45,XY,t(3;17)([21;q11.2),-7[19]", ("t(3;17)([21;q11.2)",), False),
        ("46,XX,zzz(9),+8", ("zzz(9)",), False),
        ("46,XY,del(7)(q22),inc[cp5]", (), False),
        ("46,XY,-5[3]/45,sl,add(12)(p13),", (), False),
        ("46,XY,+8[1]/46,sdl5,+9[2]", ("sdl5",), False),
    ],
)
def test_parse_karyotype__keeps_what_it_cannot_read(text, unread, complete):
    """What was not read must not become a denial of what it may have said."""
    found = parse_karyotype(text)
    assert isinstance(found, Karyotype)
    assert (found.unread, found.complete) == (unread, complete)


_TOKENS = st.sampled_from(
    ["46", "45~47", ",", "/", "XX", "XY", "X", "+", "-", "8", "del", "der", "t", "inv", "(", ")",
     "(5)", "(9;22)", "(q34;q11)", "p13q22", "idem", "sl", "sdl2", "mar", "r", "[", "]", "[cp", "c",
     "?", "x2", "~", "<3n>", "//", ".ish", "inc", "or", "->", "::", "dmin", ";", " ", "normal"]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(_TOKENS, max_size=25).map("".join),
                 st.text(string.digits + "XYpqtrdelinv()[],;/+-~?.<>", max_size=60)))  # fmt: skip
def test_parse_karyotype__never_stops_on_any_text(text):
    """One odd string in a clinical table would end the night for five thousand patients."""
    found = parse_karyotype(text)
    if isinstance(found, Karyotype):
        counts = karyotype_counts(found)
        assert counts.abnormalities == counts.structural + counts.gains + counts.losses
        assert found.complete is (found.complete and not found.unread)
        for clone in found.clones:
            for item in clone.abnormalities:
                assert all(change.low <= change.high for change in copy_changes(item))


@pytest.mark.parametrize("arm", ["p", "q"])
def test_place__orders_bands_from_the_centromere_outwards(arm):
    """13.3 lies beyond 13.11, and a band ends where its last sub-band does."""
    bands = [arm + band for band in ("10", "11.2", "13", "13.1", "13.11", "13.3", "21", "36.33")]
    places = [abs(place(band)) for band in bands]
    assert places == sorted(places)
    assert abs(outer(f"{arm}13")) > abs(outer(f"{arm}13.3")) - 1e-3 > abs(place(f"{arm}13.3"))
    assert abs(outer(f"{arm}13")) < abs(place(f"{arm}14"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+1~4mar", Marker("mar", 1)),
        ("+mar", Marker("mar", 1)),
        ("+3mar", Marker("mar", 3)),
        ("+23", None),
        ("t(0;9)(q1;q2)", None),
        ("del()", None),
        ("(", None),
    ],
)
def test_parse_item__refuses_what_is_no_chromosome(text, expected):
    assert parse_item(text, {}) == expected
