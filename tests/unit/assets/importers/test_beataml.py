"""BeatAML importer, on a download of six invented patients in the original's formats."""

import zipfile
from hashlib import sha256
from pathlib import Path
from xml.sax.saxutils import escape

import cyvcf2
import polars as pl
import pysam
import pytest

from assets.importers.beataml.cohort import _COLUMNS, import_beataml
from assets.landing.samplesheet import read_samplesheet
from oncoframe.errors import FileMissing, ImpossibleValue, WrongFormat

#: Values of a specimen about which nothing special is said.
PLAIN = {
    "diseaseStageAtSpecimenCollection": "Initial Diagnosis",
    "timeOfSampleCollectionRelativeToInclusion": "0",
    "centerID": "1",
    "consensus_sex": "Female",
    "specimenType": "Peripheral Blood",
    "isDenovo": "TRUE",
    "isRelapse": "unknown",
    "priorMDS": "n",
    "NPM1": "positive",
    "vitalStatus": "Dead",
    "causeOfDeath": "Dead-Disease",
    "overallSurvival": "100",
    "responseDurationToInductionTx": "-1",
    "ELN2017": "NonInitial",
    "hemoglobin": "8.8",
    "specificDxAtAcquisition": "AML with mutated NPM1 ",
}


def specimen(subject: int, sample: int, **changes: str) -> dict[str, str]:
    """Row of the clinical sheet; an argument given as "" is a blank cell."""
    ids = {
        "dbgap_subject_id": str(subject),
        "dbgap_dnaseq_sample": f"BA{sample}D",
        "dbgap_rnaseq_sample": f"BA{sample}R",
    }
    return {**PLAIN, **ids, **changes}


STAGE, DAY = "diseaseStageAtSpecimenCollection", "timeOfSampleCollectionRelativeToInclusion"
SPECIMENS = [
    # An initial specimen counts although a relapse specimen carries an earlier day.
    specimen(2001, 12, **{STAGE: "Relapse", DAY: "10"}, specificDxAtAcquisition="Relapse's own"),
    specimen(2001, 11, **{DAY: "34"}, consensusAMLFusions="CBFB-MYH11", NPM1="negative"),
    # Without an initial specimen, the earliest.
    specimen(2002, 22, **{STAGE: "Residual", DAY: "5"}),
    specimen(2002, 21, **{STAGE: "", DAY: "3"}, consensusAMLFusions="KMT2A_re"),
    # No RNA; no expression: not landed.
    specimen(2003, 31, dbgap_rnaseq_sample=""),
    specimen(2004, 41),
    specimen(
        2005,
        51,
        consensusAMLFusions="N/A",
        specificDxAtAcquisition="unknown",
        vitalStatus="Unknown",
        causeOfDeath="",
        overallSurvival="0",
        **{"%.Blasts.in.BM": ">90", "%.Blasts.in.PB": "rare", "plateletCount": "N/A"},
    ),
    # A second specimen of the same day.
    specimen(2006, 62),
    specimen(2006, 61),
]
#: sample, contig, position, ref, alt, caller, depth, alternate reads
CALLS = [
    ("BA11D", "10", 500, "G", "A", "mutect", 100, 40),
    ("BA11D", "2", 900, "TC", "T", "varscan", 50, 10),
    ("BA11D", "X", 100, "A", "AGG", "mutect", 20, 5),
    ("BA11D", "X", 100, "A", "AGG", "varscan", 30, 6),
    ("BA12D", "2", 901, "C", "T", "mutect", 80, 8),
    ("BA21D", "17", 7_577_018, "C", "T", "varscan", 60, 30),
    ("BA41D", "1", 10, "C", "T", "varscan", 60, 30),
]


def write_workbook(file: Path, rows: list[dict[str, str]], sheet: str = "summary") -> None:
    """Smallest workbook (ECMA-376) with one sheet of text cells."""

    def cells(values: list[str]) -> str:
        written = (
            f'<c t="inlineStr"><is><t>{escape(v)}</t></is></c>' if v else "<c/>" for v in values
        )
        return f"<row>{''.join(written)}</row>"

    lines = [cells(_COLUMNS), *(cells([row.get(c, "") for c in _COLUMNS]) for row in rows)]
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package'
        '.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/s.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        f'<sheet name="{sheet}" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData>'
        "</worksheet>",
    }
    with zipfile.ZipFile(file, "w") as workbook:
        for name, content in parts.items():
            workbook.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')


