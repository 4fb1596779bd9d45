"""What left the shelf, as the fold of the journal's entries: the goods of a transaction count once it is completed."""

from collections.abc import Mapping

import msgspec

from core import entries as e


class OpenLines:
    """The lines of the transactions that have not ended at some point of the journal: the open one, and parked ones."""

    def __init__(self) -> None:
        self._number = 0
        self._parked: dict[int, tuple[dict[int, e.ItemAdded], set[int]]] = {}
        self._lines: dict[int, e.ItemAdded] = {}
        self._voided: set[int] = set()
        self._open = False

    @property
    def is_settled(self) -> bool:
        """Whether no transaction is open or parked: from here on the fold needs nothing of what came before."""
        return not self._open and not self._parked

    def fold(self, entry: e.AnyEntry) -> Mapping[str, int]:
        """Takes the next entry; gives what left the shelf with it: thousandths of a unit by the item's GTIN."""
        match entry:
            case e.TransactionOpened():
                self._clear()
                self._open, self._number = True, entry.number
            case e.TransactionSuspended():
                self._parked[entry.number] = self._lines, self._voided
                self._lines, self._voided, self._open = {}, set(), False
            case e.TransactionResumed():
                self._lines, self._voided = self._parked.pop(entry.number, ({}, set()))
                self._open, self._number = True, entry.number
            case e.EpochOpened(reason=e.RESTORED):
                self._parked.clear()  # the till knows of none any more either
            case e.ItemAdded():
                self._lines[entry.line] = entry
            case e.QuantityChanged():
                if was := self._lines.get(entry.line):
                    self._lines[entry.line] = msgspec.structs.replace(was, quantity_milli=entry.quantity_milli)
                    self._voided.discard(entry.line)
            case e.LineVoided():
                self._voided.add(entry.line)
            case e.TransactionCompleted():
                left = self._left()
                self._clear()
                return left
            case e.TransactionCancelled():
                self._clear()
            case _:
                pass
        return {}

    def _left(self) -> dict[str, int]:
        left: dict[str, int] = {}
        for number, line in self._lines.items():
            if number not in self._voided:
                item = line.item or line.gtin
                left[item] = left.get(item, 0) + line.quantity_milli * line.contains
        return left

    def _clear(self) -> None:
        self._lines.clear()
        self._voided.clear()
        self._open = False
