"""Everything MLflow: register a trained forest, say which version is champion, promote one, fetch its bundle.

A model version is a logged scikit-learn model in skops format with our `manifest.json` and `frequencies.npz` beside it,
and a tag with the SHA-256 over all three. The tag is written with the version and the alias last, so that no reader
ever sees a champion whose digest is missing. MLflow's own loading is never used: it trusts the types that the model's
own file lists.

MLflow is imported on first use, for it takes seconds; its telemetry is off and its logs are quiet from then on.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import sklearn
from numpy.typing import NDArray
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from expectations.report import Report
from models.bundle import TRUSTED_TYPES, ModelBundle, Parts, digest_of, pack, parts_of
from models.errors import ModelDigestError, ModelError, RegistryUnavailableError
from models.features import FEATURES, feature_matrix
from models.forest import TrainedForest

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "ModelVersion",
    "RegistrySettings",
    "champion",
    "fetch",
    "promote",
    "register",
    "versions",
]

CHAMPION = "champion"
"""Alias of the version that scores."""
CHALLENGER = "challenger"
"""Alias of the latest version registered without promoting it."""

_DIGEST_TAG = "reactionwatch_sha256"
_SOURCE_TAG = "reactionwatch_training_source"
_EXPERIMENT = "reactionwatch"
_MODEL_NAME = "forest"
_FOREST_FILE = "model.skops"
_MANIFEST_FILE = "manifest.json"
_FREQUENCIES_FILE = "frequencies.npz"
_EXAMPLE_ROWS = 5

_MLFLOW_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # A batch waits for `champion`: MLflow's own defaults keep it for minutes when a server is away.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class RegistrySettings:
    """Where runs and models are kept. `model_name` has three parts (catalog.schema.model) for Unity Catalog."""

    tracking_uri: str
    registry_uri: str | None
    model_name: str

    def __repr__(self) -> str:
        registry = None if self.registry_uri is None else _masked(self.registry_uri, self)
        return (
            f"RegistrySettings(tracking_uri={_masked(self.tracking_uri, self)!r}, registry_uri={registry!r},"
            f" model_name={self.model_name!r})"
        )


@dataclass(frozen=True)
class ModelVersion:
    """One registered version; `digest` is the SHA-256 its bytes must have, in hexadecimal."""

    name: str
    version: str
    digest: str
    run_id: str | None


def register(
    trained: TrainedForest,
    reports_sample: Sequence[Report],
    settings: RegistrySettings,
    *,
    promote: bool = True,
    training_source: str,
) -> ModelVersion:
    """Log and register a trained forest, in this order.

    1. A run with parameters, metrics and the model; feature rows of the first reports of the sample, never report
       text, are its input example. 2. Read the stored files back and compare their digest. 3. Create the version,
    with the digest. 4. Move the alias: `champion`, or `challenger` when `promote` is false.

    `training_source` says in words where the reports came from. Raises RegistryUnavailableError when the registry
    does not do its part (the alias has not moved then), ModelDigestError when it stored other files than it was given.
    """
    example = feature_matrix(list(reports_sample[:_EXAMPLE_ROWS]), trained.frequencies)
    _create_database_folder(settings)
    with _registry(settings) as mlflow, TemporaryDirectory() as folder:
        client = _client(mlflow, settings)
        run_id, model, digest = _log(mlflow, client, settings, trained, example, training_source, Path(folder))
        if digest_of(_download(mlflow, model.artifact_location, settings)) != digest:
            raise ModelDigestError("The model's files were changed while they were stored. Register the model again.")
        _create_registered_model(mlflow, client, settings.model_name)
        tags = {_DIGEST_TAG: digest, _SOURCE_TAG: training_source}
        created = client.create_model_version(
            settings.model_name, source=model.artifact_location, run_id=run_id, model_id=model.model_id, tags=tags
        )
        alias = CHAMPION if promote else CHALLENGER
        client.set_registered_model_alias(settings.model_name, alias, str(created.version))
        return _version(created, tags)


def champion(settings: RegistrySettings) -> ModelVersion | None:
    """The version that scores, or None when there is no such model or alias; creates nothing.

    A few milliseconds against a local registry, once MLflow is imported. Raises RegistryUnavailableError when the
    registry gives no answer, ModelError when the champion was not registered by us.
    """
    if _has_no_database(settings):
        return None
    with _registry(settings) as mlflow:
        client = _client(mlflow, settings)
        try:
            found = client.get_model_version_by_alias(settings.model_name, CHAMPION)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            # The SQL stores say INVALID_PARAMETER_VALUE for an alias that is not there, and for much else.
            if error.error_code == "INVALID_PARAMETER_VALUE" and CHAMPION not in _aliases(client, settings):
                return None
            raise
        return _version(found, found.tags)


def promote(settings: RegistrySettings, version: str) -> ModelVersion:
    """Make a version the champion: it scores from the next batch on. Raises ModelError when there is none such."""
    if _has_no_database(settings):
        raise ModelError(f"There is no model {settings.model_name} yet: train one first.")
    with _registry(settings) as mlflow:
        client = _client(mlflow, settings)
        try:
            found = client.get_model_version(settings.model_name, version)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise ModelError(f"Model {settings.model_name} has no version {version}.") from None
            raise
        ours = _version(found, found.tags)
        client.set_registered_model_alias(settings.model_name, CHAMPION, version)
        return ours


def versions(settings: RegistrySettings) -> list[ModelVersion]:
    """The versions that can be promoted, newest first; those that others registered under the name are left out."""
    if _has_no_database(settings):
        return []
    with _registry(settings) as mlflow:
        client = _client(mlflow, settings)
        names = client.search_model_versions(f"name = '{settings.model_name}'")
        # Asked one by one: Unity Catalog's search leaves tags out.
        found = [client.get_model_version(v.name, str(v.version)) for v in names]
        ours = [_version(v, v.tags) for v in found if _DIGEST_TAG in v.tags]
        return sorted(ours, key=lambda v: int(v.version), reverse=True)


def fetch(settings: RegistrySettings, version: ModelVersion) -> ModelBundle:
    """Download a version and bundle it; `ModelBundle.version` is the registry's version number.

    Raises ModelDigestError when a file is missing or changed, RegistryUnavailableError when nothing can be downloaded.
    """
    with _registry(settings) as mlflow:
        parts = _download(mlflow, _location(mlflow, settings, version), settings)
    if digest_of(parts) != version.digest:
        raise ModelDigestError(
            f"Version {version.version} of model {version.name} does not match its digest: it was changed after it was"
            " registered. Do not use it; promote another version."
        )
    return ModelBundle(version.version, pack(parts))


@contextmanager
def _registry(settings: RegistrySettings) -> Iterator[Any]:
    """MLflow, quiet; its troubles become RegistryUnavailableError without the secrets of an address."""
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    for name, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow
    import mlflow.artifacts
    import mlflow.entities
    import mlflow.exceptions
    import mlflow.models
    import mlflow.sklearn

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        yield mlflow
    except (mlflow.exceptions.MlflowException, SQLAlchemyError, OSError) as error:
        # `from None`: the cause's text holds the address as it was given.
        told = _masked(" ".join(str(error).split()), settings)[:300]
        raise RegistryUnavailableError(
            f"The model registry gave no answer ({type(error).__name__}: {told})."
            " Check the tracking and registry addresses and that the server runs."
        ) from None


def _log(
    mlflow: Any,
    client: Any,
    settings: RegistrySettings,
    trained: TrainedForest,
    example: NDArray[np.float64],
    training_source: str,
    folder: Path,
) -> tuple[str, Any, str]:
    """Log a run and its model through the client: MLflow's fluent functions would change process-wide addresses.

    Returns the run's id, MLflow's logged model and the digest of its files.
    """
    experiment = _experiment(client, settings)
    run_id = client.create_run(experiment, tags={_SOURCE_TAG: training_source}).info.run_id
    try:
        for name, value in trained.params.items():
            client.log_param(run_id, name, value)
        for name, value in trained.metrics.items():
            client.log_metric(run_id, name, value)
        model = client.create_logged_model(experiment, name=_MODEL_NAME, source_run_id=run_id)
        client.log_outputs(run_id, [mlflow.entities.LoggedModelOutput(model.model_id, step=0)])
        _save(mlflow, trained, example, folder / "model", run_id, model)
        digest = digest_of(_read(folder / "model"))
        client.log_model_artifacts(model.model_id, str(folder / "model"))
        client.finalize_logged_model(model.model_id, "READY")
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
    return run_id, model, digest


def _save(
    mlflow: Any, trained: TrainedForest, example: NDArray[np.float64], path: Path, run_id: str, model: Any
) -> None:
    """Write the model's folder: MLflow's own files and ours."""
    import pandas as pd

    parts = parts_of(trained)
    (path.parent / _MANIFEST_FILE).write_bytes(parts.manifest)
    (path.parent / _FREQUENCIES_FILE).write_bytes(parts.frequencies)
    rows = pd.DataFrame(example, columns=list(FEATURES))
    with warnings.catch_warnings():
        # Told about MLflow's own types, on the first import of its pyfunc.
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType")
        mlflow.sklearn.save_model(
            trained.forest,
            path,
            mlflow_model=mlflow.models.Model(
                artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
            ),
            # Named, for against a Databricks server MLflow would pickle.
            serialization_format="skops",
            skops_trusted_types=list(TRUSTED_TYPES),
            signature=mlflow.models.infer_signature(rows, trained.forest.predict(example)),
            input_example=rows,
            # Named, for MLflow would otherwise load the model in another process to find them.
            pip_requirements=[f"scikit-learn=={sklearn.__version__}", "skops"],
            extra_files=[str(path.parent / _MANIFEST_FILE), str(path.parent / _FREQUENCIES_FILE)],
        )


def _registry_uri(settings: RegistrySettings) -> str:
    """Never MLflow's process-wide default. Databricks keeps models in Unity Catalog unless told otherwise."""
    if settings.registry_uri is not None:
        return settings.registry_uri
    scheme, colon, profile = settings.tracking_uri.partition(":")
    return f"databricks-uc{colon}{profile}" if scheme == "databricks" else settings.tracking_uri


