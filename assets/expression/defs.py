"""Expression assets: Dagster glue only; the reader is in ``quantification.py``.

landed_files -> expression_features (one row per patient and specimen date)
"""

from oncoframe.contracts import Modality
from orchestration.patients.per_patient import per_patient_asset

expression_features = per_patient_asset(Modality.EXPRESSION, "expression", {"csv", "deltalake"})
