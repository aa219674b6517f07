"""The demonstration: everything at once on one machine, on made or on real data, and a table of what came of it.

Not here: anything that `tidemark train` and `tidemark run` do; the demonstration calls the same jobs.
"""

from detector.app.demo.play import DemoSpec
from detector.app.demo.run import run_demo

__all__ = ["DemoSpec", "run_demo"]
