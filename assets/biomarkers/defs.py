"""Biomarkers asset: Dagster glue only; rules in ``panel.yaml``, logic in ``publish.py``.

feature tables of the assays, clinical_features -> biomarkers (lake)
"""

from datetime import UTC, datetime

import dagster as dg

from assets.biomarkers.contract import CONTRACT
from assets.biomarkers.modality import MODALITY
from assets.biomarkers.publish import publish, sources
from oncoframe.lake import Lake
from orchestration.groups import SCIENCE_OWNERS, group
from orchestration.inputs import biomarkers_input
from orchestration.metadata import contract_schema


@dg.asset(
    name=CONTRACT.table,
    deps=sorted({contract.table for contract in sources().values()}),
    group_name=group(MODALITY.stage),
    owners=SCIENCE_OWNERS,
    kinds={*MODALITY.kinds},
    description=CONTRACT.description,
    code_version=CONTRACT.code_version,
    metadata={"dagster/column_schema": contract_schema(CONTRACT)},
)
def biomarkers(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
    """Append to the lake the biomarkers that are new or changed."""
    version = biomarkers_input(lake)
    done = publish(lake, run_id=context.run.run_id, now=datetime.now(tz=UTC))
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": done.rows,
            "appended": done.appended,
            "delta_version": done.version,
            "unreadable_karyotypes": dict(done.unreadable),
        },
        data_version=dg.DataVersion(version),
    )
