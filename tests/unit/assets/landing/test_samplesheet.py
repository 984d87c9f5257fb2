"""Samplesheet: every wrong sheet is refused with one sentence that names row and column."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from assets.landing.samplesheet import COLUMNS, OPTIONAL, SCHEMA, pseudonym, read_samplesheet
from oncoframe.errors import SamplesheetError, Unavailable

HEADER = ",".join(COLUMNS)
GOOD = "P1,snv,a.vcf,2024-03-31,performed,GRCh38,Mutect2,Ulm"
MRN = "00123456"
KEY = b"secret of the institution"


@pytest.fixture
def landing(tmp_path):
    """Landing zone with one file; write its sheet as text or bytes."""
    (tmp_path / "a.vcf").touch()

    def write(*lines: str | bytes, end: str = "\n") -> str:
        content = b"".join(
            line if isinstance(line, bytes) else (line + end).encode() for line in lines
        )
        (tmp_path / "samplesheet.csv").write_bytes(content)
        return str(tmp_path)

    return write


def refusal(landing: str, **options) -> str:
    with pytest.raises(SamplesheetError) as caught:
        read_samplesheet(landing, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{landing}/samplesheet.csv: ")
    assert "\n" not in sentence
    return sentence


def row(**changes: str) -> str:
    """One row of the sheet, right but for the changes."""
    values = dict(zip(COLUMNS, GOOD.split(","), strict=True))
    return ",".join({**values, **changes}.values())


def test_read_samplesheet__gives_types_paths_and_order(landing, tmp_path):
    """Every later stage relies on absolute paths, UTC dates and sorted rows."""
    sheet = read_samplesheet(landing(HEADER, row(patient_id="P2", site=""), GOOD))
    assert sheet.schema == SCHEMA
    assert sheet["patient_id"].to_list() == ["P1", "P2"]
    assert sheet["site"].to_list() == ["Ulm", None]
    assert sheet.row(0, named=True) == {
        "patient_id": "P1",
        "modality": "snv",
        "path": str(tmp_path / "a.vcf"),
        "collected_on": datetime(2024, 3, 31, tzinfo=UTC),
        "status": "performed",
        "reference_build": "GRCh38",
        "tool": "Mutect2",
        "site": "Ulm",
        "sample": None,
        "pixel_size_um": None,
        "stain": None,
        "scanner": None,
    }


def test_read_samplesheet__needs_no_file_for_an_assay_that_has_none(landing):
    """Failed and not performed are states of their own, with an empty path."""
    sheet = read_samplesheet(
        landing(
            HEADER,
            row(status="failed", path=""),
            row(modality="cnv", status="failed", path="gone.cns"),
            row(modality="sv", status="not_performed", path="", collected_on=""),
        )
    )
    assert sheet.select("modality", "status", "path").rows() == [
        ("cnv", "failed", ""),
        ("snv", "failed", ""),
        ("sv", "not_performed", ""),
    ]
    assert sheet["collected_on"].null_count() == 1


@pytest.mark.parametrize(
    "lines",
    [
        (b"\xef\xbb\xbf" + f"{HEADER}\r\n{GOOD}\r\n".encode(),),
        ("", HEADER, "", GOOD, "", ",,,,,,,", ""),
        (HEADER, GOOD.replace("a.vcf", '"a.vcf"').replace("Mutect2", '" Mutect2 "')),
        (HEADER.replace(",", " , "), GOOD.replace(",", " , ")),
        (f"{HEADER},comment,row", f'{GOOD},"said ""no"", twice",7'),
        (f"{HEADER},,", f"{GOOD},,"),
        (",".join(reversed(COLUMNS)), ",".join(reversed(GOOD.split(",")))),
        (f"{HEADER}\n{GOOD}".encode(),),
    ],
    ids=["BOM CRLF", "blank", "quoted", "spaces", "columns", "commas", "order", "no last newline"],
)
def test_read_samplesheet__reads_what_spreadsheets_write(landing, lines):
    """A BOM becomes part of the first column's name, and the column is 'missing'."""
    plain = read_samplesheet(landing(HEADER, GOOD))
    assert read_samplesheet(landing(*lines)).equals(plain)


