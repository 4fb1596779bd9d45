"""What can be wrong with the files that must not be lost. Each names its condition and what to do about it."""

from core.ports import JournalError, OutcomeUnknown

__all__ = [
    "CatalogueRefused",
    "CatalogueUpdateTorn",
    "CatalogueVersionOther",
    "DuplicateKey",
    "JournalClosed",
    "JournalDamaged",
    "JournalError",
    "JournalInUse",
    "JournalMissing",
    "JournalNewer",
    "JournalNoSpace",
    "JournalReadOnly",
    "KeyDenied",
    "KeyExposed",
    "KeyMissing",
    "KeyUnusable",
    "NotAJournal",
    "OutcomeUnknown",
    "SealUnopened",
    "WrongKey",
]


class WrongKey(JournalError):
    """The file is encrypted, and not with this key."""

    code = "journal-wrong-key"
    remedy = "Put back the key file that belongs to this file, or the file that belongs to this key."


class NotAJournal(JournalError):
    """The file is something else: not encrypted, or made by another program."""

    code = "journal-foreign"
    remedy = "Correct the path in terminal.toml; the file that is there was not touched."


class JournalMissing(JournalError, FileNotFoundError):
    """There is no such file."""

    code = "journal-missing"
    remedy = "Correct the path in terminal.toml, or start the terminal once."


class JournalInUse(JournalError, BlockingIOError):
    """Another daemon writes to it."""

    code = "journal-in-use"
    remedy = "Another terminald runs with this file: stop it first."


class JournalDamaged(JournalError):
    """The key fits, but the file is cut off or altered."""

    code = "journal-damaged"
    remedy = "Keep the file as it is, take the last backup, and call your technician."


class JournalNewer(JournalError):
    """A newer software made it."""

    code = "journal-newer"
    remedy = "Update the terminal's software: it is older than this file."


class JournalReadOnly(JournalError, PermissionError):
    """The file, or the folder that it lies in, cannot be written."""

    code = "journal-read-only"
    remedy = "Check the owner and the mode of the folder, and whether the card was mounted read-only after a fault."


class JournalNoSpace(JournalError):
    """The medium has no room left."""

    code = "journal-no-space"
    remedy = "Make room on the card: the terminal sells again by itself."


class JournalClosed(JournalError):
    """It was closed before."""

    code = "journal-closed"
    remedy = "The terminal is stopping; start it again."


class DuplicateKey(JournalError):
    """Something was kept under this idempotency key before; nothing was added."""

    code = "journal-duplicate-key"
    remedy = "This step was done before; nothing more is to be done."


class KeyMissing(JournalError, FileNotFoundError):
    """The key file is gone, and there is data that only it can open."""

    code = "key-missing"
    remedy = "Put back the key file, or restore from a backup with the recovery key. A new key cannot open old data."


class KeyExposed(JournalError, PermissionError):
    """Others than the owner may read the key file."""

    code = "key-exposed"
    remedy = "Set its mode to 0400 (chmod 0400), and ask yourself who has read it."


class KeyDenied(JournalError, PermissionError):
    """The key file belongs to another user."""

    code = "key-denied"
    remedy = "Run this as the user that terminald runs as."


class KeyUnusable(JournalError, ValueError):
    """The key file is not what this software wrote."""

    code = "key-unusable"
    remedy = "Put back the key file from your backup; a new key cannot open old data."


class SealUnopened(JournalError, ValueError):
    """What was sealed to the organisation's recovery key does not open with this private key."""

    code = "seal-unopened"
    remedy = "Take the private key that belongs to the recovery key named beside it; nothing was changed."


class CatalogueRefused(JournalError, ValueError):
    """A file of items has faults; `faults` names each with its line, and nothing of the file was taken."""

    code = "catalogue-refused"
    remedy = "Correct the named lines and import the file again; the shop sells from the old items meanwhile."

    def __init__(self, faults: tuple[str, ...], count: int = 0) -> None:
        """`count` is how many there are, where not all are named."""
        self.count = max(count, len(faults))
        more = self.count - len(faults)
        super().__init__("\n".join((*faults, f"and {more} more") if more else faults))
        self.faults = faults


class CatalogueUpdateTorn(JournalError, ValueError):
    """An update of the catalogue is not as headquarters wrote it; nothing of it was applied."""

    code = "catalogue-update-torn"
    remedy = "Fetch the update again; the shop sells from the catalogue as it was."


class CatalogueVersionOther(JournalError):
    """An update changes another version than the one that there is; nothing of it was applied."""

    code = "catalogue-version"
    remedy = "Apply the updates that are missing, in their order, or import the whole catalogue."
