"""Write down what this version makes of a home, before it is released: ``<version>.json``.

    python tests/integration/released/write.py

Tables and their columns, a study, and the columns of a frame: ``test_older_homes.py`` writes a home
of the version from it, for as long as there are such homes. A file is never changed afterwards.
"""

import json
from importlib.metadata import version
from pathlib import Path

import polars as pl

from assets.clinical.publish import COHORT_SCHEMA, LABELS_SCHEMA
from assets.landing import intake
from assets.store.catalog import service_contracts
from assets.training.data_version import CODE_VERSION, views_sha256
from assets.training.sidecar import frame_columns
from ml.study.definition import load_study
from oncoframe import ledger
from oncoframe.lake import DICTIONARY_SCHEMA
from oncoframe.modalities import feature_contracts

_FRAME_OF = ("fusion", "clinical")


def _types(schema: pl.Schema) -> dict[str, str]:
    return {name: str(dtype) for name, dtype in schema.items()}


def _lines(entries: dict[str, object]) -> str:
    rows = (f"    {json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    return "{\n" + ",\n".join(rows) + "\n  }"


def released() -> str:
    """The file, one table or column per line."""
    study = load_study("synthetic_leukemia")
    contracts = [c for c in service_contracts(study.features.service) if c.modality in _FRAME_OF]
    tables = {
        **{c.table: pl.Schema(c.schema()) for c in feature_contracts()},
        ledger.TABLE: ledger.SCHEMA, intake.TABLE: intake.SCHEMA, "labels": LABELS_SCHEMA,
        "cohort": COHORT_SCHEMA, "dictionary_gene": DICTIONARY_SCHEMA,
    }  # fmt: skip
    said = {
        "version": json.dumps(version("oncoframe")),
        "code_version": json.dumps(CODE_VERSION),
        "views_sha256": json.dumps(views_sha256(contracts)),
        "study": json.dumps(study.model_dump(mode="json")),
        "columns": _lines(frame_columns(contracts)),
        "tables": _lines({name: _types(schema) for name, schema in tables.items()}),
    }
    return "{\n" + ",\n".join(f'  "{name}": {text}' for name, text in said.items()) + "\n}\n"


if __name__ == "__main__":
    file = Path(__file__).with_name(f"{version('oncoframe')}.json")
    if file.exists():
        raise SystemExit(f"{file.name} was written when that version was released")
    file.write_text(released())
