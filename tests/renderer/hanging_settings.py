"""Settings that never finish, and say when they begin."""

import os
import threading
from pathlib import Path

Path(os.environ["SERVERPUSH_TEST_STARTED"]).write_text("here")
threading.Event().wait()
