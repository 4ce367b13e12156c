"""The exceptions that a command turns into a message and an exit status."""


class CommandError(Exception):
    """The command cannot go on because of what it found in the cluster. The message says what to do."""


class RecordChangedError(Exception):
    """The record is no longer the one that was read: read it again."""


class HubNotConfiguredError(Exception):
    """The Hub's organisation or token is not configured. The message says what to set."""
