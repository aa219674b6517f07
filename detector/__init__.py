"""Tidemark's service: the Spark application, its Kafka edges, metrics and command line."""
