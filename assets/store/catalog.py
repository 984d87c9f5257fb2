"""The catalogue: every feature table, and the tables of every feature service.

Feast views and services, frames and the feature dictionary are derived from it.
"""

from dataclasses import replace
from pathlib import Path

from assets.biomarkers.contract import MODALITY as BIOMARKERS
from assets.clinical.contract import MODALITY as CLINICAL
from assets.clinical.contract import clinical_contract
from oncoframe.contracts import Contract, Modality
from oncoframe.errors import StudyError
from oncoframe.modalities import assays, feature_contracts

#: Service -> modalities it serves. A service keeps its tables; others are another version.
SERVICES: dict[str, tuple[str, ...]] = {
    "aml_who_class_v1": (Modality.SNV, Modality.FUSION, Modality.EXPRESSION, CLINICAL),
    "aml_who_class_v2": (
        Modality.SNV,
        Modality.SV,
        Modality.CNV,
        Modality.FUSION,
        Modality.EXPRESSION,
        CLINICAL,
        BIOMARKERS,
    ),
    "leukemia_subtype_v1": (
        Modality.SNV,
        Modality.FUSION,
        Modality.EXPRESSION,
        CLINICAL,
        BIOMARKERS,
    ),
    "ct_radiomics_v1": (Modality.CT, CLINICAL),
    "nsclc_survival_v1": (Modality.EXPRESSION, Modality.CT, CLINICAL),
}


def contracts(center: Path | None = None) -> tuple[Contract, ...]:
    """Contracts of all feature tables, the clinical one with the columns of a center's own.

    Parameters
    ----------
    center
        Folder of the center's dbt package, see :func:`assets.clinical.contract.clinical_contract`.
    """
    return tuple(
        clinical_contract(center=center) if contract.modality == CLINICAL else contract
        for contract in feature_contracts()
    )


def services() -> dict[str, tuple[str, ...]]:
    """Service -> modalities it serves: :data:`SERVICES`, and of each assay with the clinical data.

    The latter are called ``<modality>_v1``, so that a study can use a new modality at once.
    """
    alone = {f"{modality}_v1": (modality, CLINICAL) for modality in assays()}
    return {**alone, **SERVICES}


def service_contracts(service: str, center: Path | None = None) -> tuple[Contract, ...]:
    """Contracts of the tables that a feature service serves, with the columns that it serves.

    What single assays say of biomarkers is left out where the biomarkers themselves are served.

    Raises
    ------
    StudyError
        If there is no such service.
    """
    known = services()
    if service not in known:
        raise StudyError(
            f"there is no feature service {service}", expected=f"one of {', '.join(known)}"
        )
    served = known[service]
    found = tuple(c for c in contracts(center) if c.modality in served)
    return tuple(map(_without_findings, found)) if BIOMARKERS in served else found


def _without_findings(contract: Contract) -> Contract:
    return replace(contract, features=tuple(f for f in contract.features if not f.is_finding))
