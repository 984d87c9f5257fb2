"""Clinical rows of a synthetic patient, in the canonical columns of the landing zone.

    SyntheticPatient -> patient_row, diagnosis_row -> clinical/*.csv

What is known at diagnosis follows the patient's picture. The last columns are the course, which is
known only later and tells more about the label than a model may see.
"""

from datetime import timedelta

import numpy as np

from assets.simulate.design import patient_stream
from assets.simulate.patient import Purpose, SyntheticPatient

LABEL_NAME = "who_diagnosis"
LABEL_VERSION = "WHO 2022"

#: Share of the patients without any laboratory value, and of single values that are missing.
NO_LABS_SHARE, MISSING_SHARE = 0.03, 0.08
#: Share of the patients without a karyotype, and of those whose specimen is blood.
NO_KARYOTYPE_SHARE, BLOOD_SHARE = 0.07, 0.2
#: Share of the patients who had a myelodysplastic neoplasm before, by picture; of all others.
PRIOR_MDS_SHARES, OTHER_PRIOR_MDS_SHARE = {"aml_mr": 0.35}, 0.01
#: Mean survival in days times age in years, and the longest follow-up in days.
SURVIVAL_DAYS_BY_AGE, FOLLOWED_DAYS = 60_000.0, 1800

#: Columns of ``patients.csv`` in order; the last line is the course.
PATIENT_COLUMNS = (
    "patient_id", "index_date", "consent", "site", "sex", "age_at_index_years", "race",
    "specimen_type", "disease_stage", "is_denovo", "has_prior_mds",
    "blasts_bm_pct", "blasts_pb_pct", "basophils_pb_pct", "eosinophils_pb_pct",
    "lymphocytes_pb_pct", "monocytes_pb_pct", "neutrophils_pb_pct",
    "alt_u_per_l", "ast_u_per_l", "albumin_g_per_dl", "creatinine_mg_per_dl", "hematocrit_pct",
    "hemoglobin_g_per_dl", "ldh_u_per_l", "mcv_fl", "platelets_10e9_per_l",
    "total_protein_g_per_dl", "wbc_10e9_per_l", "karyotype_iscn",
    "npm1_clinical", "flt3_itd_clinical", "flt3_itd_allelic_ratio", "cebpa_clinical",
    "vital_status", "overall_survival_days", "cause_of_death", "treatment_types",
)  # fmt: skip
DIAGNOSIS_COLUMNS = ("patient_id", "label_name", "label_value", "label_version", "known_on")

#: Laboratory value of ``entities.yaml`` -> column, for values with a log-normal distribution.
_LOG_NORMAL = {"wbc": "wbc_10e9_per_l", "platelets": "platelets_10e9_per_l", "ldh": "ldh_u_per_l"}
#: Column -> the highest value that laboratories report: the tail of a log-normal knows no end.
_HIGHEST = {"wbc_10e9_per_l": 900.0, "platelets_10e9_per_l": 4000.0, "ldh_u_per_l": 20_000.0}
_DIFFERENTIAL = {
    "pb_blasts": "blasts_pb_pct",
    "lymphocytes": "lymphocytes_pb_pct",
    "monocytes": "monocytes_pb_pct",
    "neutrophils": "neutrophils_pb_pct",
    "basophils": "basophils_pb_pct",
    "eosinophils": "eosinophils_pb_pct",
}
#: Column -> mean and standard deviation, for values that no entity changes.
_UNRELATED = {
    "alt_u_per_l": (28.0, 9.0),
    "ast_u_per_l": (26.0, 8.0),
    "albumin_g_per_dl": (3.9, 0.4),
    "creatinine_mg_per_dl": (0.95, 0.2),
    "total_protein_g_per_dl": (6.9, 0.6),
}
_RACES = {"white": 0.76, "black": 0.1, "asian": 0.09, "multiracial": 0.05}
_TREATMENTS = {
    "apl": "Retinoid|Arsenic",
    "cml": "Kinase inhibitor",
    "ball_bcr_abl1": "Kinase inhibitor|Standard chemotherapy",
}


def patient_row(seed: int, patient: SyntheticPatient) -> dict[str, str]:
    """Row of ``patients.csv``; an empty value is not known."""
    rng = patient_stream(seed, patient.index, Purpose.CLINICAL)
    row = {
        "patient_id": patient.patient_id,
        "index_date": patient.index_date.isoformat(),
        "consent": "yes" if patient.has_consent else "no",
        "site": patient.site.name,
        "sex": patient.sex,
        "age_at_index_years": f"{patient.age_years:.1f}",
        "race": list(_RACES)[rng.choice(len(_RACES), p=list(_RACES.values()))],
        "specimen_type": "peripheral_blood"
        if rng.random() < BLOOD_SHARE
        else "bone_marrow_aspirate",
        "disease_stage": "initial_diagnosis",
        **_history(patient, rng),
        **_labs(patient, rng),
        "karyotype_iscn": _karyotype(patient, rng),
        **_molecular(patient, rng),
        **_course(patient, rng),
    }
    return {column: row.get(column, "") for column in PATIENT_COLUMNS}


