"""Lake: appends, versions and dictionaries, also with two processes writing at once."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from oncoframe.contracts import Contract, Feature
from oncoframe.errors import ContractViolation
from oncoframe.lake import Lake, dictionary_table
from orchestration.settings import PROJECT

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
CONTRACT = Contract("toy_features", "toy", "A toy.", "1", (Feature("n", pl.Int64(), "1", "N."),))

#: What two processes do at the same moment: append rows and name the same and other genes.
_WRITER = """
import sys
from pathlib import Path
import polars as pl
from oncoframe.lake import Lake

root, me = Path(sys.argv[1]), sys.argv[2]
lake = Lake(root)
(root / f"ready_{me}").touch()
while len(list(root.glob("ready_*"))) < 2:
    pass
for number in range(5):
    lake.append("rows", pl.DataFrame({"writer": [me], "number": [number]}))
    names = [f"SHARED{number}", f"{me}_{number}"]
    lake.extend_dictionary("gene", pl.Series(names))
"""


def toy_rows(**changes) -> pl.DataFrame:
    row = {
        "patient_id": "P1",
        "event_timestamp": NOON,
        "created_timestamp": NOON,
        "toy_performed": True,
        "n": 1,
        "reference_build": None,
        "annotation_version": None,
        "tool": None,
        "site": None,
        "source_sha256": "0",
        "code_version": "1",
        "run_id": "r",
    }
    return pl.DataFrame([{**row, **changes}], schema=CONTRACT.schema())


def test_append_features__tells_other_tools_what_a_column_means(lake):
    """Delta, DuckDB and Polars readers had names alone: seven words for an age in years."""
    lake.append_features(CONTRACT, toy_rows())
    longer = replace(CONTRACT, features=(*CONTRACT.features, Feature("m", pl.Int64(), "d", "M.")))
    rows = (
        toy_rows(patient_id="P2").with_columns(m=pl.lit(2, pl.Int64)).select(list(longer.schema()))
    )
    lake.append_features(longer, rows)

    table = DeltaTable(lake.path("toy_features"))
    told = {field.name: field.metadata for field in table.schema().fields}

    assert table.metadata().description.startswith("A toy. A row counts for a question")
    assert told["n"] == {"comment": "N.", "unit": "1", "known": "at_index"}
    assert told["m"] == {"comment": "M.", "unit": "d", "known": "at_index"}
    assert all(about["comment"].endswith(".") for about in told.values())


def test_append__adds_and_never_replaces(lake):
    """A write that replaced the table would lose every patient but the last."""
    versions = [lake.append("t", pl.DataFrame({"a": [number]})) for number in (1, 2)]
    assert versions == [0, 1]
    assert sorted(lake.scan("t").collect()["a"]) == [1, 2]


def test_scan__reads_a_pinned_version(lake):
    """A frame that is rebuilt after a correction must not see it."""
    lake.append("t", pl.DataFrame({"a": [1]}))
    lake.append("t", pl.DataFrame({"a": [2]}))
    assert lake.scan("t", version=0).collect()["a"].to_list() == [1]


def test_append__keeps_old_versions_for_good(lake):
    """Delta by itself drops versions over 30 days old at every checkpoint: no rebuild then."""
    log = lake.path("t") / "_delta_log"
    lake.append("t", pl.DataFrame({"a": [0]}))
    every_third = {"delta.checkpointInterval": "3"}
    DeltaTable(lake.path("t")).alter.set_table_properties(every_third)
    for number in (1, 2, 3, 4):
        for file in log.iterdir():
            os.utime(file, (1e9, 1e9))
        lake.append("t", pl.DataFrame({"a": [number]}))
    assert len(list(log.glob("*.checkpoint.parquet"))) == 2
    assert lake.scan("t", version=0).collect()["a"].to_list() == [0]


def test_exists_version_tables__know_what_was_written(lake):
    """An asset of a fresh home must meet an empty lake, not an error."""
    assert (lake.exists("t"), lake.version("t"), lake.tables()) == (False, None, [])
    with lake.lock("t"):
        pass
    lake.append("t", pl.DataFrame({"a": [1]}))
    assert (lake.exists("t"), lake.version("t"), lake.tables()) == (True, 0, ["t"])


def test_scan_features__gives_an_empty_table_before_the_first_write(lake):
    """Code that reads before anything was computed needs the columns."""
    empty = lake.scan_features(CONTRACT).collect()
    assert empty.is_empty()
    assert empty.schema == pl.Schema(CONTRACT.schema())


def test_append_features__gives_back_the_types_it_was_given(lake):
    """Delta could return naive times or wider numbers, which no join would match."""
    lake.append_features(CONTRACT, toy_rows())
    assert lake.scan_features(CONTRACT).collect().equals(toy_rows())


def test_append_features__writes_nothing_that_breaks_the_contract(lake):
    """Half a batch written would leave rows nobody knows of."""
    with pytest.raises(ContractViolation):
        lake.append_features(CONTRACT, pl.concat([toy_rows(), toy_rows(patient_id=None)]))
    assert not lake.exists(CONTRACT.table)


@pytest.mark.slow
def test_append_and_dictionary__lose_nothing_with_two_processes(lake):
    """Both create the same tables at the same moment; one position for two genes mixes patients."""
    lake.root.mkdir(parents=True)
    command = [sys.executable, "-c", _WRITER, str(lake.root)]
    writers = [subprocess.Popen([*command, me], cwd=PROJECT) for me in "ab"]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]

    assert len(lake.scan("rows").unique().collect()) == 10
    dictionary = lake.dictionary("gene")
    assert dictionary["position"].to_list() == list(range(15))
    assert dictionary["name"].n_unique() == 15


def test_lock__is_waited_for_by_another_thread(lake):
    """Two runs of one process (the Dagster daemon) must exclude each other, too."""
    order = []

    def second() -> None:
        with lake.lock("t"):
            order.append("second")

    with lake.lock("t"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=5), max_size=4))
@settings(max_examples=25)
def test_extend_dictionary__never_moves_a_position(tmp_path_factory, batches):
    """Vectors of old rows are read by today's dictionary."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    seen: list[str] = []
    for batch in batches:
        dictionary = lake.extend_dictionary("gene", pl.Series(batch, dtype=pl.String))
        names = dictionary["name"].to_list()
        assert names[: len(seen)] == seen
        assert names[len(seen) :] == sorted(set(batch) - set(seen))
        seen = names
    assert lake.dictionary("gene")["name"].to_list() == seen


def test_extend_dictionary__writes_only_new_names(lake):
    """A version per patient would make ten thousand versions of one dictionary."""
    lake.extend_dictionary("gene", pl.Series(["TP53", None, "NPM1", "TP53"]))
    lake.extend_dictionary("gene", pl.Series(["NPM1"]))
    assert lake.version(dictionary_table("gene")) == 0
    assert lake.dictionary("gene").rows() == [(0, "NPM1"), (1, "TP53")]


def test_dictionary__reads_a_pinned_version(lake):
    """A rebuilt frame must have the positions of its time."""
    lake.extend_dictionary("gene", pl.Series(["b"]))
    lake.extend_dictionary("gene", pl.Series(["a"]))
    assert lake.dictionary("gene", version=0)["name"].to_list() == ["b"]
    assert lake.dictionary("gene")["name"].to_list() == ["b", "a"]


def test_append__adds_columns_that_a_new_version_has(lake):
    """A home of an older version must take rows of a newer one; what was not known is null."""
    lake.append("rows", pl.DataFrame({"n": [1]}))
    lake.append("rows", pl.DataFrame({"n": [2], "roi": ["GTV 1"]}))
    assert sorted(lake.scan("rows").collect().rows()) == [(1, None), (2, "GTV 1")]
