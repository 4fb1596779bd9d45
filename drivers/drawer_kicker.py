"""The process that powers a cash drawer's solenoid: ``python -m drivers.drawer_kicker PIN LEVEL PULSE_MS``.

It reads ``kick`` from standard input and answers ``on`` and ``off``; ``ready`` comes first, and ``error TEXT`` last when
it cannot go on. Whatever becomes of the daemon, a pulse that has begun ends here, after PULSE_MS milliseconds and never
later than PULSE_MS_MAX: signals that ask to stop are ignored, the end of standard input ends the process between pulses.
See docs/decisions/0003-drawer-pulse.md.
"""

import contextlib
import os
import signal
import sys
import time
from typing import Final

PULSE_MS_MAX: Final = 500


def main(pin: int, powered: int, pulse_s: float) -> None:
    """Serves kicks until standard input ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    daemon = os.getppid()
    import RPi.GPIO as GPIO  # late: it opens the chip, and the signals are dealt with by now

    GPIO.setwarnings(False)
    GPIO.setmode(GPIO.BCM)
    GPIO.setup(pin, GPIO.OUT, initial=1 - powered)
    _say("ready")
    try:
        for line in sys.stdin:
            if os.getppid() != daemon:
                break  # it died after asking: a drawer opens now, or not at all
            if line == "kick\n":
                GPIO.output(pin, powered)
                try:
                    _say("on")
                    time.sleep(pulse_s)
                finally:
                    GPIO.output(pin, 1 - powered)
                _say("off")
    finally:
        GPIO.cleanup(pin)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # a daemon that is gone does not shorten or lengthen a pulse
        os.write(sys.stdout.fileno(), f"{text}\n".encode())


if __name__ == "__main__":
    try:
        main(
            pin=int(sys.argv[1]),
            powered=1 if sys.argv[2] == "high" else 0,
            pulse_s=min(int(sys.argv[3]), PULSE_MS_MAX) / 1000,
        )
    except Exception as error:
        _say(f"error {error}")
        sys.exit(1)