def _client(mlflow: Any, settings: RegistrySettings) -> Any:
    return mlflow.MlflowClient(tracking_uri=settings.tracking_uri, registry_uri=_registry_uri(settings))


def _experiment(client: Any, settings: RegistrySettings) -> str:
    """Id of our experiment. Its artifacts lie beside a local database; a server decides for itself."""
    # Databricks wants a workspace path.
    name = f"/Shared/{_EXPERIMENT}" if settings.tracking_uri.startswith("databricks") else _EXPERIMENT
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    database = _database_file(settings.tracking_uri)
    location = None if database is None else (database.parent / "mlartifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _create_registered_model(mlflow: Any, client: Any, name: str) -> None:
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
            raise


def _aliases(client: Any, settings: RegistrySettings) -> dict[str, str]:
    return dict(client.get_registered_model(settings.model_name).aliases)


def _version(found: Any, tags: dict[str, str]) -> ModelVersion:
    if _DIGEST_TAG not in tags:
        raise ModelError(
            f"Version {found.version} of model {found.name} has no digest: it was not registered by reactionwatch."
            " Train and register one, or promote another version."
        )
    return ModelVersion(
        name=found.name, version=str(found.version), digest=tags[_DIGEST_TAG], run_id=found.run_id or None
    )


def _location(mlflow: Any, settings: RegistrySettings, version: ModelVersion) -> str:
    """Address of a version's files. MLflow resolves `models:/` by its process-wide addresses, except on Databricks."""
    if _registry_uri(settings).startswith("databricks"):
        return f"models:/{version.name}/{version.version}"
    return str(_client(mlflow, settings).get_model_version_download_uri(version.name, version.version))


def _download(mlflow: Any, uri: str, settings: RegistrySettings) -> Parts:
    with TemporaryDirectory() as folder:
        root = mlflow.artifacts.download_artifacts(
            artifact_uri=uri,
            dst_path=folder,
            tracking_uri=settings.tracking_uri,
            registry_uri=_registry_uri(settings),
        )
        return _read(Path(root))


def _read(root: Path) -> Parts:
    try:
        return Parts(
            manifest=(root / "extra_files" / _MANIFEST_FILE).read_bytes(),
            forest=(root / _FOREST_FILE).read_bytes(),
            frequencies=(root / "extra_files" / _FREQUENCIES_FILE).read_bytes(),
        )
    except FileNotFoundError:
        raise ModelDigestError(
            "The model's files are incomplete. Promote another version, or train and register again."
        ) from None


def _database_file(uri: str) -> Path | None:
    """The file behind a `sqlite:///` address, absolute; None for any other address."""
    if not uri.startswith("sqlite:"):
        return None
    name = make_url(uri).database
    return Path(name).absolute() if name and name != ":memory:" else None


def _has_no_database(settings: RegistrySettings) -> bool:
    """Whether the registry is a local file that does not exist: MLflow would create it, taking seconds."""
    file = _database_file(_registry_uri(settings))
    return file is not None and not file.exists()


def _create_database_folder(settings: RegistrySettings) -> None:
    for uri in (settings.tracking_uri, settings.registry_uri):
        file = None if uri is None else _database_file(uri)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)


def _masked(text: str, settings: RegistrySettings) -> str:
    for uri in (settings.tracking_uri, settings.registry_uri):
        user, at, _ = urlsplit(uri or "").netloc.rpartition("@")
        if at:
            text = text.replace(user, "***").replace(unquote(user), "***")
    return text
