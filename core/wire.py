"""Messages of the control socket: JSON-RPC 2.0, one object a line, UTF-8, ended by a newline.

Requests name a method and carry their parameters as an object; ``view`` notifications carry a whole `core.view.View`.
"""

import msgspec

LINE_BYTES_MAX = 1 << 20

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = 1
"""The till cannot take this now; ``data.id`` names the reason, ``data.params`` its parameters."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON-RPC error object."""

    code: int
    message: str
    data: dict[str, object] | None = None


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A call (with `id`) or a notification (without). `params` is an object, never an array."""

    jsonrpc: str
    method: str
    params: dict[str, object] = {}
    id: int | str | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a call: `result` or `error`."""

    jsonrpc: str
    id: int | str | None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Fault | None = None


class MethodDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What `rpc.discover` says of a method: `params` maps each name to a JSON Schema."""

    name: str
    summary: str
    params: dict[str, dict[str, object]]