def write_calls(file: Path, calls: list[tuple]) -> None:
    """Call table with the columns of the original."""
    keys = ("dbgap_sample_id", "seqnames", "pos_start", "ref", "alt", "genotyper")
    table = pl.DataFrame(calls, schema=[*keys, "total_reads", "allele_reads"], orient="row")
    table.with_columns(
        tumor_only=pl.lit(0),
        variant_classification=pl.lit("missense_variant"),
        gene=pl.lit("ENSG0"),
        symbol=pl.lit("GENE"),
        biotype=pl.lit("protein_coding"),
        hgvsc=pl.lit("ENST0.1:c.1A>T"),
        hgvsp=pl.lit("ENSP0.1:p.="),
        existing_variation=pl.lit("rs1&COSM2"),
        sift=pl.lit("tolerated(0.5)"),
        polyphen=pl.lit(""),
        exac_af=pl.lit(None, pl.Float64),
    ).write_csv(file, separator="\t")


@pytest.fixture
def source(tmp_path) -> Path:
    folder = tmp_path / "download"
    folder.mkdir()
    write_workbook(folder / "beataml_clinical.xlsx", SPECIMENS)
    write_calls(folder / "beataml_mutations_dbgap.txt", CALLS)
    (folder / "beataml_norm_exp.tsv").write_text(
        "symbol\tP2001\tP2002\tP2003\tP2005\tP2006\nTP53\t1.5\t2.5\t3\t4\t5\nMECOM\t-1\t0\t1\t2\t3\n"
    )
    return folder


def records(file: Path) -> list[tuple]:
    """Position, alleles, depths and fraction as cyvcf2, an independent reader, sees them."""
    with cyvcf2.VCF(file) as vcf:
        return [
            (v.CHROM, v.POS, v.REF, v.ALT[0], v.format("AD")[0].tolist(), v.format("DP")[0, 0])
            for v in vcf
        ]


def test_import_beataml__takes_the_initial_else_the_earliest_specimen(source, tmp_path):
    """A specimen of a relapse would put later mutations and a later diagnosis into the frame."""
    summary = import_beataml(source, tmp_path / "landing")

    sheet = read_samplesheet(str(tmp_path / "landing"))
    snv = sheet.filter(modality="snv")
    assert snv["patient_id"].to_list() == ["P2001", "P2002", "P2005", "P2006"]
    assert [Path(path).name for path in snv["path"]] == [
        "P2001_BA11D.vcf.gz",
        "P2002_BA21D.vcf.gz",
        "P2005_BA51D.vcf.gz",
        "P2006_BA61D.vcf.gz",
    ]
    assert snv["collected_on"].dt.date().cast(pl.String).to_list() == [
        "2020-02-04",
        "2020-01-04",
        "2020-01-01",
        "2020-01-01",
    ]
    assert set(snv["reference_build"]) == {"GRCh37"}
    assert (summary.patients, summary.specimens, summary.patients_not_landed) == (4, 4, 2)


def test_import_beataml__all_specimens_add_exomes_with_their_own_date(source, tmp_path):
    """Serial specimens under one date would overwrite each other; of one day only one is landed."""
    summary = import_beataml(source, tmp_path / "landing", specimens="all")

    sheet = read_samplesheet(str(tmp_path / "landing"))
    counts = dict(sheet.group_by("modality").len().iter_rows())
    assert counts == {"snv": 6, "expression": 4, "fusion": 4}
    relapse = sheet.filter(patient_id="P2001", modality="snv")["collected_on"].dt.date()
    assert relapse.cast(pl.String).to_list() == ["2020-01-11", "2020-02-04"]
    assert (summary.specimens, summary.same_day_specimens) == (6, 1)


