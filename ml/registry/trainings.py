"""Trainings as they were kept: the newest one of a study, or that of a run.

the store -> StoredTraining (files, models)
"""

from datetime import UTC, datetime

from ml.registry.store import Store
from ml.registry.tracker import mlflow
from ml.training.stored import StoredModel, StoredTraining
from oncoframe.errors import StudyError

_FINISHED = "attributes.status = 'FINISHED'"


def newest_training(study: str, *, store: Store) -> StoredTraining:
    """Newest finished training of a study, with its files and models.

    Parameters
    ----------
    study
        Name of the study.
    store
        Where it was kept.

    Raises
    ------
    StudyError
        If the study was never trained.
    """
    runs: list[mlflow.entities.Run] = []
    if store.exists:
        client = store.client()
        found = client.get_experiment_by_name(study)
        if found is not None:
            runs = client.search_runs(
                [found.experiment_id],
                f"{_FINISHED} and tags.best LIKE '%'",
                order_by=["attributes.start_time DESC"],
                max_results=1,
            )
    if not runs:
        raise StudyError(f"study {study} has no model", hint=f"Train one: oncoframe train {study}.")
    return _stored(client, runs[0], store)


def training_of_run(run_id: str, *, store: Store) -> StoredTraining:
    """Training of an MLflow run.

    Raises
    ------
    StudyError
        If there is no such run any more.
    """
    client = store.client()
    try:
        run = client.get_run(run_id)
    except mlflow.MlflowException as error:
        raise StudyError(
            "the training is not in the registry", where=f"run {run_id}", got=error.error_code
        ) from error
    return _stored(client, run, store)


def _stored(client: mlflow.MlflowClient, run: mlflow.entities.Run, store: Store) -> StoredTraining:
    of_run = f"{_FINISHED} and tags.mlflow.parentRunId = '{run.info.run_id}'"
    children = client.search_runs([run.info.experiment_id], of_run)
    return StoredTraining(
        run_id=str(run.info.run_id),
        started=datetime.fromtimestamp(run.info.start_time / 1000, tz=UTC),
        code_version=run.data.tags["code_version"],
        tags=dict(run.data.tags),
        folder=store.local(run.info.artifact_uri, run.info.run_id),
        models=tuple(
            _stored_model(client, child, store)
            for child in children
            if "modality_set" in child.data.params
        ),
    )


def _stored_model(
    client: mlflow.MlflowClient, run: mlflow.entities.Run, store: Store
) -> StoredModel:
    model = logged_model(client, run)
    return StoredModel(
        run_id=str(run.info.run_id),
        recipe=run.data.params["recipe"],
        modality_set=run.data.params["modality_set"],
        folder=store.local(run.info.artifact_uri, run.info.run_id),
        served=store.local(model.artifact_location, model.model_id) / "data" / "served",
    )


def logged_model(
    client: mlflow.MlflowClient, run: mlflow.entities.Run
) -> mlflow.entities.LoggedModel:
    """The model that the run of a model keeps."""
    [model] = client.search_logged_models(
        [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
    )
    return model
