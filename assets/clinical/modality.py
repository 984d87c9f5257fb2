"""Clinical data, declared: what everything about the modality is made from."""

from assets.clinical.contract import clinical_contract
from oncoframe.modality import ModalitySpec

MODALITY = ModalitySpec(
    contract=clinical_contract(),
    extract=None,
    stage="clinical",
    kinds=frozenset({"duckdb", "deltalake"}),
    words="clinical data",
    colour="#e69f00",
    files=None,
    fill={},
    simulate=None,
    inspect=None,
)
