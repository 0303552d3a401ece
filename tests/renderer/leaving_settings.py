"""Settings that end the process."""

raise SystemExit(3)
