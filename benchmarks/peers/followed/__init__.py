"""An app as turbo-django asks for it: a model, and in ``streams.py`` what follows it."""
