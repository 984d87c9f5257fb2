"""Keeps trainings: what :mod:`ml.training.artifacts` writes goes into the registry's runs.

    TrainingResult -> one run per training, one child run per model -> the store

A child run holds what its row of the result table says, number for number, and the model of all
patients as a pyfunc that takes columns of a frame and answers with calibrated probabilities and
the prediction set. Trials of a search are children of it.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from ml.figures.performance import comparison_figure, confusion_figure
from ml.figures.training import draw, draw_model, draw_survival, draw_training, drawing
from ml.registry.store import Store
from ml.registry.tracker import LocalArtifactDatasetSource, MetaDataset, mlflow
from ml.serving.model import ABSTAINED, MODALITIES, SET, WHY
from ml.training.artifacts import write_model, write_survival, write_training
from ml.training.results import (
    ModelResult,
    TrainingResult,
    Trial,
    flat_metrics,
    plan_in_words,
    plan_numbers,
)
from ml.training.survival import SurvivalResult

#: What a saved model needs to be loaded, and to be asked.
_REQUIREMENTS = ("lightgbm", "numpy", "oncoframe", "pandas", "scikit-learn", "skops", "xgboost")


def log_training(
    result: TrainingResult,
    *,
    store: Store,
    code_version: str,
    tags: Mapping[str, str] | None = None,
    workers: int = 1,
) -> str:
    """Log a training and its models, and return the MLflow run id of the training.

    Figures, which take longest, are drawn in other processes while the models are logged.

    Parameters
    ----------
    result
        What was trained.
    store
        Where it is kept.
    code_version
        Version of OncoFrame that trained.
    tags
        More tags of every run, such as the id of the Dagster run.
    workers
        Processes that draw figures.
    """
    experiment = _experiment(store, result.study.name)
    common = {**_identity(result.study.name, result.frame_id, code_version), **(tags or {})}
    with (
        TemporaryDirectory() as scratch,
        drawing(workers) as artists,
        mlflow.start_run(
            experiment_id=experiment,
            run_name=f"{result.study.name} on {result.frame_id}",
            tags={**common, "best": f"{result.best.recipe} on {result.best.modality_set}"},
        ) as run,
    ):
        files = Path(scratch)
        begun = _begin_training(result, files / "training", artists)
        models = [
            (model, files / str(number), _begin_model(result, model, files / str(number), artists))
            for number, model in enumerate(result.results)
        ]
        _log_frame(result.study.name, result.frame_id, common)
        mlflow.log_params({**plan_numbers(result), "frame_id": result.frame_id})
        mlflow.log_metrics(flat_metrics(result.best.evaluation))
        _log_files(files / "training", begun)
        for model, folder, figures in models:
            _log_model(result, model, experiment, common, folder, figures)
    return str(run.info.run_id)


def log_survival(
    result: SurvivalResult,
    *,
    store: Store,
    code_version: str,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log a training of a survival study as one run, and return its id; see :func:`log_training`.

    Only what was found out of fold is kept: nobody is asked about new patients with it.
    """
    experiment = _experiment(store, result.study.name)
    common = {**_identity(result.study.name, result.frame_id, code_version), **(tags or {})}
    with (
        TemporaryDirectory() as scratch,
        mlflow.start_run(
            experiment_id=experiment,
            run_name=f"{result.study.name} on {result.frame_id}",
            tags={**common, "best": result.best.name},
        ) as run,
    ):
        _log_frame(result.study.name, result.frame_id, common)
        value = result.best.concordance
        mlflow.log_metrics({"concordance": value.value, "concordance_ci_low": value.low,
                            "concordance_ci_high": value.high})  # fmt: skip
        write_survival(result, Path(scratch))
        draw_survival(Path(scratch), result.best.recipe, result.best.modality_set)
        mlflow.log_artifacts(scratch)
    return str(run.info.run_id)


def _log_frame(study: str, frame_id: str, tags: Mapping[str, str]) -> None:
    """Name the frame as the data of the active run, and say where its parts are."""
    # A place within the home: the home may move.
    source = LocalArtifactDatasetSource(f"frames/{frame_id}")
    frame = MetaDataset(source, name=f"frame of {study}", digest=frame_id)  # type: ignore[abstract]
    mlflow.log_input(frame, context="training")
    lines = [
        f"Study `{study}`, frame `{frame_id}`: `oncoframe frame show {frame_id}`.",
        f"Report: `oncoframe report {study}`.",
    ]
    if "dagster_run_id" in tags:
        lines.append(f"Dagster run: `{tags['dagster_run_id']}`.")
    mlflow.set_tag("mlflow.note.content", "\n\n".join(lines))


def _begin_training(result: TrainingResult, folder: Path, artists: Executor) -> list[Future[None]]:
    """Write the files that concern all models, and have their figures drawn."""
    folder.mkdir()
    write_training(result, folder)
    begun = [artists.submit(draw_training, folder)]
    for recipe in result.study.recipes:
        rows = [r for r in result.results if r.plan == recipe]
        figure = partial(
            comparison_figure,
            {r.modality_set: r.evaluation for r in rows},
            {r.modality_set: r.modalities for r in rows},
            title=f"What each modality contributes, {recipe.name}",
            subtitle=f"{plan_in_words(result)}, same folds for every row; 95 % intervals",
            majority_share=result.majority_share,
        )
        begun.append(artists.submit(draw, figure, folder / f"modalities_{recipe.name}.png"))
    return begun


