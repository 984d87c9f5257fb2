"""NSCLC Radiogenomics: made-up patients in the columns of the download."""

import polars as pl
import pytest

from assets.clinical.contract import clinical_contract
from assets.importers.nsclc.clinical import clinical_tables
from assets.importers.nsclc.cohort import import_nsclc
from oncoframe.contracts import Known
from oncoframe.errors import FileMissing, ImpossibleValue, WrongFormat

COLUMNS = {
    "Patient ID": "X-1", "Patient affiliation": "Here", "Age at Histological Diagnosis": "60",
    "Weight (lbs)": "176", "Quit Smoking Year": "1988",
    "Gender": "Male", "Ethnicity": "Caucasian", "Smoking status": "Former", "Pack Years": "20",
    "%GG": "0%", "Tumor Location (choice=RUL)": "Checked",
    "Tumor Location (choice=LLL)": "Unchecked", "Tumor Location (choice=Unknown)": "Unchecked",
    "Histology ": "Adenocarcinoma", "Pathological T stage": "T1a", "Pathological N stage": "N0",
    "Pathological M stage": "M0", "Histopathological Grade": "G2 Moderately differentiated",
    "Lymphovascular invasion": "Absent",
    "Pleural invasion (elastic, visceral, or parietal)": "Yes", "EGFR mutation status": "Mutant",
    "KRAS mutation status": "Unknown", "ALK translocation status": "Not collected",
    "Adjuvant Treatment": "No", "Chemotherapy": "No", "Radiation": "Not Collected",
    "Recurrence": "no", "Recurrence Location": "N/A", "Date of Recurrence": "N/A",
    "Date of Last Known Alive": "1/11/2004", "Survival Status": "Alive", "Date of Death": "N/A",
    "Time to Death (days)": "N/A", "CT Date": "1/1/2000", "Days between CT and surgery": "10",
}  # fmt: skip
PATIENTS = {
    # Alive after four years; after one; died early; died late; died on day 730.
    "X-1": {},
    "X-2": {"Date of Last Known Alive": "1/11/2001", "Gender": "Female"},
    "X-3": {"Survival Status": "Dead", "Time to Death (days)": "200"},
    "X-4": {"Survival Status": "Dead", "Time to Death (days)": "1200", "Recurrence": "yes",
            "Date of Recurrence": "1/12/2000", "Recurrence Location": "distant"},
    "X-5": {"Survival Status": "Dead", "Time to Death (days)": "730"},
}  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Folder of a download with some cells changed."""

    def made(**cells):
        rows = [{**COLUMNS, "Patient ID": name, **own, **cells} for name, own in PATIENTS.items()]
        pl.DataFrame(rows).write_csv(tmp_path / "DATA_LABELS.csv")
        (tmp_path / "genes.tsv").write_text(
            "PID\tRecurrence\tEGFR\tTP53\nX-1\t0\t1.5\t0.0\nX-3\t1\t2.5\t7\nX-9\t1\t1\t1\n"
        )
        return tmp_path

    return made


def labels_of(tables, name):
    rows = tables[1].filter(label_name=name)
    return dict(rows.select("patient_id", "label_value").iter_rows())


def test_clinical_tables__two_years_leave_out_who_was_not_seen_so_long(write):
    """Counted as alive, patients lost to follow-up would make every model look good."""
    tables = clinical_tables(write())

    assert labels_of(tables, "two_year_survival") == {
        "X-1": "alive", "X-3": "dead", "X-4": "alive", "X-5": "dead"
    }  # fmt: skip
    assert labels_of(tables, "overall_survival") == {
        "X-1": "1461+", "X-2": "366+", "X-3": "200", "X-4": "1200", "X-5": "730"
    }  # fmt: skip


def test_clinical_tables__speak_the_canonical_columns(write):
    """A column that the clinical model does not know would be dropped without a word."""
    patients, labels = clinical_tables(write())
    known = {feature.name: feature.known for feature in clinical_contract().features}

    row = patients.row(0, named=True)
    landed = set(patients.columns) - {"patient_id", "index_date", "site"}
    assert landed <= set(known)
    outcomes = {
        "vital_status", "overall_survival_days", "had_adjuvant_treatment", "had_chemotherapy",
        "had_radiation", "has_recurrence", "recurrence_location", "recurrence_free_days",
    }  # fmt: skip
    assert {name for name in landed if known[name] is Known.AFTER_INDEX} == outcomes
    assert str(row["index_date"]) == "2000-01-11"
    assert (row["sex"], row["tumour_lobe"], row["histological_grade"]) == ("male", "rul", "g2")
    assert (row["weight_kg"], row["smoking_quit_year"], row["smoke_free_years"]) == (79.8, 1988, 12)
    assert (row["egfr_clinical"], row["kras_clinical"]) == ("mutant", None)
    assert patients["recurrence_free_days"].to_list() == [None, None, None, 1, None]
    two_years = labels.filter(label_name="two_year_survival")
    decided = dict(two_years.select("patient_id", pl.col("known_on").cast(pl.String)).iter_rows())
    assert (decided["X-1"], decided["X-3"]) == ("2002-01-10", "2000-07-29")


def test_clinical_tables__know_no_years_without_smoke_that_are_still_to_come(write):
    """Who gave up after the surgery had not done so when the prediction is made."""
    patients, _ = clinical_tables(write(**{"Quit Smoking Year": "2001"}))
    assert patients["smoking_quit_year"].to_list() == [2001] * 5
    assert patients["smoke_free_years"].null_count() == 5


def test_import_nsclc__lands_genes_but_not_the_outcome_beside_them(write, tmp_path):
    """The gene table repeats the recurrence: as a gene it would be the best one."""
    summary = import_nsclc(write(), tmp_path / "landing")

    assert (summary.patients, summary.with_expression, summary.genes) == (5, 2, 2)
    assert summary.expression_without_patient == 1
    assert (summary.two_year_survival, summary.deaths) == ({"alive": 2, "dead": 2}, 3)
    sheet = pl.read_csv(tmp_path / "landing" / "samplesheet.csv")
    assert sheet["status"].to_list() == [
        "performed", "not_performed", "performed", "not_performed", "not_performed"
    ]  # fmt: skip
    table = pl.read_csv(tmp_path / "landing" / sheet["path"][0], separator="\t")
    assert table.rows() == [("EGFR", 1.5), ("TP53", 0.0)]


@pytest.mark.parametrize(
    ("cells", "error", "sentence"),
    [
        ({"Gender": "M"}, WrongFormat, "column Gender holds values that are not known"),
        ({"CT Date": "2000-01-01"}, ImpossibleValue, "column CT Date holds no date"),
        ({"Pack Years": "many"}, ImpossibleValue, "column Pack Years holds no number"),
        ({"Patient ID": "X-1"}, ImpossibleValue, "a patient has two rows"),
    ],
)
def test_import_nsclc__refuses_what_it_does_not_know(write, tmp_path, cells, error, sentence):
    with pytest.raises(error, match=sentence):
        import_nsclc(write(**cells), tmp_path / "landing")


def test_import_nsclc__needs_a_clinical_table(tmp_path):
    with pytest.raises(FileMissing, match="clinical table is not there"):
        import_nsclc(tmp_path, tmp_path / "landing")


@pytest.mark.real_data
def test_import_nsclc__takes_the_public_download(real_data, tmp_path):
    summary = import_nsclc(real_data / "nsclc", tmp_path)

    assert (summary.patients, summary.with_expression, summary.genes) == (211, 130, 140)
    assert (summary.expression_without_patient, summary.without_index_date) == (0, 0)
    assert sum(summary.two_year_survival.values()) == 180
    assert summary.implausible == {
        "MIB1": "1, as far as 295,000,030 (median 14.14)",
        "TRIM13": "1, as far as 80,971.016 (median 5.718)",
    }
    assert summary.deaths == 63
