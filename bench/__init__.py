"""The ruler: measures Tidemark beside the read limit and its peers, on this machine, in one run.

Not here: anything that Tidemark needs to work; the package is not part of the wheel.
"""
