"""The Kafka edges: sources, sinks, and the embedded broker with the Java and jars it needs."""
