"""The bytes of a model as they travel: forest, frequencies and manifest under one SHA-256 digest.

The digest is the promise: whatever is read from a bundle is what was registered. Loading does not rest on it alone:
nothing is ever unpickled, skops admits one type besides its own list, and the trees' indices are checked, because
scikit-learn follows them without looking.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from zipfile import BadZipFile

import msgspec
import numpy as np
import sklearn
import skops.io
from sklearn.ensemble import IsolationForest
from sklearn.tree import ExtraTreeRegressor
from skops.io.exceptions import UntrustedTypesFoundException

from models.errors import ModelDigestError, ModelError
from models.features import FEATURES
from models.forest import TrainedForest

__all__ = [
    "TRUSTED_TYPES",
    "Manifest",
    "ModelBundle",
    "Parts",
    "bundle_of",
    "digest_of",
    "load_forest",
    "pack",
    "parts_of",
    "read_manifest",
    "unpack",
]

TRUSTED_TYPES = ("sklearn.tree._tree.Tree",)
"""What a forest's file may hold besides the types skops trusts by itself. Never taken from the file."""

_FORMAT = 1
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class ModelBundle:
    """One model version ready to score with: picklable, about 1 MB for 200 trees and 5,000 reports."""

    version: str
    data: bytes

    def __repr__(self) -> str:
        return f"ModelBundle(version={self.version!r}, {len(self.data)} bytes)"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the forest's numbers mean; a human reads it as `manifest.json` beside the model."""

    format: int
    scikit_learn: str
    features: tuple[str, ...]
    medians: tuple[float, ...]
    unusual: float
    extreme: float


class Parts(msgspec.Struct, frozen=True):
    """The files of a model: manifest (JSON), forest (skops), frequencies (npz)."""

    manifest: bytes
    forest: bytes
    frequencies: bytes


def parts_of(trained: TrainedForest) -> Parts:
    """Write a trained forest's files."""
    manifest = Manifest(
        format=_FORMAT,
        scikit_learn=sklearn.__version__,
        features=FEATURES,
        medians=tuple(trained.medians.tolist()),
        unusual=trained.thresholds.unusual,
        extreme=trained.thresholds.extreme,
    )
    return Parts(
        manifest=msgspec.json.format(msgspec.json.encode(manifest)),
        forest=skops.io.dumps(trained.forest),
        frequencies=trained.frequencies.to_bytes(),
    )


def bundle_of(trained: TrainedForest, version: str) -> ModelBundle:
    """Bundle a forest that is in no registry, under a version of the caller's choice."""
    return ModelBundle(version, pack(parts_of(trained)))


def digest_of(parts: Parts) -> str:
    """SHA-256 over all files of a model, 64 hexadecimal digits."""
    return sha256(msgspec.msgpack.encode(parts)).hexdigest()


def pack(parts: Parts) -> bytes:
    """Digest and compressed files in one."""
    return bytes.fromhex(digest_of(parts)) + zlib.compress(msgspec.msgpack.encode(parts))


def unpack(data: bytes) -> Parts:
    """Take the files out of `pack`'s bytes; raises ModelDigestError unless they are exactly what was packed.

    Raises ModelError when another version of this code packed them.
    """
    try:
        content = zlib.decompress(data[_DIGEST_BYTES:])
    except zlib.error as error:
        raise ModelDigestError("The model's bundle is damaged. Fetch it again from the registry.") from error
    if sha256(content).digest() != data[:_DIGEST_BYTES]:
        raise ModelDigestError("The model's bundle does not match its digest. Fetch it again from the registry.")
    try:
        return msgspec.msgpack.decode(content, type=Parts)
    except msgspec.DecodeError as error:
        raise ModelError("The bundle has another layout than this version reads. Train the model again.") from error


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest and check that this code computes what the forest was trained on; raises ModelError."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError as error:
        raise ModelError("The model's manifest cannot be read. Train and register the model again.") from error
    if manifest.format != _FORMAT or manifest.features != FEATURES or len(manifest.medians) != len(FEATURES):
        raise ModelError("The model was trained on other features than this version computes. Train it again.")
    if manifest.scikit_learn.split(".")[:2] != sklearn.__version__.split(".")[:2]:
        raise ModelError(
            f"The model was trained with scikit-learn {manifest.scikit_learn}, here is {sklearn.__version__}."
            " Train it again, or install that version."
        )
    return manifest


def load_forest(data: bytes) -> IsolationForest:
    """Load a forest from skops bytes, admitting only TRUSTED_TYPES and sound trees; raises ModelError."""
    try:
        forest = skops.io.loads(data, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise ModelError("The model's file holds types that a forest has no use for: refused.") from error
    except (BadZipFile, OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise ModelError("The model's file is no forest that can be read. Train it again.") from error
    if not isinstance(forest, IsolationForest) or not _is_sound(forest):
        raise ModelError("The model's file holds no sound isolation forest. Train and register the model again.")
    return forest


def _is_sound(forest: IsolationForest) -> bool:
    trees = getattr(forest, "estimators_", ())
    return (
        getattr(forest, "n_features_in_", 0) == len(FEATURES)
        and len(trees) > 0
        and all(isinstance(tree, ExtraTreeRegressor) and _is_sound_tree(tree) for tree in trees)
    )


def _is_sound_tree(regressor: ExtraTreeRegressor) -> bool:
    """Every inner node leads to two later nodes that exist, by a feature that exists: no crash, no endless walk."""
    tree = regressor.tree_
    node = np.flatnonzero(tree.children_left != -1)
    left, right, feature = tree.children_left[node], tree.children_right[node], tree.feature[node]
    return bool(
        tree.node_count > 0
        and np.all((node < left) & (left < tree.node_count))
        and np.all((node < right) & (right < tree.node_count))
        and np.all((feature >= 0) & (feature < len(FEATURES)))
    )
