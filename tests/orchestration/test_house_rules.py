"""The code location loads, and every asset keeps the house rules."""

import dagster as dg
import pytest

from oncoframe.errors import SettingsError
from oncoframe.modalities import assays, feature_contracts
from orchestration.groups import OWNERS, SCIENCE_OWNERS, STAGES, group
from orchestration.partitions import PATIENTS
from orchestration.settings import PROJECT


@pytest.fixture(scope="module")
def specs(definitions) -> dict[str, dg.AssetSpec]:
    """Asset key -> spec, of all assets that are materialised or observed here."""
    return {s.key.to_user_string(): s for s in definitions.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def made(definitions) -> set[str]:
    """Keys of the assets that are computed here; the others are files of somebody else."""
    keys = definitions.resolve_asset_graph().materializable_asset_keys
    return {key.to_user_string() for key in keys}


def test_code_location__can_be_loaded(definitions):
    """What does not fit together (a job without its assets) shows before the first run."""
    dg.Definitions.validate_loadable(definitions)


def test_every_asset__is_described_grouped_and_owned(specs):
    """A ``deps=["typo"]`` shows up here too: it becomes a stub without any of them."""
    bare = {
        name: (spec.description, spec.group_name, spec.owners)
        for name, spec in specs.items()
        if not spec.description or spec.group_name == "default" or not spec.owners
    }
    assert bare == {}


def test_every_asset__is_described_in_a_sentence(specs):
    """The description is what a clinician reads in the UI; one word helps nobody."""
    short = [name for name, spec in specs.items() if len((spec.description or "").split()) < 4]
    assert short == []


def test_every_asset__has_kinds(specs):
    """Icons tell at a glance which step is dbt, which Polars, which Feast."""
    assert [name for name, spec in specs.items() if not spec.kinds] == []


def test_every_owner__is_a_team_of_the_list(specs):
    """A misspelt team owns nothing."""
    teams = {*OWNERS, *SCIENCE_OWNERS}
    assert [name for name, spec in specs.items() if not set(spec.owners) <= teams] == []


def test_every_computed_asset__has_a_code_version(specs, made):
    """Without one, a change of code leaves no trace at what it computed."""
    assert [name for name in sorted(made) if not specs[name].code_version] == []


def test_every_dependency__is_an_asset(specs):
    """A dependency that is only a name never becomes stale."""
    keys = {spec.key for spec in specs.values()}
    dangling = {dep.asset_key for spec in specs.values() for dep in spec.deps} - keys
    assert dangling == set()


def test_groups__are_stages_in_the_order_of_the_flow(specs):
    """Folder order, group order and the flow are one: no asset reads from a later group."""
    further = {assay.stage for assay in assays().values()} - set(STAGES)
    groups = sorted(map(group, {*STAGES, *further}))
    assert [name for name in groups if name in map(group, STAGES)] == [*map(group, STAGES)]
    assert {spec.group_name for spec in specs.values()} <= set(groups)
    place = {spec.key: groups.index(spec.group_name) for spec in specs.values()}
    backwards = [
        (spec.key.to_user_string(), dep.asset_key.to_user_string())
        for spec in specs.values()
        for dep in spec.deps
        if place[dep.asset_key] > place[spec.key]
    ]
    assert backwards == []


def test_stages__are_the_folders_of_the_assets():
    """An asset is found in the folder that its group names."""
    folders = {path.parent.name for path in (PROJECT / "assets").glob("*/defs.py")}
    assert folders <= set(STAGES)


def test_group__of_a_stage_that_nobody_declares_is_refused():
    """A misspelt stage would be a group of its own, or a run over nothing."""
    with pytest.raises(SettingsError, match="no stage genomic; expected one of landing, genomics"):
        group("genomic")


def test_group__follows_the_folder(definitions):
    """An asset of another folder's group would be looked for in the wrong place."""
    misplaced = []
    for key in definitions.resolve_asset_graph().materializable_asset_keys:
        asset = definitions.get_assets_def(key)
        module = asset.op.compute_fn.decorated_fn.__module__
        stage = asset.group_names_by_key[key].partition("_")[2]
        if module.startswith("assets.") and stage not in module.split("."):
            misplaced.append((key.to_user_string(), module, stage))
    assert misplaced == []


def test_per_patient_assets__are_partitioned_checked_and_backfilled_in_chunks(definitions, specs):
    """A table without partitions would recompute everybody for one new patient."""
    for table in (assay.contract.table for assay in assays().values()):
        asset = definitions.get_assets_def(table)
        assert specs[table].partitions_def == PATIENTS
        assert asset.backfill_policy == dg.BackfillPolicy.multi_run(500)
        assert [check.name for check in asset.check_specs] == ["no_patient_in_quarantine"]
        assert not asset.op.output_defs[0].is_required


def test_feature_tables__are_assets(specs):
    """A contract without an asset is a view that stays empty."""
    assert {contract.table for contract in feature_contracts()} <= specs.keys()


def test_feature_tables__have_code_versions_of_their_contracts(specs):
    """The row's version and the asset's must tell the same story."""
    for contract in feature_contracts():
        assert specs[contract.table].code_version == contract.code_version


def test_jobs_schedules_and_sensors__are_described(definitions):
    """What runs by itself at night must say why."""
    jobs = {job.name: job.description for job in definitions.jobs}
    assert {"everything", "retry_failed", "score", "retrain"} <= jobs.keys()
    schedules = {schedule.name: schedule.description for schedule in definitions.schedules}
    assert {"nightly_scores", "weekly_retrain"} <= schedules.keys()
    sensors = {sensor.name: sensor.description for sensor in definitions.sensors or ()}
    assert {"new_files", "drift_retrain"} <= sensors.keys()
    undescribed = {**jobs, **schedules, **sensors}
    assert [name for name, description in undescribed.items() if not description] == []
