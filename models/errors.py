"""What can go wrong with a model, and what to do about it.

    ModelError                    it cannot be trained or used: the message names the remedy
    ├── ModelDigestError          its bytes are not the ones that were registered: never scored with
    └── RegistryUnavailableError  the registry did not answer: keep the model in use, ask again later

No message carries report text.
"""

from __future__ import annotations

__all__ = ["ModelDigestError", "ModelError", "RegistryUnavailableError"]


class ModelError(Exception):
    """A model cannot be trained, registered or used."""


class ModelDigestError(ModelError):
    """A model's bytes differ from those its digest was taken over: damaged or tampered with."""


class RegistryUnavailableError(ModelError):
    """The model registry did not give an answer. Nothing is known about its models; a later call may succeed."""
