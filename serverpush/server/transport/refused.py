"""The refusal that a handler raises."""

from serverpush.exceptions import ServerPushError


class Refused(ServerPushError):
    """Raised by ``on_connect`` or ``on_event``: the client is told ``code`` and ``message``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} ({self.code})"
