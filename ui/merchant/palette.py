"""The colours of the merchant's screen: few, each with one meaning. Text has at least 7:1 on its ground (WCAG AAA), the
bold marks beside it (a key's cap, online) at least 4.5:1, as WCAG asks of large ones.

They are chosen so that a terminal of 256 colours, which takes the nearest it has, keeps them apart as well.
"""

GROUND = "#0e1114"
STRIPE = "#171a1d"  # every other row, to lead the eye across
PANEL = "#1c2125"
RAISED = "#2e353c"
PRESSED = "#f4f6f8"
EDGE = "#46515b"
TEXT = "#f4f6f8"
MUTED = "#b3b9bf"
FAINT = "#77818b"  # only for what may go unread: keys that are off, struck-out lines
AMBER = "#ffb638"  # money that is asked for
GREEN = "#57d98d"
PAY = "#0f5c26"  # keys that take money
PAY_EDGE = "#1f8a45"
BAR = "#0f4276"
NEWEST = "#ececee"
NEWEST_TEXT = "#0e1114"
INFO = "#0f4276"
WARNING = "#ffb638"
WARNING_TEXT = "#0e1114"
ERROR = "#a0182a"
ERROR_TEXT = "#ffffff"
RED = "#ff9a9a"
