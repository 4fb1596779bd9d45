"""Codes that pay or ask to be paid: what a phone shows to a till, and what a till or a sticker shows to a phone.

Sources: the wallets' developer guides for their numbers (WeChat Pay 18 digits from 10 to 15, Alipay 16 to 24 from 25 to
30, UnionPay 19 from 62); EMVCo QR Code Specification, Consumer-Presented Mode 1.1 and Merchant-Presented Mode 1.1. Their
numbers overlap other codes, so they are only what they seem while something is to be paid.
"""

import base64
import binascii
import re
from typing import Literal

import msgspec

from core.gs1 import CodeRejected
from core.tlv import parse

Wallet = Literal["wechat", "alipay", "unionpay", "emvco"]

CPM_BEGIN = "hQVDUFYwMW"
"""The base64 text of tag 85 with `CPV01`, by which the consumer-presented mode is told."""
MPM_BEGIN = "000201"

_CPM_LENGTH_MAX = 1_024
_FORMAT, _APPLICATION, _COMMON, _AID = 0x85, 0x61, 0x62, 0x4F
_MPM_CRC = "6304"
_SHOWN = re.compile(rf"(?<!\d)(\][A-Za-z]\d)?(\d{{16,25}})(?!\d)|{CPM_BEGIN}[A-Za-z0-9+/=]*")
"""Where a payment code may stand in a scanner's traffic, with an AIM identifier before it or not."""


class WalletCode(msgspec.Struct, frozen=True, kw_only=True):
    """What a phone has shown to pay with. Whoever holds `code` may spend by it: it is kept nowhere, and never sent twice."""

    wallet: Wallet
    code: str

    def __repr__(self) -> str:
        """Without the code."""
        return f"WalletCode({self.wallet})"


def hide(text: str) -> str:
    """`text` with what may be a payment code starred.

    >>> hide("]Q1134567890123456789 and 4006381333931")
    ']Q1****************** and 4006381333931'
    """
    return _SHOWN.sub(_starred, text)


def _starred(found: re.Match[str]) -> str:
    aim, digits = found[1] or "", found[2]
    # The digit of an identifier may stand before it as a digit like others: keyboards' letters are not told apart.
    pays = digits is None or payer_of(digits) or payer_of(digits[1:])
    return aim + "*" * (len(found[0]) - len(aim)) if pays else found[0]


def payer_of(digits: str) -> Wallet | None:
    """Whose payment code a number may be."""
    first = int(digits[:2]) if len(digits) >= 16 else 0
    if len(digits) == 18 and 10 <= first <= 15:
        return "wechat"
    if 16 <= len(digits) <= 24 and 25 <= first <= 30:
        return "alipay"
    if len(digits) == 19 and first == 62:
        return "unionpay"
    return None


def check_cpm(text: str) -> None:
    """Raises CodeRejected where a consumer-presented code is not whole: base64 of BER-TLV, CPV01 first, then a template.

    Each application template names its application (tag 4F). What else is inside is for the acquirer alone.
    """
    if len(text) > _CPM_LENGTH_MAX:
        raise CodeRejected("wallet-damaged")
    try:
        found = parse(base64.b64decode(text + "=" * (-len(text) % 4), validate=True))
    except ValueError:
        raise CodeRejected("wallet-damaged") from None
    templates = [one for one in found if one.tag == _APPLICATION]
    is_first = bool(found) and (found[0].tag, found[0].value) == (_FORMAT, b"CPV01")
    is_known = all(one.tag in (_APPLICATION, _COMMON) for one in found[1:])
    named = [any(inner.tag == _AID and inner.value for inner in one.inside) for one in templates]
    if not (is_first and is_known and named and all(named)):
        raise CodeRejected("wallet-damaged")


def is_mpm(text: str) -> bool:
    """Whether a text is a merchant-presented code, told by its first and last fields. Raises CodeRejected where its CRC
    is wrong."""
    if not text.startswith(MPM_BEGIN) or text[-8:-4] != _MPM_CRC or text.isdigit():
        return False
    content = text[:-4]
    try:
        raw = content.encode("latin-1")  # a scanner's bytes
    except UnicodeEncodeError:
        raw = content.encode("utf-8", "replace")
    if f"{binascii.crc_hqx(raw, 0xFFFF):04X}" != text[-4:].upper():
        raise CodeRejected("merchant-code-damaged")
    return True