def test_read_samplesheet__keeps_commas_inside_quotes(landing, tmp_path):
    """A split inside quotes would shift every later column."""
    (tmp_path / "a, b.vcf").touch()
    sheet = read_samplesheet(landing(HEADER, row(path='"a, b.vcf"', tool='"Mutect2, merged"')))
    assert sheet["path"].item() == str(tmp_path / "a, b.vcf")
    assert sheet["tool"].item() == "Mutect2, merged"


@pytest.mark.parametrize("column", COLUMNS)
def test_read_samplesheet__names_a_missing_column(landing, column):
    """Issue: a missing column is refused before any run."""
    kept = [name for name in COLUMNS if name != column]
    said = refusal(landing(",".join(kept), GOOD))
    assert f"row 1: column {column} is missing; expected {HEADER}, got {','.join(kept)}." in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modality": "rna"}, "row 3: column modality must be one of snv, sv, cnv, expression"),
        ({"modality": ""}, "row 3: column modality"),
        ({"modality": "SNV"}, "row 3: column modality"),
        ({"status": "done"}, "row 3: column status must be one of performed, failed"),
        ({"patient_id": "P 1"}, "row 3: column patient_id must match"),
        ({"patient_id": ""}, "row 3: column patient_id must match"),
        ({"patient_id": "P" * 65}, "row 3: column patient_id must match"),
        ({"patient_id": "Jürgen"}, "row 3: column patient_id must match"),
        ({"patient_id": '"P,1"'}, "row 3: column patient_id must match"),
        ({"patient_id": "P,1"}, "row 3: column patient_id holds a comma; expected 8 values"),
        ({"tool": "Mutect2,merged"}, "row 3: a value that holds a comma?; expected 8 values"),
        ({"path": "none.vcf"}, "row 3: column path names {landing}/none.vcf, which does not exist"),
        ({"path": "x" * 300}, "row 3: column path names"),
        ({"path": "a.vcf/b"}, "row 3: column path names"),
        ({"path": ""}, "row 3: column path is empty although the assay was performed"),
        ({"collected_on": "31.03.2024"}, "row 3: column collected_on must be a date such as"),
        ({"collected_on": "2024-02-30"}, "row 3: column collected_on must be a date"),
        ({"collected_on": "2024-3-31"}, "row 3: column collected_on must be a date"),
        ({"collected_on": "2024-03-31T00:00"}, "row 3: column collected_on must be a date"),
        ({"collected_on": ""}, "row 3: column collected_on must be a date"),
        ({"collected_on": "", "status": "failed"}, "row 3: column collected_on must be a date"),
        ({"patient_id": "P0"}, "row 3: the row repeats patient_id, modality and collected_on"),
    ],
)
def test_read_samplesheet__names_row_and_column(landing, changes, said):
    """Issue: unknown modality, duplicate row, missing path, comma in the patient id, and more."""
    folder = landing(HEADER, row(patient_id="P0"), row(**changes))
    assert said.format(landing=folder) in refusal(folder)


def test_read_samplesheet__refuses_a_specimen_of_the_future(landing):
    """A typing error in the year would hide the specimen from every frame."""
    tomorrow = datetime.now(tz=UTC) + timedelta(days=2)
    said = refusal(landing(HEADER, row(collected_on=f"{tomorrow:%Y-%m-%d}")))
    assert "row 2: column collected_on lies in the future" in said


def test_read_samplesheet__accepts_todays_specimen_east_of_greenwich(landing):
    """Where the sun rises first it is already tomorrow in UTC's eyes."""
    auckland = datetime.now(tz=UTC) + timedelta(hours=13)
    read_samplesheet(landing(HEADER, row(collected_on=f"{auckland:%Y-%m-%d}")))


