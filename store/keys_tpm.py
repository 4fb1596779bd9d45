"""The root secret sealed by a TPM 2.0: only this board gives it out, and with PCRs only to the software that was measured.

The sealed root is a file; the TPM keeps nothing. Its parent is made anew each time from the owner hierarchy's seed (the
same one as long as the TPM is not cleared). The work is done by tpm2-tools (https://tpm2-tools.readthedocs.io), one child
process a step, over a session that encrypts what goes to and from the chip. No secret is in an argument, in the
environment or in a file: it goes through pipes.
"""

import os
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from store.errors import KeyUnusable, TpmGone, TpmRefused
from store.keys_files import NEXT, read_private, remove, remove_next, replace_by_next, write_private
from store.keys_root import ROOT_BYTES
from store.keys_tier import Tier

DEVICE = "device:/dev/tpmrm0"
"""The kernel's resource manager (Linux 4.12)."""

STEP_TIMEOUT_S = 20.0
_TITLE = b"terminald root sealed by a TPM 1\n"
_FILE_BYTES_MAX = 4_096

# Response codes, TPM 2.0 Library Part 2, 6.6: what is said where the TPM works, and does not open this.
_REFUSALS = ("0x1DF", "0x99D", "0x12F", "0x98E", "0x921", "0x9A2")


class RootTpm:
    """The root secret in a file that only one TPM can open."""

    tier: Tier = "tpm"

    def __init__(self, path: Path, *, tcti: str = DEVICE, pcrs: str = "") -> None:
        """`tcti` is how the TPM is reached (tpm2-tools(1), TCTI); `pcrs` such as ``sha256:7``, or empty for none."""
        self.place = f"the TPM, by {path.name}"
        self._path = path
        self._next = path.with_name(path.name + NEXT)
        self._tcti = tcti
        self._pcrs = pcrs

    def exists(self) -> bool:
        """Whether there is a sealed root; the TPM is not asked."""
        return self._path.exists()

    def load(self) -> bytes:
        """What the TPM gives out. Takes some tenths of a second."""
        return self._unseal(self._path)

    def prepare(self) -> bytes:
        """Has the TPM seal a new one, and sees that it gives it out again."""
        root = secrets.token_bytes(ROOT_BYTES)
        self._seal(self._next, root)
        if self._unseal(self._next) != root:
            raise TpmRefused("the TPM gives out another secret than it was given")
        return root

    def prepared(self) -> bytes | None:
        """The one that lies ready."""
        return self._unseal(self._next) if self._next.exists() else None

    def adopt(self) -> None:
        """Renames the sealed file."""
        replace_by_next(self._path)

    def discard(self) -> None:
        """Deletes the sealed file that lies ready."""
        remove_next(self._path)

    def remove(self) -> None:
        """Deletes the sealed file."""
        remove(self._path)

    def _seal(self, path: Path, root: bytes) -> None:
        with self._parent() as folder:
            guard = ["-a", "fixedtpm|fixedparent|userwithauth"]
            if self._pcrs:
                self._run(folder, "tpm2_createpolicy", "--policy-pcr", "-l", self._pcrs, "-L", "policy")
                guard = ["-a", "fixedtpm|fixedparent", "-L", "policy"]
            with self._session(folder, "--hmac-session"):
                parent = ["-C", "parent", "-P", "session:session"]
                self._run(
                    folder, "tpm2_create", *parent, *guard, "-i", "-", "-u", "public", "-r", "private", given=root
                )
            public, private = (folder / "public").read_bytes(), (folder / "private").read_bytes()
        lines = (self._pcrs.encode(), public.hex().encode(), private.hex().encode())
        write_private(path, _TITLE + b"\n".join(lines) + b"\n")

    def _unseal(self, path: Path) -> bytes:
        pcrs, public, private = self._read(path)
        with self._parent() as folder:
            (folder / "public").write_bytes(public)
            (folder / "private").write_bytes(private)
            self._run(folder, "tpm2_load", "-C", "parent", "-u", "public", "-r", "private", "-c", "sealed")
            with self._session(folder, "--policy-session" if pcrs else "--hmac-session"):
                if pcrs:
                    self._run(folder, "tpm2_policypcr", "-S", "session", "-l", pcrs)
                root = self._run(folder, "tpm2_unseal", "-c", "sealed", "-p", "session:session")
        if len(root) != ROOT_BYTES:
            raise KeyUnusable(f"{path.name} holds {len(root)} bytes, not a root key")
        return root

    def _read(self, path: Path) -> tuple[str, bytes, bytes]:
        content = read_private(path, _FILE_BYTES_MAX)
        try:
            pcrs, public, private = content.removeprefix(_TITLE).decode("ascii").splitlines()
            found = pcrs, bytes.fromhex(public), bytes.fromhex(private)
        except ValueError:
            raise KeyUnusable(f"{path.name} does not hold a sealed key of this software") from None
        if not content.startswith(_TITLE):
            raise KeyUnusable(f"{path.name} does not hold a sealed key of this software")
        return found

    @contextmanager
    def _parent(self) -> Iterator[Path]:
        """A folder for the tools' contexts, with the parent key's in it."""
        with tempfile.TemporaryDirectory(prefix="terminald-tpm-") as name:
            folder = Path(name)
            self._run(folder, "tpm2_createprimary", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", "parent")
            yield folder

    @contextmanager
    def _session(self, folder: Path, kind: str) -> Iterator[None]:
        """A session salted with the parent key, so that who listens on the chip's wires reads no secret."""
        self._run(folder, "tpm2_startauthsession", kind, "-c", "parent", "-S", "session")
        try:
            self._run(folder, "tpm2_sessionconfig", "--enable-decrypt", "--enable-encrypt", "session")
            yield
        finally:
            self._run(folder, "tpm2_flushcontext", "session")

    def _run(self, folder: Path, *command: str, given: bytes = b"") -> bytes:
        """One step; then the TPM's few places for objects are made free, which without a resource manager nobody does."""
        environment = {"PATH": os.environ.get("PATH", os.defpath), "TPM2TOOLS_TCTI": self._tcti, "TSS2_LOG": "all+none"}
        done = _spawn(command, folder, environment, given)
        if command[0] in ("tpm2_createprimary", "tpm2_load", "tpm2_create", "tpm2_startauthsession", "tpm2_unseal"):
            _spawn(("tpm2_flushcontext", "--transient-object"), folder, environment, b"")
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = next((line for line in said if "0x" in line), said[-1] if said else f"status {done.returncode}")
        if any(code in reason for code in _REFUSALS):
            raise TpmRefused(f"the TPM refuses it at {command[0]}: {reason}")
        raise TpmGone(f"the TPM does not answer ({command[0]} by {self._tcti}): {reason}")


def _spawn(
    command: Sequence[str], folder: Path, environment: dict[str, str], given: bytes
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, cwd=folder, env=environment, input=given, capture_output=True, timeout=STEP_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        raise TpmGone(f"the program {command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        # Its own text would quote what was given.
        raise TpmGone(f"the TPM did not answer {command[0]} within {STEP_TIMEOUT_S:.0f} s") from None
