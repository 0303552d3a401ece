"""A site for fault tests: one model, and a page for each way to depend on it."""
