"""Files of a version: hashed when it is registered, held against that hash before it is asked.

ModelVersion -> its files, if they are still those -> ServedModel
"""

from hashlib import sha256
from pathlib import Path

from ml.promotion.comparison import Champion
from ml.registry.model_version import ModelVersion
from ml.registry.store import Store
from ml.registry.tracker import as_refusal
from ml.registry.trainings import training_of_run
from ml.serving.model import OlderForm, ServedModel, load_served
from ml.training.stored import StoredModel, StoredTraining
from oncoframe.errors import PromotionError

#: Where MLflow puts what :meth:`ml.serving.model.ServedModel.save` wrote.
_SERVED = Path("data") / "served"


def load_version(version: ModelVersion, *, store: Store) -> ServedModel:
    """Model of a version, ready to be asked.

    Raises
    ------
    PromotionError
        If its files are not those that were registered.
    """
    folder = served_folder(version, store=store)
    found = folder_sha256(folder)
    if found != version.sha256:
        raise PromotionError(
            "the files of the model are not those that were registered",
            where=version.label,
            expected=version.sha256,
            got=found,
            hint="Register it again from its training, or roll back: oncoframe rollback.",
        )
    return load_served(folder)


def opened(version: ModelVersion, *, store: Store) -> Champion:
    """A version with its training, to be held against others.

    Raises
    ------
    PromotionError
        If it was registered by other means, or its files changed.
    StudyError
        If its training is gone.
    """
    training = training_of_run(version.training_run_id, store=store)
    model = _model_of(version, training)
    try:
        return Champion(training, model, load_version(version, store=store))
    except OlderForm:
        return Champion(training, model, None)


def files_hold(version: ModelVersion, training: StoredTraining, *, store: Store) -> bool:
    """Whether a version's files are those registered, and those of its training."""
    model = _model_of(version, training)
    found = {folder_sha256(served_folder(version, store=store))}
    if model.served is not None:
        found.add(folder_sha256(model.served))
    return found == {version.sha256}


def served_folder(version: ModelVersion, *, store: Store) -> Path:
    """Folder of the files that are asked; those of a server are downloaded."""
    with as_refusal(f"read {version.name}"):
        uri = store.client().get_model_version_download_uri(version.name, str(version.version))
        return store.local(uri, f"{version.name}-{version.version}") / _SERVED


def folder_sha256(folder: Path) -> str:
    """SHA-256 over names and content of all files below a folder."""
    digest = sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\n".encode())
        digest.update(sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _model_of(version: ModelVersion, training: StoredTraining) -> StoredModel:
    for model in training.models:
        if model.run_id == version.model_run_id and training.frame_id == version.frame_id:
            return model
    raise PromotionError(
        "the version is not of the training that it names",
        where=version.label,
        hint="It was registered by other means; training registers a new one.",
    )
