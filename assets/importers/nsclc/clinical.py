"""Clinical table of NSCLC Radiogenomics, in the canonical columns of the landing zone.

    table (one row per patient) -> clinical_tables -> patients.csv, diagnoses.csv

The index event is the resection: age, smoking, CT and the pathology of the specimen are known with
it; treatment, recurrence and death come later and are landed as what they are, outcomes.

Labels: ``two_year_survival`` (``alive``, ``dead``; none where the patient was last seen alive
before), and ``overall_survival``, the days from surgery to death, or to the last contact with
``+`` behind it.
"""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from assets.importers.tables import find_file, read_table, require
from oncoframe.errors import FileMissing, ImpossibleValue, WrongFormat

#: Days after surgery at which patients are alive or dead.
HORIZON_DAYS = 730
TWO_YEARS, OVERALL = "two_year_survival", "overall_survival"
LABEL_VERSION = "1"

_PATIENT, _CT, _TO_SURGERY = "Patient ID", "CT Date", "Days between CT and surgery"
_STATUS, _DEATH, _LAST = "Survival Status", "Time to Death (days)", "Date of Last Known Alive"
_RECURRED = "Date of Recurrence"
_LOBE = "Tumor Location (choice="
_DATE = "%m/%d/%Y"
#: Words for a value that nobody knows, beyond those of any table.
_NOTHING = ("not collected", "not recorded in database", "not assessed", "n/a", "unknown", "")
_YES_NO = {"yes": "true", "no": "false", "present": "true", "absent": "false"}

#: Canonical column -> (column of the table, value there in lower case -> value here).
_CODES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "sex": ("Gender", {"male": "male", "female": "female"}),
    "smoking_status": (
        "Smoking status", {"nonsmoker": "never", "former": "former", "current": "current"}
    ),
    "histological_grade": (
        "Histopathological Grade",
        {
            "g1 well differentiated": "g1",
            "g2 moderately differentiated": "g2",
            "g3 poorly differentiated": "g3",
            "other, type i: well to moderately differentiated": "g1_g2",
            "other, type ii: moderately to poorly differentiated": "g2_g3",
        },
    ),
    "has_lymphovascular_invasion": ("Lymphovascular invasion", _YES_NO),
    "has_pleural_invasion": ("Pleural invasion (elastic, visceral, or parietal)", _YES_NO),
    "egfr_clinical": ("EGFR mutation status", {"mutant": "mutant", "wildtype": "wildtype"}),
    "kras_clinical": ("KRAS mutation status", {"mutant": "mutant", "wildtype": "wildtype"}),
    "alk_clinical": (
        "ALK translocation status", {"translocated": "translocated", "wildtype": "wildtype"}
    ),
    "vital_status": (_STATUS, {"alive": "alive", "dead": "dead"}),
    "had_adjuvant_treatment": ("Adjuvant Treatment", _YES_NO),
    "had_chemotherapy": ("Chemotherapy", _YES_NO),
    "had_radiation": ("Radiation", _YES_NO),
    "has_recurrence": ("Recurrence", _YES_NO),
    "recurrence_location": (
        "Recurrence Location", {"local": "local", "regional": "regional", "distant": "distant"}
    ),
}  # fmt: skip
#: Canonical column -> column of the table, kept as written.
_TEXTS = {
    "race": "Ethnicity",
    "ground_glass_range": "%GG",
    "histology": "Histology",
    "pathological_t_stage": "Pathological T stage",
    "pathological_n_stage": "Pathological N stage",
    "pathological_m_stage": "Pathological M stage",
}
_NUMBERS = {
    "age_at_index_years": "Age at Histological Diagnosis",
    "smoking_pack_years": "Pack Years",
    "smoking_quit_year": "Quit Smoking Year",
}
_WEIGHT, _KG_PER_LB = "Weight (lbs)", 0.45359237
_REQUIRED = (
    _PATIENT, _CT, _TO_SURGERY, _STATUS, _DEATH, _LAST, _RECURRED, _WEIGHT, *_TEXTS.values(),
    *_NUMBERS.values(), *(column for column, _ in _CODES.values()),
)  # fmt: skip


