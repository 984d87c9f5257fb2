"""The catalogue: every feature table, and the tables of every feature service.

Feast views and services, frames and the feature dictionary are derived from it.
"""

from assets.clinical.contract import MODALITY as CLINICAL
from assets.clinical.contract import clinical_contract
from assets.contracts import Contract, Modality
from assets.errors import StudyError
from assets.extractors import EXTRACTORS

#: Service -> modalities it serves. A service keeps its tables; others are another version.
SERVICES: dict[str, tuple[str, ...]] = {
    "aml_who_class_v1": (Modality.SNV, Modality.FUSION, Modality.EXPRESSION, CLINICAL),
}


def feature_contracts() -> tuple[Contract, ...]:
    """Contracts of all feature tables, in the order of the data's flow."""
    return (*(table.contract for table in EXTRACTORS.values()), clinical_contract())


def service_contracts(service: str) -> tuple[Contract, ...]:
    """Contracts of the tables that a feature service serves.

    Raises
    ------
    StudyError
        If there is no such service.
    """
    if service not in SERVICES:
        raise StudyError(
            f"there is no feature service {service}", expected=f"one of {', '.join(SERVICES)}"
        )
    return tuple(c for c in feature_contracts() if c.modality in SERVICES[service])
