"""Versions of models and the names that point at them: challenger, champion, previous.

    StoredTraining -> add_candidate -> challenger of <study>_candidates
        -> copy_to_champion -> champion of <study>; the old one is previous -> rollback_aliases

Whether a candidate may become champion is decided in :mod:`ml.promotion.criteria`. A version
remembers the hash of its files, and is not loaded from other ones.
"""

from collections.abc import Mapping

from ml.registry.files import folder_sha256, load_version
from ml.registry.model_version import Alias, ModelVersion, candidates_name, registered_name
from ml.registry.store import Store
from ml.registry.tracker import as_refusal, missing, mlflow
from ml.registry.trainings import logged_model
from ml.training.stored import StoredTraining
from oncoframe.errors import PromotionError, StudyError


def add_candidate(
    training: StoredTraining, *, store: Store, tags: Mapping[str, str] | None = None
) -> ModelVersion:
    """Register the best model of a training as the challenger of its study.

    Parameters
    ----------
    training
        From :mod:`ml.registry.trainings`, of the same store.
    store
        Where it is registered.
    tags
        More tags of the version.

    Raises
    ------
    StudyError
        If the training kept no model to ask, as those of survival studies.
    PromotionError
        If the MLflow server lets this user write no candidates.
    """
    best = training.best
    if best.served is None:
        raise StudyError(
            "a training without a model to ask has no candidate",
            where=f"study {training.study.name}",
        )
    client, name = store.client(), candidates_name(training.study.name)
    with as_refusal(f"write candidates of {training.study.name}"):
        model = logged_model(client, client.get_run(best.run_id))
        _ensure(client, name)
        made = client.create_model_version(
            name,
            f"models:/{model.model_id}",
            run_id=best.run_id,
            model_id=model.model_id,
            tags={
                **(tags or {}),
                "training_run_id": training.run_id,
                "frame_id": training.frame_id,
                "recipe": best.recipe,
                "modality_set": best.modality_set,
                "sha256": folder_sha256(best.served),
            },
        )
        client.set_registered_model_alias(name, "challenger", made.version)
    return _version(training.study.name, made)


def with_alias(study: str, alias: Alias, *, store: Store) -> ModelVersion | None:
    """Version that an alias points at; None where there is none.

    Parameters
    ----------
    study
        Name of the study.
    alias
        ``challenger`` is looked up among the candidates.
    store
        Where they are registered.
    """
    if not store.exists:
        return None
    client, name = store.client(), registered_name(study, alias)
    with as_refusal(f"read {name}"):
        try:
            pointed = client.get_registered_model(name).aliases.get(alias)
        except mlflow.MlflowException as error:
            if missing(error):
                return None
            raise
        if pointed is None:
            return None
        return _version(study, client.get_model_version(name, str(pointed)))


def versions(study: str, *, store: Store) -> list[tuple[ModelVersion, tuple[str, ...]]]:
    """All versions of a study with their aliases: released ones, then candidates, newest first."""
    if not store.exists:
        return []
    client = store.client()
    found = []
    for name in (study, candidates_name(study)):
        with as_refusal(f"read {name}"):
            try:
                aliases = client.get_registered_model(name).aliases
            except mlflow.MlflowException as error:
                if missing(error):
                    continue
                raise
            rows = [
                _version(study, row) for row in client.search_model_versions(f"name = '{name}'")
            ]
        for row in sorted(rows, key=lambda r: -r.version):
            named = sorted(a for a, pointed in aliases.items() if int(pointed) == row.version)
            found.append((row, tuple(named)))
    return found


def copy_to_champion(
    candidate: ModelVersion, *, store: Store, tags: Mapping[str, str] | None = None
) -> ModelVersion:
    """Copy a candidate into the released models of its study and make it champion.

    The champion until now is ``previous`` from now on.

    Raises
    ------
    PromotionError
        If the candidate's files changed since it was registered, or the MLflow server lets this
        user release no models.
    """
    load_version(candidate, store=store)
    client, study = store.client(), candidate.study
    champion = with_alias(study, "champion", store=store)
    with as_refusal(f"release models of {study}"):
        _ensure(client, study)
        # Tags are written anew: those of the candidate are whatever a scientist wrote there.
        made = client.create_model_version(
            study,
            f"models:/{candidate.name}/{candidate.version}",
            run_id=candidate.model_run_id,
            tags={
                **(tags or {}),
                "training_run_id": candidate.training_run_id,
                "frame_id": candidate.frame_id,
                "recipe": candidate.recipe,
                "modality_set": candidate.modality_set,
                "sha256": candidate.sha256,
                "candidate_version": str(candidate.version),
            },
        )
        if champion is not None:
            client.set_registered_model_alias(study, "previous", str(champion.version))
        client.set_registered_model_alias(study, "champion", made.version)
    return _version(study, made)


def rollback_aliases(study: str, *, store: Store) -> tuple[ModelVersion, ModelVersion]:
    """Make the previous champion champion again; the two change places.

    Returns
    -------
    The champion from now on, and the one until now.

    Raises
    ------
    PromotionError
        If there is no previous champion, its files changed since it was released, or the MLflow
        server lets this user release no models.
    """
    champion = with_alias(study, "champion", store=store)
    previous = with_alias(study, "previous", store=store)
    if champion is None or previous is None:
        raise PromotionError(
            f"study {study} has no previous champion to roll back to",
            hint=f"What there is: oncoframe models {study}.",
        )
    load_version(previous, store=store)
    client = store.client()
    with as_refusal(f"release models of {study}"):
        client.set_registered_model_alias(study, "previous", str(champion.version))
        client.set_registered_model_alias(study, "champion", str(previous.version))
    return previous, champion


def _ensure(client: mlflow.MlflowClient, name: str) -> None:
    try:
        client.get_registered_model(name)
    except mlflow.MlflowException as error:
        if not missing(error):
            raise
        client.create_registered_model(name)


def _version(study: str, found: "mlflow.entities.model_registry.ModelVersion") -> ModelVersion:
    """Ours of MLflow's."""
    return ModelVersion.of_tags(
        study, found.name, found.version, found.run_id, found.creation_timestamp, found.tags
    )
