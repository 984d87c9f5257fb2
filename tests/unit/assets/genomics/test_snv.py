"""Small variants: hand-written VCFs whose features can be worked out on paper."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from assets.genomics.snv.reader import CONTRACT, extract
from oncoframe.errors import AmbiguousSample, MissingSample, NothingUsable, WrongFormat
from oncoframe.extraction import Extraction

CSQ = (
    '##INFO=<ID=CSQ,Number=.,Type=String,Description="Consequence annotations from Ensembl VEP. '
    'Format: Allele|Consequence|SYMBOL|HGVSp|PICK|CANONICAL">'
)
FORMATS = (
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">'
)


def header(*meta: str, samples: str = "NORMAL\tTUMOR", version: str = "4.2") -> str:
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    lines = [f"##fileformat=VCFv{version}", *meta, f"{columns}\t{samples}"]
    return "\n".join(lines) + "\n"


def record(  # noqa: PLR0913  # the columns of a VCF
    alt: str = "T",
    info: str = ".",
    *,
    pos: str = "100",
    ref: str = "C",
    keys: str = "GT:AD:DP",
    normal: str = "0/0:50,0:50",
    tumour: str = "0/1:60,40:100",
    passed: str = "PASS",
) -> str:
    fields = ("chr1", pos, ".", ref, alt, ".", passed, info, keys, normal, tumour)
    return "\t".join(fields) + "\n"


def csq(gene: str, change: str, consequence: str = "missense_variant", allele: str = "T") -> str:
    return f"CSQ={allele}|{consequence}|{gene}|ENSP1:p.{change}|1|YES"


@pytest.fixture
def read(tmp_path: Path):
    """Extract the features of a VCF given as text."""

    def _read(text: str | bytes, build: str | None = None, sample: str | None = None) -> Extraction:
        path = tmp_path / "calls.vcf"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return extract(path, reference_build=build, sample=sample)

    return _read


def test_extract__counts_a_variant_in_its_gene(read):
    """A wrong allele index would give the VAF of the reference (0.6) instead of 0.4."""
    found = read(header(CSQ, FORMATS) + record(info=csq("TP53", "Arg175His")))
    assert (found.records, found.used, found.filtered, found.failed) == (1, 1, {}, {})
    assert found.features["TP53_variants"] == 1
    assert found.features["TP53_max_vaf"] == pytest.approx(0.4)
    assert found.features["FLT3_variants"] == 0
    assert found.features["snv_transition_share"] == 1.0
    burden = found.blocks["snv_gene_burden"]
    assert burden is not None
    assert burden.names.to_list() == ["TP53"]
    assert burden.values.tolist() == [1.0]


def test_extract__has_every_feature_of_its_contract_and_pickles(read):
    """A feature that is missing from the result would stop the table of all patients."""
    found = read(header(CSQ))
    assert list(found.features) == [feature.name for feature in CONTRACT.features]
    assert set(found.blocks) == {block.name for block in CONTRACT.blocks}
    assert pickle.loads(pickle.dumps(found)).features == found.features  # noqa: S301  # our own
    assert pickle.loads(pickle.dumps(extract)) is extract  # noqa: S301


def test_extract__reads_no_records_as_a_negative_result(read):
    found = read(header(CSQ))
    assert found.records == 0
    assert found.features["snv_variants"] == 0
    assert found.features["NPM1_exon12_frameshift"] is False
    assert found.features["snv_median_vaf"] is None


def test_extract__is_null_not_zero_without_gene_annotation(read):
    """A zero would tell a model that TP53 is wild type in a file that never names a gene."""
    found = read(header(FORMATS) + record())
    assert found.filtered == {"no_gene_annotation": 1}
    assert set(found.features.values()) == {None}
    assert found.blocks == dict.fromkeys(block.name for block in CONTRACT.blocks)


@pytest.mark.parametrize(
    ("keys", "tumour", "vaf"),
    [
        ("GT:AD:DP", "0/1:60,40:100", 0.4),
        ("GT:AD:AF", "0/1:60,40:0.39", 0.4),
        ("GT:AF:DP", "0/1:0.25:80", 0.25),
        ("GT:RD:AD:FREQ", "0/1:30:10:25%", 0.25),
        ("GT:DP:FREQ", "0/1:40:12.5%", 0.125),
        ("DP:AU:CU:GU:TU", "50:0,0:30,31:0,0:10,12", 0.25),
        ("DP:TAR:TIR", "50:30,30:10,10", 0.25),
        ("GT:RO:AO", "0/1:30:10", 0.25),
        ("GT:NR:NV", "0/1:40:10", 0.25),
        ("GT:DP4", "0/1:20,10,4,6", 0.25),
        ("GT:FA:DP", "0/1:0.5:10", 0.5),
        ("GT", "0/1", None),
    ],
)
def test_extract__reads_the_fraction_of_every_caller(read, keys, tumour, vaf):
    """Strelka tier 2 instead of tier 1, or VarScan's AD as reference, would shift all VAFs."""
    text = header(CSQ) + record(info=csq("TP53", "Arg175His"), keys=keys, normal=".", tumour=tumour)
    found = read(text)
    assert found.used == 1
    expected = None if vaf is None else pytest.approx(vaf)
    assert found.features["TP53_max_vaf"] == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"passed": "germline"}, "filter_not_pass"),
        ({"alt": "<DEL>"}, "structural_allele"),
        ({"alt": "C[chr2:5["}, "structural_allele"),
        ({"alt": "."}, "no_alternate_allele"),
        ({"alt": "<NON_REF>"}, "no_alternate_allele"),
        ({"tumour": "0/0:100,0:100"}, "not_in_tumour"),
        ({"tumour": "0/1:2,2:4"}, "low_depth"),
        ({"tumour": "0/1:990,10:1000"}, "low_vaf"),
        ({"info": "DP=3"}, "no_gene_annotation"),
    ],
)
def test_extract__counts_why_a_record_does_not_count(read, change, reason):
    found = read(
        header(CSQ, FORMATS)
        + record(**{"info": csq("TP53", "Arg175His"), **change})
        + record(info=csq("KRAS", "Gly12Asp"), pos="200")
    )
    assert (found.used, found.filtered, found.failed) == (1, {reason: 1}, {})
    assert found.features["TP53_variants"] == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alt": "A/T"}, "unreadable_allele"),
        ({"alt": ",".join(["T"] * 100_000)}, "too_many_alternates"),
        ({"ref": "c?"}, "unreadable_allele"),
        ({"tumour": "0/1:x,40:100"}, "unreadable_sample"),
        ({"tumour": "0/1:60,40:100:7"}, "unreadable_sample"),
        ({"alt": "A,,T"}, "unreadable_allele"),
        ({"tumour": "1/C:60,40:100"}, "unreadable_sample"),
        ({"tumour": "0/2:60,40:100"}, "unreadable_sample"),
    ],
)
def test_extract__counts_unreadable_records_as_failed(read, change, reason):
    """Of the gene of such a record nobody knows whether it is mutated."""
    found = read(
        header(CSQ)
        + record(**{"info": csq("TP53", "Arg175His"), **change})
        + record(info=csq("KRAS", "Gly12Asp"), pos="200")
    )
    assert (found.used, found.failed) == (1, {reason: 1})
    assert (found.features["TP53_variants"], found.features["KRAS_variants"]) == (None, 1)
    burden = found.blocks["snv_gene_burden"]
    assert burden is not None
    values = dict(zip(burden.names, burden.values.tolist(), strict=True))
    assert values == {"KRAS": 1.0, "TP53": pytest.approx(np.nan, nan_ok=True)}