def test_import_beataml__one_sorted_record_per_variant_and_every_call_accounted(source, tmp_path):
    """Two callers of one variant would count as two mutations; a lost call as none."""
    summary = import_beataml(source, tmp_path / "landing")

    assert records(tmp_path / "landing/snv/P2001_BA11D.vcf.gz") == [
        ("2", 900, "TC", "T", [40, 10], 50),
        ("10", 500, "G", "A", [60, 40], 100),
        ("X", 100, "A", "AGG", [24, 6], 30),
    ]
    assert records(tmp_path / "landing/snv/P2005_BA51D.vcf.gz") == []
    assert summary.calls == len(CALLS)
    assert (summary.variants, summary.merged_calls, summary.calls_not_landed) == (4, 1, 2)


def test_import_beataml__info_names_gene_consequence_and_callers(source, tmp_path):
    """The gene-level features read CSQ by the names of its header, VEP's way of writing indels."""
    import_beataml(source, tmp_path / "landing")

    file = tmp_path / "landing/snv/P2001_BA11D.vcf.gz"
    with cyvcf2.VCF(file) as vcf:
        declared = vcf.get_header_type("CSQ")["Description"]
        fields = declared.strip('"').split("Format: ")[1].split("|")
        found = [(v, dict(zip(fields, v.INFO["CSQ"].split("|"), strict=True))) for v in vcf]
        [(deletion, first), (_, second), (insertion, third)] = found
        assert vcf.samples == ["BA11D"]
        assert [csq["Allele"] for csq in (first, second, third)] == ["-", "A", "GG"]
        assert first["SYMBOL"] == "GENE"
        assert first["Consequence"] == "missense_variant"
        assert first["HGVSp"] == "ENSP0.1:p.%3D"
        assert insertion.INFO["CALLERS"] == "mutect,varscan"
        assert insertion.INFO["CALLER_DP"] == (20, 30)
        assert insertion.format("AF")[0, 0] == pytest.approx(0.2)
        assert deletion.FILTER is None  # PASS
    with pysam.TabixFile(str(file)) as index:
        assert [line.split("\t")[1] for line in index.fetch("10")] == ["500"]


def test_import_beataml__tells_positive_negative_and_not_assessed_fusions_apart(source, tmp_path):
    """A negative taken for "not assessed" (or the reverse) turns into a wrong zero."""
    summary = import_beataml(source, tmp_path / "landing")

    fusion = read_samplesheet(str(tmp_path / "landing")).filter(modality="fusion")
    assert fusion["status"].to_list() == [
        "performed",
        "performed",
        "not_performed",
        "performed",
    ]
    tables = [
        pl.read_csv(path, separator="\t", infer_schema=False).select("LeftGene", "RightGene").rows()
        for path in fusion["path"]
        if path
    ]
    assert tables == [[("CBFB", "MYH11")], [("KMT2A", ".")], []]
    counts = (summary.fusion_positive, summary.fusion_negative, summary.fusion_not_assessed)
    assert counts == (2, 1, 1)


def test_import_beataml__expression_keeps_values_and_names_its_unit(source, tmp_path):
    """Log2 values read as counts would be logged twice."""
    import_beataml(source, tmp_path / "landing")

    text = (tmp_path / "landing/expression/P2002_BA21R.tsv").read_text()
    assert text == "gene_symbol\tlog2_expression\nTP53\t2.5\nMECOM\t0.0\n"


def test_import_beataml__clinical_tables_use_canonical_columns(source, tmp_path):
    """Codes such as -1 ("no end recorded") or "Unknown" must not become values."""
    summary = import_beataml(source, tmp_path / "landing")

    clinical = tmp_path / "landing" / "clinical"
    patients = pl.read_csv(clinical / "patients.csv", infer_schema=False).rows_by_key(
        "patient_id", named=True, unique=True
    )
    assert patients["P2001"]["npm1_clinical"] == "negative"
    assert patients["P2001"]["index_date"] == "2020-02-04"
    assert patients["P2001"]["is_denovo"] == "true"
    assert patients["P2001"]["is_relapse"] is None
    assert patients["P2001"]["hemoglobin_g_per_dl"] == "8.8"
    assert patients["P2001"]["overall_survival_days"] == "100"
    assert patients["P2001"]["induction_duration_days"] is None
    assert patients["P2001"]["eln2017_risk"] is None
    assert patients["P2005"]["overall_survival_days"] is None
    assert patients["P2005"]["blasts_bm_pct"] == "90"
    assert patients["P2005"]["blasts_pb_pct"] is None
    assert summary.unreadable_values == 1
    diagnoses = pl.read_csv(clinical / "diagnoses.csv").rows()
    assert diagnoses[0] == (
        "P2001",
        "who_diagnosis",
        "AML with mutated NPM1",
        "WHO 2016",
        "2020-02-04",
    )
    assert [row[0] for row in diagnoses] == ["P2001", "P2002", "P2006"]
    assert summary.labelled == 3


