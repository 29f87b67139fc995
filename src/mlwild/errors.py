"""Errors that a user can act on: what is wrong, where, and what to do."""


class MlwildError(Exception):
    """Base of every error that ML-wild raises on purpose."""


class AppError(MlwildError, ValueError):
    """A field of the app file is wrong; the message begins with the field's name."""


class DataError(MlwildError, ValueError):
    """The data cannot be used as they are; the message names column, row and value."""


class BlockedError(DataError):
    """The gate blocks what would answer; the message names the tests that are red."""


class StoreError(MlwildError, OSError):
    """Something could not be written to or read from the store on disk."""


class BusyError(MlwildError, RuntimeError):
    """Another process is already at work on the same app."""


class LookAheadError(MlwildError, RuntimeError):
    """A rule asked for something that was not known at its cutoff."""


class MissingPackageError(MlwildError, ImportError):
    """An optional package is needed and is not installed."""
