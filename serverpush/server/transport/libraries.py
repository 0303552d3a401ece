"""Import eventlet without its deprecation warning, and keep the libraries' loggers quiet."""

import logging
import os
import warnings

# Its resolver of names is a third of the time that the push server takes to start, which
# asks for none but those that it listens on.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")

with warnings.catch_warnings():
    # eventlet 0.41 warns at import; a warning is an error in a strict test run
    warnings.simplefilter("ignore")
    import eventlet  # noqa: F401


def quiet_logger() -> logging.Logger:
    """A logger that writes nothing: engineio and socketio log packets with their payloads."""
    logger = logging.Logger("serverpush.quiet", logging.CRITICAL + 1)
    logger.disabled = True
    return logger