def test_import_beataml__gives_the_same_bytes_again_and_reports_progress(source, tmp_path):
    """A time in a gzip header would make every patient stale at the next import."""

    def landed(name: str) -> dict[str, str]:
        steps: list[tuple[int, int]] = []
        import_beataml(source, tmp_path / name, progress=lambda *step: steps.append(step))
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        return {
            path.relative_to(tmp_path / name).as_posix(): sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    assert landed("first") == landed("second")


def test_import_beataml__names_the_missing_file(source, tmp_path):
    (source / "beataml_norm_exp.tsv").unlink()
    with pytest.raises(FileMissing, match=r"expression matrix.*expected one file \*norm_exp\*"):
        import_beataml(source, tmp_path / "landing")


def test_import_beataml__names_the_missing_column(source, tmp_path):
    table = source / "beataml_mutations_dbgap.txt"
    pl.read_csv(table, separator="\t").drop("symbol").write_csv(table, separator="\t")
    with pytest.raises(WrongFormat, match="1 column is missing; expected symbol"):
        import_beataml(source, tmp_path / "landing")
    assert not (tmp_path / "landing").exists()


def test_import_beataml__refuses_a_workbook_without_its_sheet(source, tmp_path):
    write_workbook(source / "beataml_clinical.xlsx", SPECIMENS, sheet="other")
    with pytest.raises(WrongFormat, match="no sheet summary"):
        import_beataml(source, tmp_path / "landing")


def test_import_beataml__refuses_text_that_is_no_workbook(source, tmp_path):
    (source / "beataml_clinical.xlsx").write_text("dbgap_subject_id\n2001\n")
    with pytest.raises(WrongFormat, match="expected an Excel workbook"):
        import_beataml(source, tmp_path / "landing")


@pytest.mark.parametrize(
    "call",
    [
        ("BA11D", "chr2", 900, "T", "C", "varscan", 50, 10),
        ("BA11D", "2", 243_199_374, "T", "C", "varscan", 50, 10),
        ("BA11D", "2", 900, "T", "<DEL>", "varscan", 50, 10),
        ("BA11D", "2", 900, "T", "C", "varscan", 50, 51),
        ("BA11D", "2", 900, "T", "C", "varscan", 50, -1),
    ],
)
def test_import_beataml__refuses_calls_that_cannot_be(source, tmp_path, call):
    """A chr prefix or another build would land variants that no annotation ever finds."""
    write_calls(source / "beataml_mutations_dbgap.txt", [*CALLS, call])
    with pytest.raises(ImpossibleValue, match="row 9 is no call on GRCh37"):
        import_beataml(source, tmp_path / "landing")


def test_import_beataml__refuses_codes_it_does_not_know(source, tmp_path):
    """A new code mapped to nothing would look like a value that nobody recorded."""
    changed = [{**row, "vitalStatus": "Lost"} for row in SPECIMENS]
    write_workbook(source / "beataml_clinical.xlsx", changed)
    with pytest.raises(WrongFormat, match=r"column vitalStatus.*got 4 other values") as raised:
        import_beataml(source, tmp_path / "landing")
    assert "lost" not in str(raised.value).lower()


def test_import_beataml__refuses_numbers_that_are_none(source, tmp_path):
    matrix = source / "beataml_norm_exp.tsv"
    matrix.write_text(matrix.read_text().replace("2.5", "high"))
    with pytest.raises(WrongFormat, match="column P2002 holds values that are no numbers"):
        import_beataml(source, tmp_path / "landing")