def test_read_samplesheet__names_the_first_wrong_row_and_counts_the_others(landing):
    """A hundred sentences for one wrong export help nobody."""
    lines = [row(patient_id=f"P{n}", status="done") for n in range(3)]
    said = refusal(landing(HEADER, GOOD, *lines))
    assert "row 3: column status" in said
    assert said.endswith("2 more rows are wrong.")


def test_read_samplesheet__counts_rows_as_an_editor_does(landing):
    """Blank lines and line breaks in quotes must not shift the number that the user looks up."""
    lines = (HEADER, "", row(patient_id="P0", site='"Ulm\nMedicine"'), "", row(status="done"))
    assert "row 6: column status" in refusal(landing(*lines))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "the samplesheet is empty"),
        (("", " "), "the samplesheet is empty"),
        ((HEADER,), "the samplesheet has a header but no rows"),
        ((f"{HEADER},site", f"{GOOD},Ulm"), "row 1: column site is there twice"),
        ((HEADER, "P1,snv,a.vcf"), "row 2: columns are missing; expected 8 values"),
        ((HEADER, f"{HEADER}"), "row 2: column"),
        ((HEADER, b"P1,snv,a\xff.vcf\n"), "row 2 is not UTF-8 text"),
        ((HEADER, f'"{GOOD}'), "row 2 is not comma-separated text"),
        ((HEADER.replace(",", ";"), GOOD), "row 1: column patient_id is missing"),
        ((f"{HEADER}\n{GOOD}".encode("utf-16"),), "row 1 is not UTF-8 text"),
        ((HEADER, row(path="a\0.vcf")), "row 2"),
    ],
    ids=[
        *("empty", "blank", "header", "twice", "short", "header twice"),
        *("latin", "quote", "semicolon", "utf-16", "nul"),
    ],
)
def test_read_samplesheet__refuses_what_is_no_sheet(landing, lines, said):
    """An export gone wrong must not end in a traceback."""
    assert said in refusal(landing(*lines))


def test_read_samplesheet__says_when_there_is_none(tmp_path):
    """The first mistake of a new user."""
    assert "there is no samplesheet" in refusal(str(tmp_path))
    (tmp_path / "samplesheet.csv").mkdir()
    assert "there is no samplesheet" in refusal(str(tmp_path))


def with_mrn(*numbers: str) -> list[str]:
    header = HEADER.replace("patient_id", "mrn")
    dates = [f"2024-03-{day:02d}" for day in range(1, len(numbers) + 1)]
    pairs = zip(numbers, dates, strict=True)
    return [header, *(row(patient_id=number, collected_on=date) for number, date in pairs)]


def test_read_samplesheet__replaces_record_numbers(landing):
    """A number that reaches the lake is a breach: nothing of the sheet may hold it."""
    sheet = read_samplesheet(landing(*with_mrn(MRN, "7", MRN)), mrn_key=KEY)
    assert sheet["patient_id"].n_unique() == 2
    assert sheet["patient_id"].str.contains("^[0-9a-f]{20}$").all()
    assert sheet.columns == [*COLUMNS, *OPTIONAL]
    assert MRN not in sheet.write_csv()
    assert (
        read_samplesheet(landing(*with_mrn(MRN)), mrn_key=KEY)["patient_id"]
        .is_in(sheet["patient_id"].to_list())
        .all()
    )


def test_read_samplesheet__prefers_the_record_number_to_a_patient_id(landing):
    """A sheet with both: the id may be anything, also the number itself."""
    lines = [f"{HEADER},mrn", f"{row(patient_id=MRN)},{MRN}"]
    sheet = read_samplesheet(landing(*lines), mrn_key=KEY)
    assert sheet["patient_id"].to_list() == [pseudonym(MRN, KEY)]


@pytest.mark.parametrize("key", [None, b""])
def test_read_samplesheet__refuses_record_numbers_without_a_key(landing, key):
    """An unkeyed hash of a record number is undone by trying all numbers."""
    said = refusal(landing(*with_mrn(MRN)), mrn_key=key)
    assert "row 1: column mrn holds record numbers" in said
    assert "ONCOFRAME_MRN_KEY" in said


