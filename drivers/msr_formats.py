"""Which report format a card reader has, by its maker."""

from typing import Final, Literal

from core.ports import ProtocolError
from drivers.codecs import msr_idtech, msr_magtek
from drivers.codecs.msr import Decode
from drivers.options import MsrReport

MAKERS: Final[dict[int, MsrReport]] = {0x0801: "magtek", 0x0ACD: "idtech"}
"""USB vendors and their report formats."""
REPORTS: Final[dict[MsrReport, Decode]] = {"magtek": msr_magtek.decode, "idtech": msr_idtech.decode_report}


def report_format(name: str, wanted: Literal["auto"] | MsrReport, vendor: int) -> MsrReport:
    """The report format that is configured, or the maker's. Raises ProtocolError for a maker that is not known."""
    if wanted != "auto":
        return wanted
    if vendor not in MAKERS:
        raise ProtocolError(f'{name}: vendor {vendor:04x} is no maker we know; set format to "magtek" or "idtech".')
    return MAKERS[vendor]
