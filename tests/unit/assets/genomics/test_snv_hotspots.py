"""Recurrent protein changes: HGVS names as VEP writes them, through the reader of VCFs."""

from pathlib import Path

import pytest

from assets.genomics.panel.hotspots import Change, ProteinChange, parse_change
from assets.genomics.snv.reader import CONTRACT, extract
from oncoframe.extraction import Extraction

HEADER = (
    "##fileformat=VCFv4.2\n"
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    'Format: Allele|Consequence|SYMBOL|HGVSp">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tTUMOR\n"
)


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of calls given as gene, protein change, consequence, read counts."""

    def _read(*calls: tuple[str, str, str, str]) -> Extraction:
        lines = [
            f"1\t{i}\t.\tC\tT\t.\tPASS\tCSQ=T|{consequence}|{gene}|ENSP1:p.{change}\tGT:AD\t0/1:{reads}\n"
            for i, (gene, change, consequence, reads) in enumerate(calls, 1)
        ]
        path = tmp_path / "calls.vcf"
        path.write_text(HEADER + "".join(lines))
        return extract(path, reference_build=None)

    return _read


@pytest.mark.parametrize(
    ("gene", "change", "consequence", "feature"),
    [
        ("NPM1", "Trp288CysfsTer12", "frameshift_variant", "NPM1_exon12_frameshift"),
        ("NPM1", "W290Rfs*10", "frameshift_variant", "NPM1_exon12_frameshift"),
        ("FLT3", "Asp835Tyr", "missense_variant", "FLT3_TKD"),
        ("FLT3", "Ile836del", "inframe_deletion", "FLT3_TKD"),
        ("FLT3", "Tyr597_Glu598insAspPheArgTyr", "inframe_insertion", "FLT3_ITD"),
        ("FLT3", "Phe590_Trp603dup", "inframe_insertion", "FLT3_ITD"),
        ("IDH1", "Arg132His", "missense_variant", "IDH1_R132"),
        ("IDH2", "Arg140Gln", "missense_variant", "IDH2_R140"),
        ("IDH2", "Arg172Lys", "missense_variant", "IDH2_R172"),
        ("DNMT3A", "Arg882Cys", "missense_variant", "DNMT3A_R882"),
        ("KIT", "Asp816Val", "missense_variant", "KIT_D816"),
        ("SF3B1", "Lys700Glu", "missense_variant", "SF3B1_K700"),
        ("SRSF2", "Pro95_Arg102del", "inframe_deletion", "SRSF2_P95"),
        ("U2AF1", "Ser34Phe", "missense_variant", "U2AF1_S34"),
        ("U2AF1", "Gln157Pro", "missense_variant", "U2AF1_Q157"),
        ("MYD88", "Leu273Pro", "missense_variant", "MYD88_L265P"),
    ],
)
def test_extract__flags_hotspots_from_protein_names(read, gene, change, consequence, feature):
    found = read((gene, change, consequence, "60,40"))
    flags = {f.name for f in CONTRACT.features if found.features[f.name] is True}
    assert feature in flags
    assert all(name.startswith(gene) for name in flags)


@pytest.mark.parametrize(
    ("gene", "change", "consequence"),
    [
        ("NPM1", "Trp288CysfsTer12", "upstream_gene_variant"),
        ("NPM1", "Gln100Ter", "stop_gained"),
        ("JAK2", "Val617Ile", "missense_variant"),
        ("FLT3", "Leu442_Ala443dup", "inframe_insertion"),
        ("IDH1", "Arg132=", "synonymous_variant"),
    ],
)
def test_extract__flags_no_neighbour_of_a_hotspot(read, gene, change, consequence):
    found = read((gene, change, consequence, "60,40"))
    assert not any(value is True for value in found.features.values())


@pytest.mark.parametrize(
    ("reads", "flag"),
    [
        (("80,20", "80,20"), True),
        (("80,20", "95,5"), False),
        (("40,60",), True),
        (("50,50",), False),
    ],
)
def test_extract__tells_multi_hit_tp53_by_its_fractions(read, reads, flag):
    calls = [("TP53", f"Arg{i}fs", "frameshift_variant", text) for i, text in enumerate(reads, 9)]
    assert read(*calls).features["TP53_multi_hit"] is flag


def test_extract__tells_one_cebpa_mutation_from_two_and_where_they_are(read):
    """One mutation, two, and one in the bZIP domain define different entities."""
    early = ("CEBPA", "His24AlafsTer84", "frameshift_variant", "60,40")
    other = ("CEBPA", "Ala40ArgfsTer120", "frameshift_variant", "60,40")
    late = ("CEBPA", "Lys313dup", "inframe_insertion", "60,40")
    names = ("CEBPA_biallelic", "CEBPA_bZIP", "CEBPA_bZIP_in_frame")

    def flags(*calls):
        return tuple(read(*calls).features[name] for name in names)

    assert flags(early, late) == (True, True, True)
    assert flags(early, other) == (True, False, False)
    assert flags(late) == (False, True, True)
    assert flags(early) == (False, False, False)


def test_extract__leaves_multi_hit_open_where_the_fractions_are_not_known(read):
    """Without allele fractions neither 'above 50 %' nor 'each of 10 %' can be denied."""
    assert read(("TP53", "Arg175His", "missense_variant", ".")).features["TP53_multi_hit"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENSP00000351015.5:p.Val617Phe", ProteinChange("V", 617, 617, Change.SUBSTITUTION, "F")),
        ("p.(Arg132His)", ProteinChange("R", 132, 132, Change.SUBSTITUTION, "H")),
        ("p.W288Cfs*12", ProteinChange("W", 288, 288, Change.FRAMESHIFT)),
        ("p.Arg213Ter", ProteinChange("R", 213, 213, Change.NONSENSE)),
        ("p.Y599_D600insGLV", ProteinChange("Y", 599, 600, Change.INSERTION)),
        ("p.P95delinsRA", ProteinChange("P", 95, 95, Change.INSERTION)),
        ("p.P95_R102delinsA", ProteinChange("P", 95, 102, Change.DELETION)),
        ("p.Thr1036%3D", None),
        ("p.?", None),
        ("c.3108C>T", None),
        ("", None),
    ],
)
def test_parse_change__reads_hgvs_in_both_codes(text, expected):
    assert parse_change(text) == expected