@pytest.mark.parametrize(
    "lines",
    [
        with_mrn(MRN, ""),
        [*with_mrn(MRN), f"{MRN},snv"],
        [*with_mrn(MRN), row(patient_id=MRN, status="done")],
        [*with_mrn(MRN), with_mrn(MRN)[1]],
        [*with_mrn(MRN), f'"{MRN},snv'],
    ],
)
def test_read_samplesheet__never_prints_a_record_number(landing, lines):
    """Error messages end in logs and tickets."""
    said = refusal(landing(*lines), mrn_key=KEY)
    assert re.search(r"row \d", said)
    assert MRN not in said


def test_pseudonym__is_hmac_sha256():
    """RFC 4231, test case 2; another function would give every patient a new identity."""
    assert pseudonym("what do ya want for nothing?", b"Jefe") == "5bdcc146bf60754e6a04"


def test_read_samplesheet__reads_from_object_storage(bucket):
    """The same code reads both, with relative and absolute addresses."""
    bucket.put("landing/calls/a.vcf")
    other = bucket.put("elsewhere/b.vcf")
    lines = [HEADER, row(path="calls/a.vcf"), row(patient_id="P2", path=other)]
    bucket.put("landing/samplesheet.csv", "\n".join(lines).encode())
    sheet = read_samplesheet(f"{bucket.root}/landing")
    assert sheet["path"].to_list() == [f"{bucket.root}/landing/calls/a.vcf", other]

    bucket.put("landing/samplesheet.csv", "\n".join([HEADER, row(path="calls/none")]).encode())
    assert f"row 2: column path names {bucket.root}/landing/calls/none" in refusal(
        f"{bucket.root}/landing"
    )


def test_read_samplesheet__leaves_storage_that_is_away_to_the_driver(
    landing, storage_at, closed_port
):
    """One throttled look-up among thousands is no reason to refuse the sheet."""
    storage_at(closed_port)
    sheet = read_samplesheet(landing(HEADER, GOOD, row(patient_id="P2", path="s3://away/a.vcf")))
    assert sheet["path"].to_list()[1] == "s3://away/a.vcf"
    with pytest.raises(Unavailable):
        read_samplesheet("s3://away/landing")


OPTICS = f"{HEADER},pixel_size_um,stain,scanner"


def test_read_samplesheet__takes_columns_of_the_microscope(landing):
    """Unknown stays unknown: an empty pixel size is null, and the reader refuses the smear."""
    smear = row(modality="smear")
    sheet = read_samplesheet(landing(OPTICS, f"{smear},0.2035,Pappenheim,S1", f"{GOOD},,,"))
    told = sheet.select("modality", "pixel_size_um", "stain", "scanner").rows()
    assert told == [("smear", 0.2035, "Pappenheim", "S1"), ("snv", None, None, None)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("smear", "0,2"), "expected 11 values"),
        (("smear", "wide"), "column pixel_size_um must be a number above 0"),
        (("smear", "0"), "column pixel_size_um must be a number above 0"),
        (("smear", "nan"), "column pixel_size_um must be a number above 0"),
        (("snv", "0.2"), "columns pixel_size_um, stain, scanner are for smear only"),
    ],
)
def test_read_samplesheet__refuses_a_pixel_size_that_is_none(landing, changes, said):
    modality, size = changes
    assert said in refusal(landing(OPTICS, f"{row(modality=modality)},{size},,"))


def test_read_samplesheet__takes_a_column_of_samples(landing):
    """Optional: sheets of before it was there stay as they are."""
    sheet = read_samplesheet(landing(f"{HEADER},sample", f"{GOOD},T1", f"{row(patient_id='P2')},"))
    assert sheet["sample"].to_list() == ["T1", None]
    wrong = f"{row(modality='note')},T1"
    assert "row 2: column sample is for snv" in refusal(landing(f"{HEADER},sample", wrong))
