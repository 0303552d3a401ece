"""The demo, with pages and calls that are taken from the migration pages of the docs."""
