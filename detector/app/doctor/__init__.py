"""``tidemark doctor``: looks at everything a deployment needs and says what was found and what to do.

It changes nothing: it creates no topic and no checkpoint, fences nobody, and may be used while the service runs.

Not here: how it is shown (``detector.cli.doctor``).
"""
