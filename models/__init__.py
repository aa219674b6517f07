"""Mathematics and artifacts of Tidemark: numpy arrays in, numpy arrays out.

Not here: Spark, Kafka, metrics, settings, the environment or a clock (``detector``).
"""
