"""The GS1 application identifiers: how long each one's value is and what it is made of.

Source: GS1 General Specifications, section 3, and the GS1 Barcode Syntax Dictionary (2026), which says the same for
machines. A format is a row of components: ``N`` digits, ``X`` characters of CSET 82, ``Y`` of CSET 39, ``Z`` base64url;
``6`` exactly so many, ``..20`` one up to so many, in brackets where it may be left out; a small letter names what is
checked beyond that:

c  the last digit is the check digit      d  YYMMDD, day 00 the end of the month     D  YYMMDD
t  HHMM   h  HH   m  MM or SS             E  YYYYMMDD                                 i  ISO 4217 number of a currency
"""

import functools
import re

import msgspec

_FORMATS = """
N18c                           | 00 8017 8018
N14c                           | 01 02 03
N6d                            | 11 12 13 15 16 17
X..20                          | 10 21 22 243 254 420 710-717 4318 7020-7022 7240 8002 8012
X..28                          | 235
X..30                          | 90 240 241 250 251 400 401 403 4308 4319 7002 7023 8004
X..90                          | 91-99 7256
N2                             | 20 7241
N..8                           | 30 37
N..6                           | 242
N6                             | 3100-3105 3110-3115 3120-3125 3130-3135 3140-3145 3150-3155 3160-3165
N6                             | 3200-3205 3210-3215 3220-3225 3230-3235 3240-3245 3250-3255 3260-3265 3270-3275
N6                             | 3280-3285 3290-3295 3300-3305 3310-3315 3320-3325 3330-3335 3340-3345 3350-3355
N6                             | 3360-3365 3370-3375 3400-3405 3410-3415 3420-3425 3430-3435 3440-3445 3450-3455
N6                             | 3460-3465 3470-3475 3480-3485 3490-3495 3500-3505 3510-3515 3520-3525 3530-3535
N6                             | 3540-3545 3550-3555 3560-3565 3570-3575 3600-3605 3610-3615 3620-3625 3630-3635
N6                             | 3640-3645 3650-3655 3660-3665 3670-3675 3680-3685 3690-3695 3950-3955 8005
N..15                          | 3900-3909 3920-3929
N3i N..15                      | 3910-3919 3930-3939
N4                             | 3940-3943 8111
N17c                           | 402
N13c                           | 410-417
N13c [X..17]                   | 253
N13c [N..12]                   | 255
N3 X..9                        | 421
N3                             | 422 424 426
N3 [N3] [N3] [N3] [N3]         | 423 425
X..3                           | 427 7008
X..35                          | 4300 4301 4310 4311 4320
X..70                          | 4302-4306 4312-4316 7257 8110 8112 8200
X2                             | 4307 4317
N10 N10                        | 4309
N1                             | 4321-4323 7252
N6d N4t                        | 4324 4325
N6D                            | 4326 7006
N6 [X1]                        | 4330-4333
N13                            | 7001
N6D N4t                        | 7003
N..4                           | 7004
X..12                          | 7005
N6D [N6D]                      | 7007
X..10                          | 7009 7255
X..2                           | 7010
N6D [N4t]                      | 7011
N3 X..27                       | 7030-7039
N1 X1 X1 X1                    | 7040
X..4                           | 7041
X2 X..28                       | 7230-7239
X..25                          | 7242 8013 8014 8020
N8E                            | 7250
N8E N4t                        | 7251
X..40                          | 7253 7254 7259
X3                             | 7258
N4 N5 N3 N1 N1                 | 8001
N1 N13c [X..16]                | 8003
N14c N4                        | 8006 8026
X..34                          | 8007
N6D N2h [N2m] [N2m]            | 8008
X..50                          | 8009
Y..30                          | 8010
N..12                          | 8011
N..10                          | 8019
Z..90                          | 8030
N15                            | 8040 8041
N32                            | 8042
N18 [N..2]                     | 8043
"""

_CHARACTERS = {"N": "[0-9]", "X": r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]", "Y": r"[#\-/0-9A-Z]", "Z": r"[A-Za-z0-9_=\-]"}
_COMPONENT = re.compile(r"(\[?)([NXYZ])(\.\.)?(\d+)([cdDthmEi]?)\]?")


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """What a value is made of. `pattern` has a group for each component, `checks` the letter of each group's check.

    Lengths are the whole value's; where both are the same, no separator is needed to know its end.
    """

    pattern: re.Pattern[str]
    checks: tuple[str, ...]
    length_min: int
    length_max: int


def format_of(ai: str) -> Format | None:
    """The format of an application identifier, or None where there is no such one.

    >>> format_of("10").length_max, format_of("7003").length_min, format_of("23")
    (20, 10, None)
    """
    source = _sources().get(ai)
    return _compiled(source) if source is not None else None


def ai_at(text: str, at: int) -> str | None:
    """The application identifier that `text` has at a place: none is the beginning of another."""
    known = _sources()
    for length in (2, 3, 4):
        ai = text[at : at + length]
        if len(ai) == length and ai in known:
            return ai
    return None


@functools.cache
def _sources() -> dict[str, str]:
    """Every identifier with its format as it is written above."""
    found: dict[str, str] = {}
    for line in _FORMATS.strip().splitlines():
        source, _, names = line.partition("|")
        for name in names.split():
            first, _, last = name.partition("-")
            width = len(first)
            found |= {f"{number:0{width}d}": source.strip() for number in range(int(first), int(last or first) + 1)}
    return found


@functools.cache
def _compiled(source: str) -> Format:
    pattern, length_min, length_max = "", 0, 0
    checks: list[str] = []
    for optional, kind, upto, length, check in _COMPONENT.findall(source):
        count = f"{{1,{length}}}" if upto else f"{{{length}}}"
        pattern += f"({_CHARACTERS[kind]}{count})" + ("?" if optional else "")
        checks.append(check)
        length_max += int(length)
        length_min += 0 if optional else 1 if upto else int(length)
    return Format(pattern=re.compile(pattern), checks=tuple(checks), length_min=length_min, length_max=length_max)
