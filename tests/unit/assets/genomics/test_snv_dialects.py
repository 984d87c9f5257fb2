"""Small variants as different callers, mergers and annotators write them."""

from pathlib import Path

import pytest

from assets.genomics.snv.reader import extract
from oncoframe.errors import ImpossibleValue, WrongFormat
from oncoframe.extraction import Extraction

COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
CSQ = '##INFO=<ID=CSQ,Number=.,Type=String,Description="Format: Allele|Consequence|SYMBOL|HGVSp">'
TP53 = "CSQ=T|missense_variant|TP53|p.Arg175His"


def vcf(*meta: str, samples: str = "NORMAL\tTUMOR", records: list[tuple[str, ...]]) -> str:
    """VCF of records (position, reference, alternate, INFO, FORMAT, samples...) on chromosome 1."""
    lines = ["##fileformat=VCFv4.3", *meta, f"{COLUMNS}\t{samples}"]
    for pos, ref, alt, info, *values in records:
        lines.append("\t".join(("1", pos, ".", ref, alt, ".", "PASS", info, *values)))
    return "\n".join(lines) + "\n"


def call(info: str = TP53, pos: str = "100", ref: str = "C", alt: str = "T") -> tuple[str, ...]:
    return (pos, ref, alt, info, "GT:AD", "0/0:50,0", "0/1:60,40")


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of a VCF given as text."""

    def _read(text: str, build: str | None = None) -> Extraction:
        path = tmp_path / "calls.vcf"
        path.write_text(text)
        return extract(path, reference_build=build)

    return _read


def meta(key: str, description: str) -> str:
    return f'##INFO=<ID={key},Number=.,Type=String,Description="{description}">'


FUNCOTATOR = meta(
    "FUNCOTATION",
    "Functional annotation from the Funcotator tool.  Funcotation fields are: Gencode_34_hugoSymbol"
    "|Gencode_34_ncbiBuild|Gencode_34_variantClassification|Gencode_34_secondaryVariantClassification"
    "|Gencode_34_proteinChange|ClinVar_VCF_GENEINFO",
)
ANNOVAR = "\n".join(
    meta(f"{key}.refGene", "annotation provided by ANNOVAR")
    for key in ("Func", "Gene", "ExonicFunc", "AAChange")
)
BCSQ = meta("BCSQ", "Local consequence annotation from BCFtools/csq. Format: Consequence|gene|...")

#: Annotator -> header and INFO of JAK2 V617F.
ANNOTATORS = {
    "vep": (
        meta("CSQ", "Consequences by VEP. Format: Allele|Consequence|SYMBOL|HGVSp"),
        "CSQ=T|missense_variant|JAK2|ENSP1:p.Val617Phe",
    ),
    "vep under another key": (
        meta("ANN", "Consequences by VEP. Format: Allele|Consequence|SYMBOL|HGVSp"),
        "ANN=T|missense_variant|JAK2|ENSP1:p.Val617Phe",
    ),
    "vep without HGVS": (
        meta("CSQ", "Format: Allele|Consequence|SYMBOL|Protein_position|Amino_acids"),
        "CSQ=T|missense_variant|JAK2|617/1132|V/F",
    ),
    "snpeff": (
        meta("ANN", "Functional annotations: 'Allele | Annotation | Annotation_Impact'"),
        "ANN=T|missense_variant|MODERATE|JAK2|ENSG1|transcript|NM_1|coding|14/25|c.1|p.Val617Phe|",
    ),
    "bcftools csq": (BCSQ, "BCSQ=missense|JAK2|ENST1|protein_coding|+|617V>617F|100C>T"),
    "funcotator": (FUNCOTATOR, "FUNCOTATION=[JAK2|hg38|MISSENSE||p.V617F|]"),
    "annovar": (
        ANNOVAR,
        ("ANNOVAR_DATE=2020-06-08;Func.refGene=exonic;Gene.refGene=JAK2;ExonicFunc.refGene="
        "nonsynonymous_SNV;AAChange.refGene=JAK2:NM_1:exon12:c.G1:p.V500F,"
        "JAK2:NM_2:exon14:c.G1849T:p.V617F;ALLELE_END"),
    ),
    "maf terms": (
        "\n".join(meta(k, "x") for k in ("Hugo_Symbol", "Variant_Classification", "HGVSp_Short")),
        "Hugo_Symbol=JAK2;Variant_Classification=Missense_Mutation;HGVSp_Short=p.V617F",
    ),
}  # fmt: skip


@pytest.mark.parametrize("annotator", ANNOTATORS)
def test_extract__reads_gene_consequence_and_change_of_every_annotator(read, annotator):
    """A consequence in another vocabulary would be read as no change: a silent zero."""
    header, info = ANNOTATORS[annotator]
    found = read(vcf(header, records=[call(info)]))
    assert found.used == 1
    assert found.features["JAK2_variants"] == 1
    assert found.features["JAK2_V617F"] is True
    assert found.features["snv_protein_altering"] == 1


@pytest.mark.parametrize("name", ["NA", "Unknown", "?", "-"])
@pytest.mark.parametrize("annotator", ANNOTATORS)
def test_extract__makes_no_gene_of_what_is_no_name(read, annotator, name):
    """A MAF calls the place between genes "Unknown"; that is no gene that is often mutated."""
    header, info = ANNOTATORS[annotator]
    found = read(vcf(header, records=[call(info.replace("JAK2", name))]))
    variants = found.blocks["snv_gene_variants"]
    assert variants is not None
    assert (found.used, variants.names.to_list()) == (1, [])


@pytest.mark.parametrize(
    ("header", "info"),
    [
        (BCSQ, "BCSQ=missense|KRAS|E|c|+|12G>12D|100C>G,stop_gained|TP53|E|c|+|213R>213*|100C>T"),
        (FUNCOTATOR, "FUNCOTATION=[TP53|hg38|NONSENSE||p.R213*|],[KRAS|hg38|MISSENSE||p.G12D|]"),
        (
            ANNOVAR,
            (
                "A=1;Func.refGene=exonic;Gene.refGene=TP53;ExonicFunc.refGene=stopgain;ALLELE_END;"
                "A=1;Func.refGene=exonic;Gene.refGene=KRAS;ExonicFunc.refGene=stoploss;ALLELE_END"
            ),
        ),
    ],
)
def test_extract__gives_each_alternate_its_own_annotation(read, header, info):
    """The first alternate has no reads: its gene must not be credited with the second one."""
    record = ("100", "C", "T,G", info, "GT:AD", "0/0:50,0,0", "0/2:60,0,40")
    found = read(vcf(header, records=[record]))
    assert (found.features["TP53_variants"], found.features["KRAS_variants"]) == (0, 1)


@pytest.mark.parametrize(
    ("change", "hotspot"),
    [
        ("288WQWRKSL*>288CLAVEEVSLRK*", "NPM1_exon12_frameshift"),
        ("288WQWRK..294>288CLAVE..298", "NPM1_exon12_frameshift"),
        ("288W>288C", None),
        ("288W>288W", None),
    ],
)
def test_extract__reads_frameshifts_of_bcftools(read, change, hotspot):
    info = f"BCSQ=frameshift|NPM1|E|protein_coding|+|{change}|100C>T"
    features = read(vcf(BCSQ, records=[call(info)])).features
    assert features["NPM1_variants"] == 1
    assert features["NPM1_exon12_frameshift"] is (hotspot is not None)


@pytest.mark.parametrize("names", ["TUMOR\tTUMOR.strelka2", "TUMOR\t2:TUMOR", "2:TUMOR\tTUMOR"])
@pytest.mark.parametrize("empty", [".", "./.", "./.:.:.", ".:."])
def test_extract__takes_a_call_from_whichever_column_of_a_merge_has_it(read, names, empty):
    """A merge has a column per caller; the one that did not call would lose the variant."""
    records = [
        ("100", "C", "T", TP53, "GT:AD:DP", "0/1:60,40:100", empty),
        ("200", "C", "T", TP53, "GT:AD:DP", empty, "0/1:60,40:100"),
    ]
    found = read(vcf(CSQ, samples=names, records=records))
    assert (found.used, found.features["TP53_max_vaf"]) == (2, pytest.approx(0.4))


@pytest.mark.parametrize(
    ("names", "tumour"),
    [("P1_T\tP1_N", 0), ("P1_N\tP1_T", 1), ("case\tctrl", 0), ("ABNORMAL1\tNORMAL1", 0),
     ("X_C\tX_tumour", 1), ("germline\tP7", 1)],
)  # fmt: skip
def test_extract__knows_tumours_by_their_names(read, names, tumour):
    values = ["0/0:100,0", "0/0:100,0"]
    values[tumour] = "0/1:60,40"
    found = read(vcf(CSQ, samples=names, records=[("9", "C", "T", TP53, "GT:AD", *values)]))
    assert found.used == 1


def test_extract__takes_genes_by_place_without_annotation_and_leaves_consequences_open(read):
    """JAK2 V617F of GRCh38; a zero burden would say wild type where nobody looked."""
    text = vcf("##contig=<ID=9,length=138394717>", records=[call(".", pos="5073770")])
    found = read(text.replace("\n1\t", "\n9\t"))
    assert (found.used, found.filtered, found.failed) == (1, {}, {})
    variants = found.blocks["snv_gene_variants"]
    assert variants is not None
    assert dict(zip(variants.names, variants.values, strict=True)) == {"JAK2": 1.0}
    assert found.blocks["snv_gene_burden"] is None
    assert found.features["JAK2_variants"] is None
    assert found.features["snv_variants"] == 1
    assert found.features["snv_annotation"] == "reference"
    assert found.annotation_version is not None
    assert found.annotation_version.startswith("GRCh38")


@pytest.mark.parametrize("header", ["##reference=file:///ref/hs37d5.fa", "##reference=GRCh37"])
def test_extract__refuses_another_build_than_its_row_says(read, header):
    text = vcf(CSQ, header, records=[call()])
    assert read(text, "hg19").used == 1
    with pytest.raises(WrongFormat, match="GRCh38"):
        read(text, "GRCh38")


def test_extract__refuses_a_record_beyond_the_end_of_its_contig(read):
    """Positions of another build go on behind the end of a shorter chromosome."""
    contig = "##contig=<ID=1,assembly=x,length=1000>"
    assert read(vcf(CSQ, contig, records=[call(pos="1000")])).used == 1
    with pytest.raises(ImpossibleValue, match="line 6"):
        read(vcf(CSQ, contig, records=[call(), call(pos="2000")]))


def test_extract__believes_no_record_whose_reference_another_one_contradicts(read):
    """One of two bases at one position is wrong; without the genome nobody knows which."""
    records = [call(pos="7"), call(ref="G", pos="7"), call(pos="8"), call(ref="CA", pos="8")]
    found = read(vcf(CSQ, records=records))
    assert (found.used, found.failed) == (2, {"contradicted_reference": 2})


def test_extract__counts_a_repeated_record_once(read):
    found = read(vcf(CSQ, records=[call()] * 3))
    assert (found.used, found.filtered) == (1, {"duplicate_record": 2})
