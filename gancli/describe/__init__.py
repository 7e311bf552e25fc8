"""What there is to say about a run, an architecture, a data set or this machine: plain dictionaries, fit for JSON.

Importing a module of this package imports no torch; functions that need it say so.
"""
