"""The edge that shows what the service does: metrics, query progress, health over HTTP, logs."""
