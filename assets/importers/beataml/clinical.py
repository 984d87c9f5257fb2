"""Clinical sheet of BeatAML 2.0, in the canonical columns of the landing zone.

    rows of the sheet (one per specimen) -> clinical_tables -> patients.csv, diagnoses.csv

Meanings are those of the workbook's ``dataDictionary`` sheet. Two units are taken from the values
because the dictionary names impossible ones: hemoglobin ("%") is g/dL and platelets ("per liter")
are 10^9/L. Laboratory values lie within a day of the specimen, the pathology and the molecular
work-up up to 7 days after it (sheet ``metaData``); "n" for an earlier malignancy also stands where
nobody asked. Dates are not published: day 0, the patient's first specimen, is :data:`DAY_ZERO`.
What is not carried over: free text (antigens, FISH, variant summaries) and the sheet's own
readings of the sequencing that the landing zone holds as files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from oncoframe.errors import ImpossibleValue, WrongFormat

#: Pseudo-date of the first specimen of every patient.
DAY_ZERO = date(2020, 1, 1)
#: Classification that the diagnosis names of the sheet follow.
#: Arber et al., Blood 2016, doi:10.1182/blood-2016-03-643544.
LABEL_VERSION = "WHO 2016"

#: Words for a value that nobody knows.
_NOTHING = ("", "n/a", "na", "none", "unknown", "declined")
#: "<1", ">95" and "75 (by Flow)" count as their number; words such as "rare" do not.
_NUMBER = r"^[<>]?\s*(\d+(?:\.\d+)?)\s*(?:\(.*\))?$"

_YES_NO = {"y": "true", "n": "false", "u": None, "true": "true", "false": "false"}

#: Canonical column -> column of the sheet, for numbers in the unit that the name ends in.
_NUMBERS = {
    "age_at_index_years": "ageAtSpecimenAcquisition",
    "blasts_bm_pct": "%.Blasts.in.BM",
    "blasts_pb_pct": "%.Blasts.in.PB",
    "basophils_pb_pct": "%.Basophils.in.PB",
    "eosinophils_pb_pct": "%.Eosinophils.in.PB",
    "immature_granulocytes_pb_pct": "%.Immature.Granulocytes.in.PB",
    "lymphocytes_pb_pct": "%.Lymphocytes.in.PB",
    "monocytes_pb_pct": "%.Monocytes.in.PB",
    "neutrophils_pb_pct": "%.Neutrophils.in.PB",
    "nucleated_rbc_pb_pct": "%.Nucleated.RBCs.in.PB",
    "alt_u_per_l": "ALT",
    "ast_u_per_l": "AST",
    "albumin_g_per_dl": "albumin",
    "creatinine_mg_per_dl": "creatinine",
    "hematocrit_pct": "hematocrit",
    "hemoglobin_g_per_dl": "hemoglobin",
    "ldh_u_per_l": "LDH",
    "mcv_fl": "MCV",
    "platelets_10e9_per_l": "plateletCount",
    "total_protein_g_per_dl": "totalProtein",
    "wbc_10e9_per_l": "wbcCount",
    "flt3_itd_allelic_ratio": "allelic_ratio",
    "treatment_type_count": "cumulativeTreatmentTypeCount",
    "treatment_regimen_count": "cumulativeTreatmentRegimenCount",
    "treatment_stage_count": "cumulativeTreatmentStageCount",
}

#: The same for durations in days, where -1 says that an end of the interval is not recorded.
_DAYS = {
    "overall_survival_days": "overallSurvival",
    "induction_duration_days": "responseDurationToInductionTx",
    "most_recent_treatment_duration_days": "mostRecentTreatmentDuration",
}

#: Canonical column -> column of the sheet, for text that is kept as written.
_TEXTS = {
    "karyotype_iscn": "karyotype",
    "fab_subtype": "fabBlastMorphology",
    "induction_type": "typeInductionTx",
    "treatment_types": "cumulativeTreatmentTypes",
    "treatment_regimens": "cumulativeTreatmentRegimens",
    "treatment_stages": "cumulativeTreatmentStages",
    "current_regimen": "currentRegimen",
    "current_stage": "currentStage",
    "most_recent_treatment_type": "mostRecentTreatmentType",
}

#: Canonical column -> (column of the sheet, value there in lower case -> value here).
_CODES: Mapping[str, tuple[str, Mapping[str, str | None]]] = {
    "sex": ("consensus_sex", {"male": "male", "female": "female"}),
    "race": (
        "reportedRace",
        {
            "american indian": "american_indian",
            "asian": "asian",
            "black": "black",
            "multiracial": "multiracial",
            "pacific islander": "pacific_islander",
            "white": "white",
        },
    ),
    "ethnicity": ("reportedEthnicity", {"hispanic": "hispanic", "non-hispanic": "non_hispanic"}),
    "specimen_type": (
        "specimenType",
        {
            "bone marrow aspirate": "bone_marrow_aspirate",
            "peripheral blood": "peripheral_blood",
            "leukapheresis": "leukapheresis",
        },
    ),
    "disease_stage": (
        "diseaseStageAtSpecimenCollection",
        {
            "initial diagnosis": "initial_diagnosis",
            "relapse": "relapse",
            "residual": "residual",
            "remission": "remission",
        },
    ),
    "is_denovo": ("isDenovo", _YES_NO),
    "is_transformed": ("isTransformed", _YES_NO),
    "is_relapse": ("isRelapse", _YES_NO),
    "has_prior_malignancy": ("priorMalignancyNonMyeloid", _YES_NO),
    "has_prior_mds": ("priorMDS", _YES_NO),
    "has_prior_mpn": ("priorMPN", _YES_NO),
    "has_prior_mds_mpn": ("priorMDSMPN", _YES_NO),
    "has_prior_radiation": ("priorMalignancyRadiationTx", _YES_NO),
    "npm1_clinical": ("NPM1", {"positive": "positive", "negative": "negative"}),
    "flt3_itd_clinical": ("FLT3-ITD", {"positive": "positive", "negative": "negative"}),
    "cebpa_clinical": ("CEBPA_Biallelic", {"bi": "biallelic", "mono": "monoallelic"}),
    "eln2017_risk": (
        "ELN2017",
        {
            "favorable": "favorable",
            "favorableorintermediate": "favorable_or_intermediate",
            "intermediate": "intermediate",
            "intermediateoradverse": "intermediate_or_adverse",
            "adverse": "adverse",
            "missingkaryo": None,
            "missingmutations": None,
            "nonaml": None,
            "noninitial": None,
        },
    ),
    "had_chemotherapy": ("cumulativeChemo", _YES_NO),
    "response_to_induction": (
        "responseToInductionTx",
        {
            "complete response": "complete_response",
            "complete response i": "complete_response_incomplete_recovery",
            "refractory": "refractory",
        },
    ),
    "vital_status": ("vitalStatus", {"alive": "alive", "dead": "dead"}),
    "cause_of_death": (
        "causeOfDeath",
        {
            "alive": None,
            "dead-disease": "disease",
            "dead-treatment": "treatment",
            "dead-other": "other",
            "dead-unknown": "unknown",
        },
    ),
}

_DIAGNOSIS = "specificDxAtAcquisition"

#: Columns of the sheet that are read here.
SHEET_COLUMNS = (
    *_NUMBERS.values(),
    *_DAYS.values(),
    *_TEXTS.values(),
    *(column for column, _ in _CODES.values()),
    _DIAGNOSIS,
)


@dataclass(frozen=True)
class ClinicalTables:
    """The clinical tables of the landing zone.

    Parameters
    ----------
    patients
        One row per patient, canonical columns, text throughout.
    diagnoses
        One row per patient whose WHO diagnosis is known.
    unreadable_values
        Measurements given as words ("rare"), which are left empty.
    """

    patients: pl.DataFrame
    diagnoses: pl.DataFrame
    unreadable_values: int


def clinical_tables(specimens: pl.DataFrame, *, where: str) -> ClinicalTables:
    """Clinical tables of the patients whose index specimens are given.

    Parameters
    ----------
    specimens
        One row per patient: ``patient_id``, ``collected_on``, ``site`` and the columns of
        :data:`SHEET_COLUMNS` as text.
    where
        Name of the workbook, for error messages.

    Raises
    ------
    WrongFormat
        If a coded column holds a value that the data dictionary does not know.
    ImpossibleValue
        If a duration is neither -1 nor a number of days.
    """
    coded = {
        name: _code(specimens, name, column, codes, where)
        for name, (column, codes) in _CODES.items()
    }
    numbers = {name: _number(specimens[column]) for name, column in _NUMBERS.items()}
    unreadable = sum(
        int((_known(specimens[column]).is_not_null() & numbers[name].is_null()).sum())
        for name, column in _NUMBERS.items()
    )
    days = {name: _days(specimens[column], where) for name, column in _DAYS.items()}
    # The sheet writes 0 days of follow-up where it does not know whether the patient lives.
    survival = days["overall_survival_days"]
    days["overall_survival_days"] = survival.set(coded["vital_status"].is_null(), None)
    patients = specimens.select(
        "patient_id", pl.col("collected_on").alias("index_date"), "site"
    ).with_columns(
        **coded,
        **numbers,
        **days,
        **{name: _known(specimens[column]) for name, column in _TEXTS.items()},
    )
    diagnoses = specimens.select(
        "patient_id",
        label_name=pl.lit("who_diagnosis"),
        label_value=_known(specimens[_DIAGNOSIS]),
        label_version=pl.lit(LABEL_VERSION),
        known_on="collected_on",
    ).drop_nulls("label_value")
    return ClinicalTables(patients.sort("patient_id"), diagnoses.sort("patient_id"), unreadable)


def _known(values: pl.Series) -> pl.Series:
    """Trimmed text, null where the sheet says that nothing is known."""
    trimmed = values.str.strip_chars()
    return trimmed.set(trimmed.str.to_lowercase().is_in(_NOTHING), None)


def _number(values: pl.Series) -> pl.Series:
    return _known(values).str.extract(_NUMBER)


def _days(values: pl.Series, where: str) -> pl.Series:
    known = _known(values)
    days = known.set(known == "-1", None)
    wrong = days.is_not_null() & ~days.str.contains(r"^\d+$")
    if wrong.any():
        raise ImpossibleValue(
            f"column {values.name} holds no duration",
            where=where,
            expected="days, or -1 where an end is not recorded",
            got=f"{wrong.sum()} other values",
        )
    return days


def _code(
    specimens: pl.DataFrame, name: str, column: str, codes: Mapping[str, str | None], where: str
) -> pl.Series:
    known = _known(specimens[column]).str.to_lowercase()
    unknown = known.drop_nulls().filter(~known.drop_nulls().is_in(list(codes)))
    if len(unknown):
        raise WrongFormat(
            f"column {column} holds values that BeatAML's data dictionary does not know",
            where=where,
            expected=", ".join(codes),
            got=f"{len(unknown)} other values",
        )
    return known.replace_strict(dict(codes), default=None, return_dtype=pl.String).alias(name)
