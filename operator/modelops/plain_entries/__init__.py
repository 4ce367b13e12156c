"""Leaves other agents' plain entries out of an agents.yaml, so that a YAML parser has to read only the rest.

A YAML parser in Python reads about 100 KB in a second. In a large file nearly every entry is plain: keys, lists, texts
and aliases, but no tags, each line of which says by itself what it is. A regular expression recognises the simplest of
these entries at a hundred times that speed, and `lines.py` recognises the others, line by line, at twenty times.
What is left out refers only to what is kept, and nothing refers to it, so the rest means the same without it.

Where that is not certain, nothing is left out. This needs the standard library only: the router uses it as well.
"""

from modelops.plain_entries.leaving_out import without_plain_entries
from modelops.plain_entries.remainder import Remainder

__all__ = ["Remainder", "without_plain_entries"]