def test_extract__counts_a_call_of_two_callers_once(read):
    """Merged files list a variant once per caller; the burden must not double."""
    once = record(info=csq("TP53", "Arg175His"))
    found = read(header(CSQ) + once + once.replace("chr1", "1"))
    assert (found.used, found.filtered) == (1, {"duplicate_record": 1})
    assert found.features["TP53_variants"] == 1


def test_extract__takes_several_alternates_apart(read):
    """The first alternate has no reads in the tumour: only the second one is a variant of it."""
    info = "CSQ=T|missense_variant|TP53|p.Arg175His||,G|missense_variant|KRAS|p.Gly12Asp||"
    text = header(CSQ) + record("T,G", info, tumour="0/2:60,0,40:100")
    found = read(text)
    assert (found.records, found.used) == (1, 1)
    assert found.features["TP53_variants"] == 0
    assert found.features["KRAS_variants"] == 1
    assert found.features["KRAS_max_vaf"] == pytest.approx(0.4)


def test_extract__takes_the_picked_then_the_most_severe_consequence(read):
    """The first entry is of a neighbouring gene; taking it would lose the stop in TP53."""
    entries = ["T|upstream_gene_variant|WRAP53|||", "T|stop_gained|TP53|p.Arg213Ter||"]
    assert (
        read(header(CSQ) + record(info="CSQ=" + ",".join(entries))).features["TP53_variants"] == 1
    )
    picked = ["T|missense_variant|TP53|p.Arg175His|1|", "T|stop_gained|KRAS|p.Gly12Ter||"]
    found = read(header(CSQ) + record(info="CSQ=" + ",".join(picked)))
    assert (found.features["TP53_variants"], found.features["KRAS_variants"]) == (1, 0)


