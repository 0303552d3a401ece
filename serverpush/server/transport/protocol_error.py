"""A client that does not keep to the protocol."""


class ProtocolError(Exception):
    """What the client sent is refused; ``code`` is the WebSocket close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return self.reason
