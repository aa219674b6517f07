"""``tidemark evaluate``: series with a training prefix, judged as they would have been live.

Not here: the command (``detector.cli.evaluate``), the form of the series (``detector.app.series``).
"""
