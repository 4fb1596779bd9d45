"""The colours of the merchant's screen: few, each with one meaning, and every text at least 7:1 on its ground (WCAG)."""

GROUND = "#0e1318"
STRIPE = "#131b23"  # every other row, to lead the eye across
PANEL = "#18212a"
RAISED = "#243240"
PRESSED = "#f4f6f8"
EDGE = "#3a4a59"
TEXT = "#f4f6f8"
MUTED = "#a9b8c6"
FAINT = "#6b7d8d"  # only for what may go unread: keys that are off, struck-out lines
AMBER = "#ffb638"  # money that is asked for
GREEN = "#57d98d"
PAY = "#15603a"  # keys that take money
PAY_EDGE = "#2f9c64"
BAR = "#123a5c"
NEWEST = "#e9eef2"
NEWEST_TEXT = "#0e1318"
INFO = "#123a5c"
WARNING = "#ffb638"
WARNING_TEXT = "#0e1318"
ERROR = "#a51d2d"
ERROR_TEXT = "#ffffff"
RED = "#ff8a8a"
