"""The errors of Vedette, all rooms.

    VedetteError                  something a user can mend; its text says what, where and how
    ├── ConfigError               a configuration or recipe is wrong            (exit code 2)
    ├── UsageError                the command was called in a way it cannot serve (exit code 2)
    ├── MissingExtraError         an optional dependency is not installed       (exit code 1)
    ├── DataError                 a dataset, video or label file cannot be used
    │   └── VideoError            one video cannot be opened or decoded
    ├── BundleError               a bundle cannot be trusted or does not fit
    │   ├── ManifestError         manifest.json is missing, malformed or of another schema
    │   ├── DigestError           a file is not the one that the manifest names
    │   └── ProofError            a model does not reproduce its expected outputs
    ├── RuntimeBackendError       an inference runtime cannot load or run a model
    ├── BrokerError               the MQTT broker cannot be reached or refuses us
    ├── OutboxError               the store of undelivered messages cannot be used
    └── UpdateError               an update cannot be trusted, fetched or stored
        └── TransportError        it did not come whole this time; the next visit tries again

Errors of libraries are mapped to these once, where the library is called, with the cause chained.
Doors (`edge-agent`, `vedette-train`, ...) print the text of a `VedetteError` on one line and exit
with its `exit_code`; every other exception is a defect of Vedette and keeps its traceback.
"""

from __future__ import annotations

__all__ = [
    "BrokerError",
    "BundleError",
    "ConfigError",
    "DataError",
    "DigestError",
    "ManifestError",
    "MissingExtraError",
    "OutboxError",
    "ProofError",
    "RuntimeBackendError",
    "TransportError",
    "UpdateError",
    "UsageError",
    "VedetteError",
    "VideoError",
]


class VedetteError(Exception):
    """Something that a user can mend; the message says what was found, expected, where, and what to do.

    Attributes:
        model: name in the configuration of the model that it is about; "" where it is about none.
    """

    exit_code = 1
    model = ""


class ConfigError(VedetteError):
    """A configuration file or recipe is wrong."""

    exit_code = 2


class UsageError(VedetteError):
    """A command was called with arguments that it cannot serve."""

    exit_code = 2


class MissingExtraError(VedetteError):
    """An optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        """Name the module that failed to import and the extra that brings it."""
        super().__init__(
            f"this needs '{module}', which is not installed: run  pip install 'vedette[{extra}]'"
        )
        self.module = module
        self.extra = extra


class DataError(VedetteError):
    """A dataset, video or label file cannot be used."""


class VideoError(DataError):
    """One video cannot be opened or decoded."""


class BundleError(VedetteError):
    """A bundle cannot be trusted, or does not fit what it is asked to do."""


class ManifestError(BundleError):
    """manifest.json is missing, malformed, or of a schema that this version does not read."""


class DigestError(BundleError):
    """A file of a bundle is not the file that the manifest names."""


class ProofError(BundleError):
    """A model does not reproduce the outputs that it was built to give."""


class RuntimeBackendError(VedetteError):
    """An inference runtime cannot load or run a model."""


class BrokerError(VedetteError):
    """The MQTT broker cannot be reached, or refuses this client."""


class UpdateError(VedetteError):
    """An update of a model cannot be trusted, fetched or stored; what runs goes on."""


class TransportError(UpdateError):
    """What is signed did not come, or could not be stored, this time; the next visit tries again."""


class OutboxError(VedetteError):
    """The store of undelivered messages cannot be opened or written."""