def test_extract__reads_snpeff_and_plain_keys(read):
    ann = '##INFO=<ID=ANN,Number=.,Type=String,Description="Functional annotations: ...">'
    entry = (
        "ANN=T|missense_variant|MODERATE|JAK2|ENSG1|transcript|NM_1|coding|14/25|c.1|p.Val617Phe"
    )
    assert read(header(ann) + record(info=entry)).features["JAK2_V617F"] is True
    plain = [f'##INFO=<ID={key},Number=1,Type=String,Description="x">'
             for key in ("GENE", "CONSEQUENCE", "HGVSP")]  # fmt: skip
    info = "GENE=MLL;CONSEQUENCE=frameshift_variant;HGVSP=p.V1fs"
    assert read(header(*plain) + record(info=info)).features["KMT2A_variants"] == 1


@pytest.mark.parametrize(
    ("meta", "samples", "order"),
    [
        ((), "NORMAL\tTUMOR", (0, 1)),
        ((), "TUMOUR\tNORMAL", (1, 0)),
        (("##tumor_sample=S2",), "S1\tS2", (0, 1)),
        (("##tumor_sample=S1", "##normal_sample=S2"), "S1\tS2", (1, 0)),
        (("##normal_sample=S2",), "S1\tS2", (1, 0)),
        (
            ('##SAMPLE=<ID=A,Description="Tumor">', '##SAMPLE=<ID=B,Description="Blood">'),
            "A\tB",
            (1, 0),
        ),
        ((), "TCGA-AB-2802-03A\tTCGA-AB-2802-11A", (1, 0)),
        (("##normal_sample=X1",), "X1\tX2", (0, 1)),
        ((), "COLO829R\tCOLO829T", (0, 1)),
    ],
)
def test_extract__finds_the_tumour_column(read, meta, samples, order):
    """Reading the normal would report germline as somatic and lose every somatic call."""
    values = ["0/0:100,0:100", "0/1:60,40:100"]
    columns = [values[order[0]], values[order[1]]]
    text = header(CSQ, *meta, samples=samples)
    text += record(info=csq("TP53", "Arg175His"), normal=columns[0], tumour=columns[1])
    assert read(text).features["TP53_max_vaf"] == pytest.approx(0.4)


def test_extract__leaves_germline_calls_of_varscan_out(read):
    meta = '##INFO=<ID=SS,Number=1,Type=String,Description="Somatic status of variant">'
    germline = record(info="SS=1;" + csq("TP53", "Arg175His"))
    found = read(header(CSQ, meta) + germline + germline.replace("SS=1", "SS=2"))
    assert (found.used, found.filtered) == (1, {"not_somatic": 1})


def test_extract__refuses_a_file_of_another_build(read):
    contig = "##contig=<ID=chr1,length=249250621>"
    assert read(header(contig, CSQ), "hg19").records == 0
    with pytest.raises(WrongFormat, match="GRCh38"):
        read(header(contig, CSQ), "GRCh38")


def test_extract__reads_crlf_blank_lines_marks_and_latin1(read):
    """A Windows editor, a trailing blank line or an accent must neither add nor lose a record."""
    text = header(CSQ) + "\n" + record(info=csq("TP53", "Arg175His")) + "\n\n"
    assert read(text.replace("\n", "\r\n")).used == 1
    assert read(b"\xef\xbb\xbf" + text.encode()).used == 1
    latin = record(info="NOTE=\xe9;" + csq("TP53", "Arg175His"))
    assert read((header(CSQ) + latin).encode("latin-1")).features["TP53_variants"] == 1


def test_extract__reads_ten_thousand_samples(read):
    samples = "\t".join([*(f"S{i}" for i in range(9_999)), "TUMOR"])
    others = "\t".join(["0/0:9,0:9"] * 9_999)
    text = header(CSQ, samples=samples) + record(info=csq("TP53", "Arg175His"), normal=others)
    assert read(text).features["TP53_max_vaf"] == pytest.approx(0.4)


