"""The catalogue of feature tables: every contract, in the order of the data's flow.

Feast views, frames and the feature dictionary are derived from this list.
"""

from assets.clinical.contract import clinical_contract
from assets.contracts import Contract
from assets.extractors import EXTRACTORS


def feature_contracts() -> tuple[Contract, ...]:
    """Contracts of all feature tables."""
    return (*(table.contract for table in EXTRACTORS.values()), clinical_contract())
