"""Importer of matrices: which axis, which unit, which label, and nothing lost on the way."""

import gzip
from pathlib import Path

import polars as pl
import pytest

from assets.expression.layouts import Unit
from assets.expression.quantification import extract
from assets.importers.layout import LabelSource
from assets.importers.matrix.cohort import import_matrix
from assets.importers.matrix.tables import Axis
from assets.landing.samplesheet import read_samplesheet
from oncoframe.errors import FileMissing, ImpossibleValue, TruncatedFile, WrongFormat

#: Genes x patients; TP53 and FLT3 are known genes, the third is not.
GENES_IN_ROWS = "gene,P 1,P2,P3\nTP53,5,0,NA\nFLT3,7,2,\nRP11-1.2,0,3,NA\n"
PATIENTS_IN_ROWS = "sample\tTP53\tFLT3\tRP11-1.2\nP 1\t5\t7\t0\nP2\t0\t2\t3\nP3\tNA\t\tNA\n"
R_EXPORT = '"P 1"\t"P2"\t"P3"\n"TP53"\t5\t0\tNA\n"FLT3"\t7\t2\tNA\n"RP11-1.2"\t0\t3\tNA\n'
GCT = (
    "#1.2\n3\t3\nName\tDescription\tP 1\tP2\tP3\n"
    "TP53\tfirst, long\t5\t0\tNA\nFLT3\tsecond\t7\t2\t\nRP11-1.2\tthird\t0\t3\tNA\n"
)
COMMAS = 'gene;description;"P 1";P2;P3\n"TP53";"a; b";5;0;NA\nFLT3;c;7;2;\nRP11-1.2;d;0;3;NA\n'
LABELS = "patient,sex,subtype\nP 1,f,Ph\nP2,m,\nP9,m,DUX4\n"


def landed(folder: Path, patient: str) -> list[tuple[str, str]]:
    """Rows of a patient's table."""
    file = folder / f"expression/{patient}.tsv"
    return pl.read_csv(file, separator="\t", infer_schema=False).rows()


def write(folder: Path, **files: str | bytes) -> Path:
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (source / name.replace("__", ".")).write_bytes(data)
    return source


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        (GENES_IN_ROWS, "rows"),
        (PATIENTS_IN_ROWS, "columns"),
        (R_EXPORT, "rows"),
        (GCT, "rows"),
        (COMMAS, "rows"),
        (GENES_IN_ROWS.replace(",", "\t").replace("\n", "\r\n"), "rows"),
        (gzip.compress(GENES_IN_ROWS.encode(), mtime=0), "rows"),
    ],
)
def test_import_matrix__gives_each_patient_its_own_values(tmp_path, text, axis):
    """A transposed matrix would import too: every gene a patient, every patient a gene."""
    source = write(tmp_path, my_counts=text)

    summary = import_matrix(source, tmp_path / "landing")

    assert summary.genes_in == axis
    assert summary.unit == "counts"
    assert landed(tmp_path / "landing", "P_1") == [("TP53", "5"), ("FLT3", "7"), ("RP11-1.2", "0")]
    assert landed(tmp_path / "landing", "P2") == [("TP53", "0"), ("FLT3", "2"), ("RP11-1.2", "3")]
    sheet = read_samplesheet(str(tmp_path / "landing"))
    assert dict(sheet.select("patient_id", "status").iter_rows()) == {
        "P2": "performed",
        "P3": "not_performed",
        "P_1": "performed",
    }
    assert (summary.patients, summary.patients_without_values, summary.renamed_patients) == (
        3,
        1,
        1,
    )


def test_import_matrix__is_read_by_the_reader_of_expression(tmp_path):
    """What is written here must be what the platform understands, unit and all."""
    source = write(tmp_path, counts__csv=GENES_IN_ROWS)
    import_matrix(source, tmp_path / "landing")

    found = extract(tmp_path / "landing/expression/P_1.tsv", reference_build=None)

    assert found.features["expression_unit"] == "counts"
    assert found.features["expression_total_counts"] == 12.0


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (LABELS, LabelSource(column="subtype", name="entity", version="v1")),
        ("P 1,Ph\nP2,NA\nP9,DUX4\n", LabelSource(name="entity", version="v1")),
        ("class\tid\nPh\tP 1\n\tP2\nDUX4\tP9\n", LabelSource(name="entity", version="v1")),
    ],
)
def test_import_matrix__takes_labels_from_a_second_table(tmp_path, text, source):
    """With header or without, patients in any column; a label of nobody is counted."""
    folder = write(tmp_path, counts__csv=GENES_IN_ROWS, labels__csv=text)

    summary = import_matrix(folder, tmp_path / "landing", labels=source)

    diagnoses = pl.read_csv(tmp_path / "landing/clinical/diagnoses.csv").rows()
    assert diagnoses == [("P_1", "entity", "Ph", "v1", "2020-01-01")]
    assert (summary.labelled, summary.classes, summary.labels_without_patient) == (1, 1, 1)


def test_import_matrix__takes_labels_from_a_column_of_the_matrix(tmp_path):
    """Labels coded as numbers are no gene."""
    text = "sample,TP53,FLT3,subtype\nP1,5,7,0\nP2,0,2,1\n"
    source = write(tmp_path, counts__csv=text) / "counts.csv"

    summary = import_matrix(source, tmp_path / "landing", labels=LabelSource(column="subtype"))

    assert (summary.labelled, summary.classes, summary.genes) == (2, 2, 2)


