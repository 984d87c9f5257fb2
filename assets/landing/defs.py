"""Landing assets: Dagster glue only; the work is in ``samplesheet.py`` and ``intake.py``.

samplesheet.csv -> CT de-identified -> landed_files (a row per file, with its hash) -> partitions
"""

from datetime import UTC, datetime

import dagster as dg

from assets.landing.intake import SCHEMA, TABLE, take_in
from oncoframe.hashing import content_hash
from oncoframe.lake import Lake
from orchestration.groups import OWNERS, group
from orchestration.metadata import table_schema
from orchestration.partitions import PATIENTS
from orchestration.patients.landing_zone import make_copies, open_zone
from orchestration.progress import Progress
from orchestration.settings import Settings


@dg.asset(
    name=TABLE,
    group_name=group("landing"),
    owners=OWNERS,
    kinds={"csv", "deltalake"},
    code_version="1",
    metadata={"dagster/column_schema": table_schema(SCHEMA)},
)
def landed_files(
    context: dg.AssetExecutionContext,
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    progress: dg.ResourceParam[Progress],
) -> dg.MaterializeResult[None]:
    """Files of the landing zone: one row per patient, assay and date, with the file's hash.

    Reads the samplesheet, refuses it as a whole if a row is wrong, puts de-identified copies in
    place of CT folders, hashes what is new or changed, and makes every patient of the sheet a
    partition.
    """
    zone = open_zone(settings)
    make_copies(zone, lake, settings, progress)
    with progress.count("landed_files") as report:
        snapshot = take_in(lake, zone.sheet, now=datetime.now(tz=UTC), progress=report)
    patients = snapshot["patient_id"].unique().sort().to_list()
    context.instance.add_dynamic_partitions(PATIENTS.name, patients)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(snapshot),
            "columns": len(SCHEMA),
            "patients": len(patients),
            "hash": content_hash(snapshot.drop("seen_at", "stamp")),
        }
    )
