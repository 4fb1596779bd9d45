"""What headquarters does not do, and what to do instead."""

from typing import ClassVar


class Refused(Exception):
    """It is not done: the message says why. `code` is stable, `remedy` tells what to do."""

    code: ClassVar[str] = "refused"
    remedy: ClassVar[str] = "Nothing was changed."
