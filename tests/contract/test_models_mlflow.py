"""The registry against a real MLflow on SQLite: one database for the whole file, its migration takes seconds."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from expectations.report import Report, ReportedDrug, ReportedReaction
from models.bundle import bundle_of
from models.errors import ModelDigestError, ModelError, RegistryUnavailableError
from models.features import FEATURES
from models.forest import TrainedForest, train
from models.registry import (
    CHALLENGER,
    ModelVersion,
    RegistrySettings,
    champion,
    fetch,
    promote,
    register,
    versions,
)
from models.scorer import Scorer

# MLflow 3.17 maps a relation with a loader strategy that SQLAlchemy 2.1 deprecates.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning"
)


def some_reports(n: int) -> list[Report]:
    rng = np.random.default_rng(0)
    return [
        Report(
            safetyreportid=str(i),
            version=1,
            digest=bytes(32),
            receivedate=dt.date(2024, 1, 1),
            receiptdate=dt.date(2024, 1, 1) + dt.timedelta(days=int(rng.exponential(10))),
            receipt_time=None,
            transmissiondate=None,
            serious=True,
            seriousness=(),
            age_years=float(rng.normal(55, 15)),
            sex=int(rng.integers(1, 3)),
            weight_kg=None,
            qualification=None,
            country=None,
            sender=None,
            company_number=None,
            duplicate_numbers=(),
            drugs=(ReportedDrug(f"SECRET DRUG {rng.integers(20)}", None, 1, None),),
            reactions=(ReportedReaction(f"SECRET TERM {rng.integers(20)}", None),),
            narrative_length=0,
            unknown_fields=0,
        )
        for i in range(n)
    ]


REPORTS = some_reports(300)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "made on first use"


@pytest.fixture(scope="module")
def registry(folder: Path) -> RegistrySettings:
    return RegistrySettings(f"sqlite:///{folder / 'mlflow.db'}", None, "forest")


@pytest.fixture(scope="module")
def trained() -> TrainedForest:
    return train(REPORTS, trees=10)


@pytest.fixture(scope="module")
def first(registry: RegistrySettings, trained: TrainedForest) -> ModelVersion:
    return register(trained, REPORTS, registry, training_source="made for this test")


@pytest.fixture
def settings(registry: RegistrySettings, first: ModelVersion) -> Iterator[RegistrySettings]:
    """The registry with version 1 as champion, before and after."""
    yield registry
    promote(registry, first.version)


@pytest.fixture
def client(settings: RegistrySettings) -> object:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=settings.tracking_uri)


def test_a_registry_that_does_not_exist_has_no_champion_and_is_not_created(tmp_path: Path) -> None:
    settings = RegistrySettings(f"sqlite:///{tmp_path / 'mlflow.db'}", None, "forest")
    assert champion(settings) is None
    assert versions(settings) == []
    with pytest.raises(ModelError, match="train one first"):
        promote(settings, "1")
    assert list(tmp_path.iterdir()) == []


def test_a_registered_forest_is_champion(settings: RegistrySettings, first: ModelVersion) -> None:
    assert champion(settings) == first
    assert (first.name, first.version, len(first.digest)) == ("forest", "1", 64)


def test_a_fetched_bundle_scores_as_the_forest_in_memory(
    settings: RegistrySettings, first: ModelVersion, trained: TrainedForest
) -> None:
    bundle = fetch(settings, first)
    assert bundle.version == first.version
    fetched, memory = (Scorer(b).score(REPORTS) for b in (bundle, bundle_of(trained, "1")))
    assert np.array_equal(fetched.score, memory.score)
    assert np.array_equal(fetched.level, memory.level)
    assert fetched.reasons == memory.reasons


def test_a_challenger_leaves_the_champion_until_it_is_promoted(
    settings: RegistrySettings, first: ModelVersion, trained: TrainedForest, client: object
) -> None:
    second = register(trained, REPORTS, settings, promote=False, training_source="made for this test")
    assert champion(settings) == first
    assert str(client.get_model_version_by_alias("forest", CHALLENGER).version) == second.version
    assert promote(settings, second.version) == second
    assert champion(settings) == second
    assert versions(settings)[:2] == [second, first]


def test_a_run_tells_how_the_forest_was_trained(
    settings: RegistrySettings, first: ModelVersion, trained: TrainedForest, client: object
) -> None:
    run = client.get_run(first.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == trained.metrics
    assert run.data.params == {name: str(value) for name, value in trained.params.items()}
    assert run.data.tags["reactionwatch_training_source"] == "made for this test"


def test_the_model_has_signature_and_example_but_no_report_text(first: ModelVersion, folder: Path) -> None:
    import mlflow.models

    (stored, *_) = (folder / "mlartifacts" / "models").glob("*/artifacts")
    model = mlflow.models.Model.load(stored)
    assert tuple(model.signature.inputs.input_names()) == FEATURES
    assert (stored / "input_example.json").exists()
    for file in stored.rglob("*"):
        assert file.is_dir() or b"SECRET" not in file.read_bytes()


def test_a_version_whose_files_were_changed_is_refused(
    settings: RegistrySettings, trained: TrainedForest, folder: Path
) -> None:
    before = set((folder / "mlartifacts" / "models").iterdir())
    version = register(trained, REPORTS, settings, promote=False, training_source="made for this test")
    (stored,) = set((folder / "mlartifacts" / "models").iterdir()) - before
    manifest = stored / "artifacts" / "extra_files" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"extreme", b"Extreme"))
    with pytest.raises(ModelDigestError, match="does not match its digest"):
        fetch(settings, version)
    manifest.unlink()
    with pytest.raises(ModelDigestError, match="incomplete"):
        fetch(settings, version)
    shutil.rmtree(stored)
    with pytest.raises(RegistryUnavailableError):
        fetch(settings, version)


def test_a_version_that_does_not_exist_cannot_be_promoted(settings: RegistrySettings, first: ModelVersion) -> None:
    for version in ("999", "latest"):
        with pytest.raises(ModelError, match=f"no version {version}"):
            promote(settings, version)
    assert champion(settings) == first


def test_another_model_name_has_no_champion(settings: RegistrySettings) -> None:
    assert champion(replace(settings, model_name="no such model")) is None


def test_a_model_without_the_alias_has_no_champion(settings: RegistrySettings, client: object) -> None:
    client.create_registered_model("without alias")
    assert champion(replace(settings, model_name="without alias")) is None


def test_a_name_that_the_registry_refuses_is_not_taken_for_a_missing_model(settings: RegistrySettings) -> None:
    with pytest.raises(RegistryUnavailableError):
        champion(replace(settings, model_name="a/b:c"))


def test_a_champion_that_others_registered_is_refused(settings: RegistrySettings, client: object) -> None:
    client.create_registered_model("foreign")
    client.create_model_version("foreign", source="file:///nowhere")
    client.set_registered_model_alias("foreign", "champion", "1")
    foreign = replace(settings, model_name="foreign")
    with pytest.raises(ModelError, match="no digest"):
        champion(foreign)
    assert versions(foreign) == []


def test_an_unreachable_server_is_unavailable_and_its_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    settings = RegistrySettings("http://officer:hunter2@127.0.0.1:9", None, "forest")
    with pytest.raises(RegistryUnavailableError) as caught:
        champion(settings)
    for text in (str(caught.value), repr(settings)):
        assert "hunter2" not in text
        assert "127.0.0.1" in text
    assert caught.value.__cause__ is None


def test_registering_prints_nothing_writes_nothing_here_and_reads_no_pickle(tmp_path: Path, folder: Path) -> None:
    """In a process of its own: MLflow's output and its default folders depend on where it starts."""
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_models_mlflow as t
settings = t.RegistrySettings({f"sqlite:///{folder / 'mlflow.db'}"!r}, None, "quiet")
version = t.register(t.train(t.REPORTS, trees=5), t.REPORTS, settings, training_source="here")
t.fetch(settings, t.champion(settings))
assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
assert "MLFLOW_TRACKING_URI" not in os.environ
import mlflow.telemetry.client
assert mlflow.telemetry.client.get_telemetry_client() is None
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
