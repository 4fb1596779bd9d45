"""What can be wrong with the files that must not be lost. Each names its condition and what to do about it."""

from core.ports import JournalError, OutcomeUnknown

__all__ = [
    "AdoptionRefused",
    "AdoptionUnfinished",
    "CatalogueRefused",
    "CatalogueUpdateTorn",
    "CatalogueVersionOther",
    "CredentialMissing",
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
    "KeyTaken",
    "KeyTierOther",
    "KeyUnusable",
    "KeyringDamaged",
    "KeyringForeign",
    "MirrorAhead",
    "MirrorAltered",
    "MirrorForeign",
    "MirrorGone",
    "MirrorLied",
    "MirrorMissing",
    "MirrorSealless",
    "MirrorUnreadable",
    "MirrorWrongKey",
    "NotAJournal",
    "OrderRefused",
    "OutcomeUnknown",
    "PassphraseWrong",
    "RecoveryKeyUnusable",
    "RecoveryUnset",
    "SealUnopened",
    "TamperLatched",
    "TpmGone",
    "TpmRefused",
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
    remedy = (
        "Put back the key file, or run `terminald keys recover` with the organisation's recovery key. A new key cannot"
        " open old data."
    )


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


class CredentialMissing(KeyMissing):
    """systemd did not hand the root key over to this process."""

    code = "credential-missing"
    remedy = (
        "Check LoadCredentialEncrypted=terminal-root in the unit. The name is encrypted with it: one that was made for"
        " another name is refused. On the command line, run this by systemd-run with the same setting."
    )


class KeyTaken(JournalError, FileExistsError):
    """A key was to be written where a file is already; it was not touched."""

    code = "key-taken"
    remedy = "Name another file: a key is never written over."


class KeyTierOther(JournalError):
    """The root key does not come from where [keys] source says, but from somewhere else."""

    code = "key-tier-other"
    remedy = "Stop the daemon and run `terminald keys rotate`: it moves the keys there. Or correct [keys] source."


class KeyringDamaged(KeyUnusable):
    """The keyring and its copy are cut off or altered."""

    code = "keyring-damaged"
    remedy = "Put back the keyring from a copy of this folder; a new one cannot open old data."


class KeyringForeign(KeyUnusable):
    """The root key and the keyring do not belong together."""

    code = "keyring-foreign"
    remedy = (
        "Put back the key file, or the keyring, that belongs to this terminal. After a change of the board, run"
        " `terminald keys recover` with the organisation's recovery key."
    )


class PassphraseWrong(JournalError, ValueError):
    """The passphrase does not open the recovery key's file."""

    code = "passphrase-wrong"
    remedy = "Type it again; nothing was changed."


class RecoveryKeyUnusable(KeyUnusable):
    """The organisation's recovery key is not one."""

    code = "recovery-key-unusable"
    remedy = "Take the key as `terminald keys make-recovery` printed it."


class RecoveryUnset(JournalError):
    """The keys were never sealed to a recovery key of the organisation."""

    code = "recovery-unset"
    remedy = (
        "Only this terminal's own root key opens them. Set [keys] recovery_key on each terminal before it is needed."
    )


class TpmGone(JournalError):
    """There is no TPM, it does not answer, or the programs to use it are not installed."""

    code = "tpm-gone"
    remedy = (
        "Install tpm2-tools, and check that /dev/tpmrm0 is there and open to this user. Where the TPM is gone for good,"
        " run `terminald keys recover` with the organisation's recovery key."
    )


class TpmRefused(JournalError):
    """The TPM does not give the root key out."""

    code = "tpm-refused"
    remedy = (
        "It is another TPM, it was cleared, or the machine was started by other software than when the key was sealed."
        " Start it as it was, or run `terminald keys recover` with the organisation's recovery key."
    )


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


class MirrorMissing(JournalError, FileNotFoundError):
    """There is no mirror of a terminal in this folder."""

    code = "mirror-missing"
    remedy = "Plug in the second medium of the terminal that is to be replaced, and name its folder."


class MirrorUnreadable(JournalError):
    """A file of the second medium is cut off at its beginning, or is not of this software."""

    code = "mirror-unreadable"
    remedy = (
        "Keep the medium as it is. If its terminal still runs, leave it to write a new file; else call your technician."
    )


class MirrorAltered(JournalError):
    """A part of the second medium's file is damaged, and good parts follow it."""

    code = "mirror-altered"
    remedy = "Keep the medium. `--salvage` takes what stands before the damage; what follows is named, and is left out."


class MirrorWrongKey(JournalError):
    """The second medium was sealed to another recovery key, or the code is for another medium."""

    code = "mirror-wrong-key"
    remedy = "Take the recovery key that is named beside it, or ask headquarters for the code of this very medium."


class MirrorForeign(JournalError):
    """The medium holds sales of another terminal, or of this terminal's successor. It was not touched."""

    code = "mirror-foreign"
    remedy = "Plug in this terminal's own medium or an empty one; `terminald adopt` takes over what is on this one."


class MirrorAhead(JournalError):
    """The medium holds records that this terminal's journal does not have. It was not touched."""

    code = "mirror-ahead"
    remedy = "This terminal went back in time: stop it, and take the records over with `terminald adopt`."


class MirrorLied(JournalError):
    """What the medium said that it had kept is not on it."""

    code = "mirror-lied"
    remedy = "Throw this medium away and plug in another one."


class MirrorGone(JournalError, ConnectionError):
    """The second medium was taken out."""

    code = "mirror-gone"
    remedy = "Plug it in again."


class MirrorSealless(JournalError):
    """No recovery key of the organisation is set, so nobody else could open a second medium."""

    code = "mirror-sealless"
    remedy = "Set [keys] recovery_key, then start the terminal again."


class AdoptionRefused(JournalError):
    """What is on the second medium cannot be taken over here, or not now; nothing was changed."""

    code = "adoption-refused"
    remedy = "See what is said, and run the command again."


class AdoptionUnfinished(JournalError):
    """A terminal began to take over from another one and did not come to the end."""

    code = "adoption-unfinished"
    remedy = "Run the same `terminald adopt` again: it finishes what it began."


class BackupTargetMissing(JournalError, FileNotFoundError):
    """The folder for backups is not there."""

    code = "backup-target-missing"
    remedy = "Plug in the medium for backups, or correct [backup] path. Sales go on."


class BackupNoRoom(JournalError):
    """The medium for backups has no room for another one; the newest good one was kept."""

    code = "backup-no-room"
    remedy = "Make room on the medium for backups, take a larger one, or lower [backup] keep. Sales go on."


class BackupReadOnly(JournalError, PermissionError):
    """The medium for backups cannot be written."""

    code = "backup-read-only"
    remedy = "Look for the medium's own switch, its owner and mode, or take another medium. Sales go on."


class BackupTargetLost(JournalError, ConnectionError):
    """The medium for backups was pulled out or failed while a backup was written."""

    code = "backup-target-lost"
    remedy = "Plug it in again: the next backup begins anew. If it comes again, take another medium. Sales go on."


class BackupTooSlow(JournalError, TimeoutError):
    """The medium for backups did not take a backup in time."""

    code = "backup-too-slow"
    remedy = "Take a faster medium. Sales go on."


class BackupInUse(JournalError, BlockingIOError):
    """Another backup of this terminal is being written to this folder."""

    code = "backup-in-use"
    remedy = "Wait until it has ended."


class BackupUnfit(JournalError):
    """What was written does not prove to be a whole copy when it is read back; it does not count as a backup."""

    code = "backup-unfit"
    remedy = "If it comes again, take another medium, and run `terminald journal verify`. Sales go on."


class BackupMissing(JournalError, FileNotFoundError):
    """There is no backup of this terminal in this folder."""

    code = "backup-missing"
    remedy = "Name the folder that [backup] path named, or that of one backup."


class BackupDamaged(JournalError):
    """A backup is not whole: a file is missing, cut off or altered, or it was never finished."""

    code = "backup-damaged"
    remedy = "Take an earlier one, or one on another medium; keep this one as it is."


class BackupForeign(JournalError):
    """It is a backup of another terminal."""

    code = "backup-foreign"
    remedy = "Take this terminal's own backup, or correct [terminal] id."


class BackupKeyOther(JournalError):
    """It was made under other keys than those that are here."""

    code = "backup-key-other"
    remedy = "Restore into an empty folder with --recovery-key, or put back the key files of the terminal that made it."


class RestoreRefused(JournalError, FileExistsError):
    """There is a journal already, and it opens: nothing was changed."""

    code = "restore-refused"
    remedy = "Restore into an empty folder. A journal that opens is never written over."


class RecordsRefused(JournalError, ValueError):
    """Records that headquarters sent back do not follow those that the journal has; nothing of them was taken."""

    code = "records-refused"
    remedy = "Headquarters keeps them. Keep the backup, and call your technician."


class TamperLatched(JournalError):
    """The terminal's case was opened: no key is opened until headquarters' signed order releases it."""

    code = "tamper-latched"
    remedy = (
        "Call headquarters; `terminald tamper status` names the incident, `terminald tamper release` takes their order."
    )


class OrderRefused(JournalError):
    """An order is not one of headquarters' for this terminal and this moment; nothing was changed."""

    code = "order-refused"
    remedy = "Ask headquarters for an order for this terminal and this incident: `terminald-fleet order` makes one."