def _begin_model(
    result: TrainingResult, model: ModelResult, folder: Path, artists: Executor
) -> list[Future[None]]:
    """Write the files of a model, and have its figures drawn."""
    folder.mkdir()
    write_model(result, model, folder)
    accuracy = model.evaluation.metrics["accuracy"]
    figure = partial(
        confusion_figure,
        model.evaluation,
        title=result.study.title,
        subtitle=(
            f"{model.name}; {plan_in_words(result)}. Accuracy {accuracy.value:.3f} "
            f"({accuracy.low:.3f} to {accuracy.high:.3f}), "
            f"macro F1 {model.evaluation.metrics['macro_f1'].value:.3f}"
        ),
    )
    return [
        artists.submit(draw, figure, folder / "confusion.png"),
        artists.submit(draw_model, folder, result.links, seed=result.study.cross_validation.seed),
    ]


def _log_files(folder: Path, figures: Sequence[Future[None]]) -> None:
    """Keep a folder in the active run as soon as its figures are drawn."""
    for figure in figures:
        figure.result()
    mlflow.log_artifacts(str(folder))


def _log_model(
    result: TrainingResult,
    model: ModelResult,
    experiment: str,
    tags: Mapping[str, str],
    folder: Path,
    figures: Sequence[Future[None]],
) -> None:
    settings = {
        name: value
        for name, value in model.served.model.get_params().items()
        if isinstance(value, str | int | float)
    }
    with (
        TemporaryDirectory() as served,
        mlflow.start_run(
            experiment_id=experiment, nested=True, run_name=model.name, tags=dict(tags)
        ) as run,
    ):
        mlflow.log_params(
            {
                **plan_numbers(result),
                "recipe": model.recipe,
                "modality_set": model.modality_set,
                "modalities": ", ".join(model.modalities),
                "features": model.feature_count,
                **settings,
            }
        )
        _log_frame(result.study.name, result.frame_id, tags)
        mlflow.log_metrics({**flat_metrics(model.evaluation), "seconds": model.seconds})
        model.served.save(Path(served) / "served")
        mlflow.pyfunc.log_model(
            name="model",
            loader_module="ml.serving.model",
            data_path=str(Path(served) / "served"),
            signature=_signature(model),
            input_example=model.typical_patient,
            pip_requirements=[f"{package}=={version(package)}" for package in _REQUIREMENTS],
        )
        _log_trials(model.trials, experiment, str(run.info.run_id), tags)
        _log_files(folder, figures)


def _log_trials(
    trials: Sequence[Trial], experiment: str, parent: str, tags: Mapping[str, str]
) -> None:
    """One child run of the model's run per trial of its searches."""
    client = mlflow.MlflowClient()
    for trial in trials:
        run = client.create_run(
            experiment,
            run_name=f"{trial.where} trial {trial.number}",
            tags={**tags, "mlflow.parentRunId": parent, "kind": "trial", "state": trial.state},
        )
        params = [mlflow.entities.Param(name, str(value)) for name, value in trial.settings.items()]
        metrics = {"objective": trial.value, "seconds": trial.seconds}
        now = int(run.info.start_time)
        client.log_batch(
            run.info.run_id,
            metrics=[
                mlflow.entities.Metric(name, value, now, 0) for name, value in metrics.items()
            ],
            params=params,
        )
        client.set_terminated(run.info.run_id)


def _experiment(store: Store, study: str) -> str:
    """Experiment of a study, which is made if it is not there."""
    client = store.client()
    found = client.get_experiment_by_name(study)
    if found is not None:
        return str(found.experiment_id)
    # A server decides itself where its files are.
    location = None if store.database is None else (store.artifacts / study).resolve().as_uri()
    return str(client.create_experiment(study, location))


def _identity(study: str, frame_id: str, code_version: str) -> dict[str, str]:
    return {"study": study, "frame_id": frame_id, "code_version": code_version}


def _signature(model: ModelResult) -> mlflow.models.ModelSignature:
    """Types of the answer.

    Not of the input: MLflow drops the columns that a signature does not name and fills in those
    that are missing, so that a table in other names is answered like a patient without any value.
    The model itself says what it takes; see :mod:`ml.serving.inputs`.
    """
    types = {SET: "string", ABSTAINED: "boolean", WHY: "string", MODALITIES: "string"}
    answers: list[mlflow.types.ColSpec | mlflow.types.TensorSpec] = [
        *(mlflow.types.ColSpec("double", f"p[{name}]") for name in model.served.classes),
        *(mlflow.types.ColSpec(kind, name) for name, kind in types.items()),
    ]
    return mlflow.models.ModelSignature(outputs=mlflow.types.Schema(answers))
