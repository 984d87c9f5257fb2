"""The biomarkers table: what is new or changed, nothing else.

    feature tables, clinical table -> events -> latest result of each source by then -> rows

A patient has a row per date of a specimen or clinical finding. It rests on the latest result of
each source that is not later than it; a failed assay is no result, so the one before it stands.
Rows whose sources and rules are those of the row in the lake are not evaluated again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import polars as pl

from assets.biomarkers import observations as seen
from assets.biomarkers.contract import CONTRACT, TABLE, UNREADABLE
from assets.biomarkers.evaluate import evaluate
from assets.biomarkers.karyotypes import karyotype_answers
from assets.biomarkers.questions import Atoms
from assets.clinical.contract import clinical_contract
from assets.genomics.panel.entries import load_panel
from assets.genomics.panel.rules import Source
from oncoframe.contracts import UTC_TIME, WITHDRAWN, Contract, Modality
from oncoframe.lake import Lake
from oncoframe.modalities import spec
from oncoframe.point_in_time import CLOCKS, latest_rows

#: Assays that biomarkers rest on, beside the karyotype of the clinical table.
ASSAYS = (Modality.SNV, Modality.SV, Modality.CNV, Modality.FUSION, Modality.EXPRESSION)
KARYOTYPE = "karyotype_iscn"
#: Rows evaluated at once, which bounds the memory of the wide blocks.
CHUNK_ROWS = 2_000

_KEYS = ["patient_id", "event_timestamp"]
_ROW, _SOURCE = "__row", "__source"


@dataclass(frozen=True)
class Published:
    """What publishing came to.

    Parameters
    ----------
    rows
        Patients and dates that have biomarkers.
    appended
        Rows appended: new, changed, or taken back.
    version
        Delta version that holds them; None for a table that was never written.
    unreadable
        Reason -> rows whose karyotype says nothing; of the rows appended.
    """

    rows: int
    appended: int
    version: int | None
    unreadable: Mapping[str, int] = field(default_factory=dict)


def sources() -> dict[str, Contract]:
    """Name of a source -> contract of the table it lies in."""
    assays: dict[str, Contract] = {name: spec(name).contract for name in ASSAYS}
    return {**assays, KARYOTYPE: clinical_contract()}


def publish(lake: Lake, *, run_id: str, now: datetime) -> Published:
    """Append the biomarkers that are new or changed to their table.

    Parameters
    ----------
    lake
        Holds the sources and the table.
    run_id
        Run that publishes.
    now
        When the platform learns the rows, UTC.

    Raises
    ------
    ContractViolation
        If rows do not fit; nothing of their chunk is written.
    """
    found = versions(lake)
    rests = _rests(lake, found)
    unreadable: Counter[str] = Counter()
    with lake.lock(TABLE):
        before = latest_rows(lake.scan_features(CONTRACT), by=_KEYS)
        latest = before.select(*_KEYS, "source_sha256", "code_version").collect()
        changed = rests.join(latest, on=[*_KEYS, "source_sha256", "code_version"], how="anti")
        appended = 0
        for chunk in changed.iter_slices(CHUNK_ROWS):
            rows = _rows(lake, chunk, found)
            lake.append_features(CONTRACT, _stamped(rows, run_id=run_id, now=now))
            unreadable.update(rows[UNREADABLE].drop_nulls().to_list())
            appended += len(rows)
        gone = latest.join(rests, on=_KEYS, how="anti")
        if len(gone):
            taken = gone.with_columns(pl.lit(value=True).alias(WITHDRAWN))
            lake.append_features(CONTRACT, _stamped(taken, run_id=run_id, now=now))
            appended += len(gone)
    return Published(len(rests), appended, lake.version(TABLE), dict(unreadable))


def _rests(lake: Lake, read: Mapping[str, int | None]) -> pl.DataFrame:
    """Patients and dates, the row of each source that counts by then, and a hash over these."""
    found = {
        name: _results(lake, contract, read[contract.table], name)
        for name, contract in sources().items()
    }
    events = pl.concat([rows.select(_KEYS) for rows in found.values()]).unique().sort(_KEYS)
    for name, rows in found.items():
        results = rows.filter("__result").select(
            *_KEYS, pl.col(_ROW).alias(f"{_ROW}:{name}"), pl.col(_SOURCE).alias(f"{_SOURCE}:{name}")
        )
        events = events.join_asof(
            results.sort(_KEYS), on="event_timestamp", by="patient_id", check_sortedness=False
        )
    said = pl.concat_str(
        *(pl.col(f"{_SOURCE}:{name}").fill_null("") for name in found), separator="\n"
    )
    digests = [sha256(text.encode()).hexdigest() for text in events.select(said).to_series()]
    return events.with_columns(
        source_sha256=pl.Series(digests, dtype=pl.String),
        code_version=pl.lit(CONTRACT.code_version),
    )


def _results(lake: Lake, contract: Contract, version: int | None, name: str) -> pl.DataFrame:
    """Current rows of a source: where each lies, whether it is a result, what identifies it."""
    empty = {"patient_id": pl.String(), "event_timestamp": UTC_TIME, _ROW: pl.UInt32(),
             "__result": pl.Boolean(), _SOURCE: pl.String()}  # fmt: skip
    if version is None:
        return pl.DataFrame(schema=empty)
    is_text = name == KARYOTYPE
    identity = pl.col(KARYOTYPE) if is_text else pl.concat_str("source_sha256", "code_version")
    result = pl.col(KARYOTYPE).is_not_null() if is_text else pl.col(contract.performed_column)
    rows = lake.scan(contract.table, version=version)
    present = rows.collect_schema().names()
    wanted = ["patient_id", *CLOCKS, "source_sha256", "code_version"]
    wanted += [c for c in (contract.performed_column, KARYOTYPE, WITHDRAWN) if c in present]
    narrow = rows.with_row_index(_ROW).select(_ROW, *wanted)
    current = latest_rows(narrow, by=_KEYS)
    if is_text:
        current = current.filter(result)
    return current.select(*_KEYS, _ROW, result.alias("__result"), identity.alias(_SOURCE)).collect()


def _rows(lake: Lake, events: pl.DataFrame, read: Mapping[str, int | None]) -> pl.DataFrame:
    """Biomarkers of some patients and dates, by the domain names of the contract."""
    atoms = Atoms(load_panel())
    taken = _Taken(lake, events, read)
    genes, bands = taken.axis("gene"), taken.axis("band")
    snv_rows = taken.of(Modality.SNV, seen.columns_of(Source.SNV))
    fusion_rows = taken.of(Modality.FUSION, seen.columns_of(Source.FUSION))
    vector = pl.List(pl.Float32())
    joins = taken.of(Modality.SV, {seen.SV_JOIN: vector})
    ratios = taken.of(
        Modality.CNV, {seen.CNV_BAND: vector, seen.CNV_GENE: vector, seen.CNV_ARM: vector}
    )
    levels = taken.of(
        Modality.EXPRESSION, {seen.EXPRESSION: vector, seen.EXPRESSION_UNIT: pl.String()}
    )
    karyotypes = taken.of(KARYOTYPE, {KARYOTYPE: pl.String()})[KARYOTYPE]
    cytogenetic = karyotype_answers(karyotypes, atoms)
    answers = pl.concat(
        [
            seen.snv_answers(snv_rows, atoms),
            seen.fusion_answers(fusion_rows, atoms),
            seen.sv_answers(joins[seen.SV_JOIN], atoms, taken.axis("gene_pair")),
            seen.cnv_answers(
                ratios[seen.CNV_BAND],
                ratios[seen.CNV_GENE],
                ratios[seen.CNV_ARM],
                atoms,
                bands,
                genes,
                taken.axis("arm"),
            ),
            cytogenetic,
        ],
        how="horizontal",
    )
    numbers = [f.name for f in CONTRACT.features if f.name in cytogenetic.columns]
    return pl.concat(
        [
            events.select(*_KEYS, "source_sha256", "code_version"),
            events.select(
                pl.any_horizontal(*(pl.col(f"{_ROW}:{n}").is_not_null() for n in sources()))
                .alias(CONTRACT.performed_column),
                pl.concat_str(
                    *(pl.when(pl.col(f"{_ROW}:{n}").is_not_null()).then(pl.lit(str(n)))
                      for n in sources()),
                    separator="+", ignore_nulls=True,
                ).alias("tool"),
            ),
            evaluate(answers, atoms),
            seen.expression_ratios(
                levels[seen.EXPRESSION], levels[seen.EXPRESSION_UNIT], atoms, genes
            ),
            cytogenetic.select(numbers),
        ],
        how="horizontal",
    ).rename({f.name: f.column for f in CONTRACT.features})  # fmt: skip


class _Taken:
    """Columns of the source rows that some events rest on."""

    def __init__(self, lake: Lake, events: pl.DataFrame, read: Mapping[str, int | None]) -> None:
        self._lake = lake
        self._events = events
        self._read = read

    def of(self, name: str, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
        """(events, columns) frame; null where an event has no result of the source."""
        contract = sources().get(name)
        version = self._read[contract.table] if contract else None
        if contract is None or version is None:
            return pl.DataFrame(schema=dict(columns)).clear(len(self._events))
        rows = self._events[f"{_ROW}:{name}"].cast(pl.UInt32)
        if rows.null_count() == len(rows):
            return pl.DataFrame(schema=dict(columns)).clear(len(rows))
        scan = self._lake.scan(contract.table, version=version)
        present = scan.collect_schema().names()
        wanted = (
            scan.with_row_index(_ROW)
            .filter(pl.col(_ROW).is_in(rows.drop_nulls().unique().implode()))
            .select(
                _ROW,
                *(
                    pl.col(c) if c in present else pl.lit(None, dtype).alias(c)
                    for c, dtype in columns.items()
                ),
            )
            .collect()
        )
        asking = rows.alias(_ROW).to_frame()
        return asking.join(wanted, on=_ROW, how="left", maintain_order="left").drop(_ROW)

    def axis(self, axis: str) -> dict[str, int]:
        """Name -> position on an axis."""
        return dict(self._lake.dictionary(axis).select("name", "position").iter_rows())


def _stamped(rows: pl.DataFrame, *, run_id: str, now: datetime) -> pl.DataFrame:
    """Rows in the columns of the table; what they do not say is null."""
    schema = CONTRACT.schema()
    said = rows.with_columns(created_timestamp=pl.lit(now, dtype=UTC_TIME), run_id=pl.lit(run_id))
    defaults = {CONTRACT.performed_column: False, WITHDRAWN: False}
    absent = [
        pl.lit(defaults.get(name), dtype).alias(name)
        for name, dtype in schema.items()
        if name not in said.columns
    ]
    return said.with_columns(absent).select(list(schema))


def versions(lake: Lake) -> dict[str, int | None]:
    """Table -> newest version, of everything that biomarkers rest on."""
    return {contract.table: lake.version(contract.table) for contract in sources().values()}
