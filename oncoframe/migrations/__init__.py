"""What an older home needs that no reader can bridge: one file per change, in order of its number.

A column that is added needs no file here; it is null in old rows. One that is renamed, retyped or
removed does, for example ``0001_call_the_count_cells.py``::

    \"\"\"Call the blood count by what it counts.\"\"\"

    TABLES = {"blood": lambda rows: rows.rename({"count": "cells"})}

The first line of the docstring is what ``oncoframe migrate`` says. ``TABLES`` gives for each table
of the lake its rows of then -> its rows of now, all of them and in their order. A file that was
released is never changed; what it did wrong is mended by the next one.
"""