def test_extract__gives_gene_vectors_of_the_largest_fraction(read):
    calls = "".join(
        record(info=csq("TET2", "Gln9Ter", "stop_gained"), pos=str(i), tumour=f"0/1:50,{i}:100")
        for i in (10, 50)
    )
    block = read(header(CSQ) + calls).blocks["snv_gene_max_vaf"]
    assert block is not None
    np.testing.assert_allclose(block.values, [0.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("keys", "tumour"),
    [
        ("GT:AD:DP", "./.:.:."),
        ("GT:AD:DP", "./."),
        ("GT", "./."),
        ("GT:DP", ".|.:0"),
        ("GT:AD:DP", ".:.:."),
        ("AD:DP", ".:."),
        ("GT:AD:DP", "./.:0,0:0"),
    ],
)
def test_extract__does_not_credit_what_a_merge_filled_in(read, keys, tumour):
    """``bcftools merge`` writes a no-call for those who lack the variant of another patient."""
    own = record(info=csq("KRAS", "Gly12Asp"), pos="200")
    filled_in = record(info=csq("TP53", "Arg175His"), keys=keys, tumour=tumour, normal=".")
    found = read(header(CSQ) + own + filled_in)
    assert (found.used, found.filtered) == (1, {"no_call": 1})
    assert found.features["TP53_variants"] == 0
    with pytest.raises(NothingUsable, match="1 no_call"):
        read(header(CSQ) + filled_in)


def test_extract__counts_records_on_contigs_that_the_genome_does_not_have(read):
    """Decoys and scaffolds have no genes; a misspelt chromosome has them all."""
    own = record(info=csq("KRAS", "Gly12Asp"), pos="200")
    other = record(info=csq("TP53", "Arg175His"))
    text = header(CSQ) + own
    for contig in ("hs37d5", "chrUn_GL000218v1", "Chromosome1"):
        text += other.replace("chr1", contig)
    found = read(text + other.replace("chr1", "chrM"))
    assert (found.used, found.filtered) == (2, {"other_contig": 3})


def test_extract__names_no_gene_between_genes(read):
    """SnpEff writes both neighbours, ANNOVAR both with an escape, Funcotator ``Unknown``."""
    ann = '##INFO=<ID=ANN,Number=.,Type=String,Description="Functional annotations: ...">'
    entry = "ANN=T|intergenic_region|MODIFIER|TP53-WRAP53|ENSG1-ENSG2|intergenic_region|x|||n.1|"
    found = read(header(ann) + record(info=entry))
    assert found.used == 1
    variants = found.blocks["snv_gene_variants"]
    assert variants is not None
    assert variants.names.to_list() == []
    annovar = [f'##INFO=<ID={key}.refGene,Number=.,Type=String,Description="x">'
               for key in ("Func", "Gene", "ExonicFunc", "AAChange")]  # fmt: skip
    info = "Func.refGene=intergenic;Gene.refGene=TP53\\x3bWRAP53;ExonicFunc.refGene=."
    variants = read(header(*annovar) + record(info=info)).blocks["snv_gene_variants"]
    assert variants is not None
    assert variants.names.to_list() == []


def test_extract__does_not_read_missing_annotation_as_no_gene_altered(read):
    """The header promises genes and the records have none: every gene is unknown."""
    found = read(header(CSQ) + record(info="DP=3") + record(info="DP=3", passed="q", pos="200"))
    assert (found.used, found.filtered) == (0, {"no_gene_annotation": 1, "filter_not_pass": 1})
    assert {v for n, v in found.features.items() if n != "snv_annotation"} == {None}


def test_extract__reads_the_named_sample_of_a_cohort(read):
    """Without a name, the last of three patients would be the one."""
    text = header(CSQ, samples="A\tB") + record(
        info=csq("TP53", "Arg175His"), normal="0/1:60,40:100", tumour="0/0:100,0:100"
    )
    with pytest.raises(AmbiguousSample, match="A, B"):
        read(text)
    assert [read(text, sample=name).used for name in "AB"] == [1, 0]
    assert read(text, sample="A").sample == "A"
    with pytest.raises(MissingSample, match="only normal"):
        read(header(CSQ, samples="PT_normal\tPT2_normal") + record(info=csq("TP53", "Arg175His")))