def test_import_matrix__patients_of_the_labels_tell_the_axis(tmp_path):
    """Gene names that nobody knows say nothing; the patients of the labels do."""
    text = "x,a,b\ng1,5,7\ng2,0,2\n"
    source = write(tmp_path, counts__csv=text, labels__csv="id,class\ng1,one\ng2,two\n")

    assert import_matrix(source, tmp_path / "landing").genes_in == "columns"
    (source / "labels.csv").unlink()
    with pytest.raises(WrongFormat, match=r"whether rows or columns are genes.*--genes rows"):
        import_matrix(source, tmp_path / "landing")
    assert import_matrix(source, tmp_path / "landing", genes=Axis.ROWS).genes == 2


@pytest.mark.parametrize(
    ("name", "text", "unit"),
    [
        ("counts", "gene,A\nTP53,3\n", "counts"),
        ("x_tpm", "gene,A\nTP53,3.5\n", "tpm"),
        ("x_log2_tpm_expr", "gene,A\nTP53,-3.5\n", "log2"),
        ("rsem_genes", "gene,A\nTP53,3.5\n", "counts"),
        ("fpkm", "gene,A\nTP53,3.5\n", "fpkm"),
    ],
)
def test_import_matrix__tells_the_unit(tmp_path, name, text, unit):
    assert import_matrix(write(tmp_path, **{name: text}), tmp_path / "landing").unit == unit


def test_import_matrix__does_not_take_logarithms_for_counts(tmp_path):
    """Xena calls log2(count + 1) "counts": normalised as counts, it is nonsense without error."""
    source = write(tmp_path, htseq_counts__tsv="gene\tA\nTP53\t11.25\n")

    with pytest.raises(WrongFormat, match=r"nothing tells the unit.*--unit"):
        import_matrix(source, tmp_path / "landing")
    assert import_matrix(source, tmp_path / "landing", unit=Unit.LOG2).unit == "log2"


def test_import_matrix__accounts_for_rows_that_are_no_gene(tmp_path):
    """Two rows of one gene are summed as counts; as logarithms they cannot be."""
    text = "gene,A\nTP53,3\nTP53,4\n,5\n?,6\n"
    source = write(tmp_path, counts__csv=text)

    counts = import_matrix(source, tmp_path / "landing")
    logs = import_matrix(source, tmp_path / "landing2", unit=Unit.LOG2)

    assert (counts.gene_rows, counts.genes, counts.unnamed_genes, counts.repeated_genes) == (
        4, 2, 2, 0,
    )  # fmt: skip
    assert (logs.gene_rows, logs.genes, logs.unnamed_genes, logs.repeated_genes) == (4, 1, 2, 1)
    assert landed(tmp_path / "landing2", "A") == [("TP53", "3")]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("gene,A\nTP53,-3\n", ImpossibleValue, "cannot have been measured"),
        ("gene,A\nTP53,inf\n", ImpossibleValue, "infinite"),
        ("gene,A,B\nTP53,3,1\nFLT3,high,2\n", WrongFormat, "line 3: a value of the matrix is no"),
        ("gene,A\nTP53,3,4,5\n", WrongFormat, "line 2: a line has the wrong number of columns"),
        ("gene,A,B\nTP53,3,4\nFLT3,1", TruncatedFile, "line 3: the file ends within a line"),
        ("gene,A,A\nTP53,3,4\n", WrongFormat, "two columns of the matrix have one name"),
        ("gene,A b,A.b\nTP53,3,4\n", WrongFormat, "patients' names cannot be used"),
        ("only one column\n1\n", WrongFormat, "not a table; got other text"),
        ("<html>a,b</html>\n", WrongFormat, "not a table"),
    ],
)
def test_import_matrix__refuses_what_is_no_matrix(tmp_path, text, error, message):
    source = write(tmp_path, counts__csv=text)

    with pytest.raises(error, match=message):
        import_matrix(source, tmp_path / "landing", unit=Unit.COUNTS)
    assert not (tmp_path / "landing").exists()


def test_import_matrix__refuses_labels_that_fit_nobody(tmp_path):
    source = write(tmp_path, counts__csv=GENES_IN_ROWS, labels__csv="id,class\nX1,Ph\n")
    with pytest.raises(WrongFormat, match="names no patient of the matrix"):
        import_matrix(source, tmp_path / "landing")
    write(tmp_path, labels__csv=LABELS)
    with pytest.raises(WrongFormat, match=r"which column is the label.*got 2.*--label-column"):
        import_matrix(source, tmp_path / "landing")
    with pytest.raises(WrongFormat, match="1 column is missing; expected fab"):
        import_matrix(source, tmp_path / "landing", labels=LabelSource(column="fab"))
    write(tmp_path, labels__csv="id,class\nP2,Ph\nP2,DUX4\n")
    with pytest.raises(WrongFormat, match="a patient has two rows of labels") as raised:
        import_matrix(source, tmp_path / "landing")
    assert "P2" not in str(raised.value)


def test_import_matrix__says_which_file_it_could_not_choose(tmp_path):
    source = write(tmp_path, a_counts__csv=GENES_IN_ROWS, b_counts__csv=GENES_IN_ROWS)
    with pytest.raises(FileMissing, match=r"more than one expression matrix.*Give the file itself"):
        import_matrix(source, tmp_path / "landing")
    with pytest.raises(FileMissing, match="the download is not there"):
        import_matrix(tmp_path / "nowhere", tmp_path / "landing")
