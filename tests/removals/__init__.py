"""How each defence of ``tests.defences`` is taken out: for a process that is thrown away.

Each puts back what the library does, or what one would have written first.
"""