def diagnosis_row(seed: int, patient: SyntheticPatient) -> dict[str, str]:
    """Row of ``diagnoses.csv``; the diagnosis is known when the work-up is complete."""
    rng = patient_stream(seed, patient.index, Purpose.DIAGNOSIS)
    known_on = patient.index_date + timedelta(days=int(rng.integers(3, 15)))
    return {
        "patient_id": patient.patient_id,
        "label_name": LABEL_NAME,
        "label_value": patient.entity.name,
        "label_version": LABEL_VERSION,
        "known_on": known_on.isoformat(),
    }


def _history(patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, str]:
    had_mds = rng.random() < PRIOR_MDS_SHARES.get(patient.picture.key, OTHER_PRIOR_MDS_SHARE)
    return {"is_denovo": str(not had_mds).lower(), "has_prior_mds": str(had_mds).lower()}


def _labs(patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, str]:
    labs = patient.picture.labs
    values = {
        column: min(labs[name][0] * np.exp(labs[name][1] * rng.standard_normal()), _HIGHEST[column])
        for name, column in _LOG_NORMAL.items()
    }
    differential = {
        column: max(0.0, rng.normal(*labs[name])) for name, column in _DIFFERENTIAL.items()
    }
    cells = max(sum(differential.values()), 100.0)
    values |= {column: 100 * share / cells for column, share in differential.items()}
    hemoglobin = float(np.clip(rng.normal(*labs["hb"]), 3.5, 22))
    values |= {
        "hemoglobin_g_per_dl": hemoglobin,
        "hematocrit_pct": min(3 * hemoglobin + rng.normal(0, 1), 65),
        "mcv_fl": float(np.clip(rng.normal(*labs["mcv"]), 60, 135)),
        "blasts_bm_pct": float(np.clip(rng.normal(*labs["bm_blasts"]), 0, 98)),
    }
    for column, (mean, spread) in _UNRELATED.items():
        values[column] = max(rng.normal(mean, spread), mean / 4)
    has_none = rng.random() < NO_LABS_SHARE
    is_missing = rng.random(len(values)) < MISSING_SHARE
    return {
        column: f"{value:.1f}"
        for (column, value), missing in zip(values.items(), is_missing, strict=True)
        if not (has_none or missing)
    }


def _karyotype(patient: SyntheticPatient, rng: np.random.Generator) -> str:
    """ISCN karyotype of 20 metaphases (McGowan-Jordan et al., ISCN 2020)."""
    if rng.random() < NO_KARYOTYPE_SHARE:
        return ""
    sex = "XX" if patient.sex == "female" else "XY"
    abnormalities = list(patient.karyotype)
    if not abnormalities:
        return f"46,{sex}[20]"
    count = 46 + sum({"+": 1, "-": -1}.get(change[0], 0) for change in abnormalities)
    abnormal_sex = "X" if "-Y" in abnormalities else sex
    metaphases = int(rng.integers(8, 20))
    clone = ",".join([str(count), abnormal_sex, *abnormalities])
    return f"{clone}[{metaphases}]/46,{sex}[{20 - metaphases}]"


def _molecular(patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, str]:
    """Single-gene tests that laboratories do at once when they see acute myeloid leukaemia."""
    if not patient.picture.key.startswith(("aml", "apl")) or rng.random() < MISSING_SHARE:
        return {}
    vafs = {call.target: call.vaf for call in patient.specimens[0].calls}
    itd = vafs.get("FLT3-ITD")
    cebpa = [target for target in ("CEBPA-N", "CEBPA-bZIP") if target in vafs]
    row = {
        "npm1_clinical": "positive" if "NPM1" in vafs else "negative",
        "flt3_itd_clinical": "positive" if itd else "negative",
        "cebpa_clinical": ("", "monoallelic", "biallelic")[len(cebpa)],
    }
    if itd:
        row["flt3_itd_allelic_ratio"] = f"{itd / (1 - itd):.2f}"
    return row


def _course(patient: SyntheticPatient, rng: np.random.Generator) -> dict[str, str]:
    survival = float(rng.exponential(SURVIVAL_DAYS_BY_AGE / max(patient.age_years, 20)))
    is_dead = survival < FOLLOWED_DAYS
    return {
        "vital_status": "dead" if is_dead else "alive",
        "overall_survival_days": str(int(min(survival, FOLLOWED_DAYS))),
        "cause_of_death": "disease" if is_dead else "",
        "treatment_types": _TREATMENTS.get(patient.entity.key, "Standard chemotherapy"),
    }