def clinical_tables(source: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Patients in canonical columns, and their labels, both sorted by patient.

    Parameters
    ----------
    source
        Folder with the clinical table.

    Raises
    ------
    FileMissing, WrongFormat, ImpossibleValue
        As :func:`assets.importers.nsclc.cohort.import_nsclc`.
    """
    rows, file = _clinical_rows(source)
    patients = _patients(rows, file)
    labels = _labels(patients)
    return patients.drop("last_alive", "followed_days"), labels


def _clinical_rows(source: Path) -> tuple[pl.DataFrame, str]:
    path = find_file(source, ("*abel*.csv", "*.csv"), "clinical table", hint="Keep one.")
    if path is None:
        raise FileMissing("the clinical table is not there", where=str(source), expected="*.csv")
    rows = read_table(path)
    rows = rows.rename({name: name.strip() for name in rows.columns})
    require(rows.columns, _REQUIRED, path)
    if rows[_PATIENT].is_duplicated().any():
        raise ImpossibleValue("a patient has two rows", where=path.name)
    unknown = pl.all().str.to_lowercase().is_in(_NOTHING)
    return rows.select(pl.when(~unknown).then(pl.all()).name.keep()), path.name


def _patients(rows: pl.DataFrame, file: str) -> pl.DataFrame:
    """Canonical clinical columns, sorted by patient, with the last contact."""
    to_surgery = pl.lit(_number(rows, _TO_SURGERY, file))
    surgery = pl.lit(_date(rows, _CT, file)) + pl.duration(days=to_surgery)
    numbers = {name: _number(rows, column, file) for name, column in _NUMBERS.items()}
    coded = {name: _code(rows, column, codes, file) for name, (column, codes) in _CODES.items()}
    lobes = [name for name in rows.columns if name.startswith(_LOBE)]
    checked = [
        pl.when(pl.col(name).str.to_lowercase() == "checked").then(
            pl.lit(name.removeprefix(_LOBE).removesuffix(")").lower())
        )
        for name in lobes
        if "unknown" not in name.lower()
    ]
    made = rows.select(
        patient_id=_PATIENT,
        index_date=surgery,
        site=pl.col("Patient affiliation") if "Patient affiliation" in rows.columns else pl.lit(""),
        **numbers,
        **coded,
        **{name: pl.col(column).str.strip_chars() for name, column in _TEXTS.items()},
        tumour_lobe=pl.concat_str(checked, separator="|", ignore_nulls=True)
        if checked
        else pl.lit(None, pl.String),
        weight_kg=(_number(rows, _WEIGHT, file) * _KG_PER_LB).round(1),
        recurred=_date(rows, _RECURRED, file),
        last_alive=_date(rows, _LAST, file),
        died_days=_number(rows, _DEATH, file),
    ).with_columns(tumour_lobe=pl.col("tumour_lobe").replace("", None))
    smoke_free = pl.col("index_date").dt.year() - pl.col("smoking_quit_year")
    until_last = (pl.col("last_alive") - pl.col("index_date")).dt.total_days()
    until_recurrence = (pl.col("recurred") - pl.col("index_date")).dt.total_days()
    return (
        made.with_columns(
            followed_days=pl.coalesce("died_days", until_last),
            # Two gave up after the scan, in the year of the surgery or later: no time before it.
            smoke_free_years=pl.when(smoke_free >= 0).then(smoke_free),
            # One recurrence of the table is dated before the surgery: no time is known then.
            recurrence_free_days=pl.when(until_recurrence >= 0).then(until_recurrence),
        )
        .with_columns(overall_survival_days=pl.col("followed_days"))
        .drop("recurred", "died_days")
        .sort("patient_id")
    )


def _labels(patients: pl.DataFrame) -> pl.DataFrame:
    """Both labels, each known when it was decided; times below a day after surgery are none."""
    days, dead = pl.col("followed_days"), pl.col("vital_status") == "dead"
    followed = patients.drop_nulls(["index_date", "followed_days", "vital_status"]).filter(days > 0)
    at_horizon = pl.when(dead & (days <= HORIZON_DAYS)).then(pl.lit("dead")).when(
        days >= HORIZON_DAYS
    ).then(pl.lit("alive"))  # fmt: skip
    until = {TWO_YEARS: pl.min_horizontal(days, HORIZON_DAYS), OVERALL: days}
    values = {
        TWO_YEARS: at_horizon,
        OVERALL: days.cast(pl.Int64).cast(pl.String) + pl.when(dead).then(pl.lit("")).otherwise(
            pl.lit("+")
        ),
    }  # fmt: skip
    tables = [
        followed.select(
            "patient_id",
            label_name=pl.lit(name),
            label_value=values[name],
            label_version=pl.lit(LABEL_VERSION),
            known_on=pl.col("index_date") + pl.duration(days=until[name].cast(pl.Int64)),
        )
        for name in (TWO_YEARS, OVERALL)
    ]
    return pl.concat(tables).drop_nulls("label_value").sort("patient_id", "label_name")


def _code(rows: pl.DataFrame, column: str, codes: Mapping[str, str], file: str) -> pl.Expr:
    known = rows[column].drop_nulls().str.to_lowercase()
    wrong = known.filter(~known.is_in(list(codes)))
    if len(wrong):
        raise WrongFormat(
            f"column {column} holds values that are not known",
            where=file,
            expected=", ".join(codes),
            got=f"{len(wrong)} other values",
        )
    return pl.col(column).str.to_lowercase().replace_strict(dict(codes), default=None)


def _number(rows: pl.DataFrame, column: str, file: str) -> pl.Series:
    numbers = rows[column].cast(pl.Float64, strict=False)
    lost = numbers.null_count() - rows[column].null_count()
    if lost:
        raise ImpossibleValue(f"column {column} holds no number", where=file, got=f"{lost} rows")
    return numbers


def _date(rows: pl.DataFrame, column: str, file: str) -> pl.Series:
    dates = rows[column].str.to_date(_DATE, strict=False)
    lost = dates.null_count() - rows[column].null_count()
    if lost:
        raise ImpossibleValue(f"column {column} holds no date", where=file, got=f"{lost} rows")
    return dates
