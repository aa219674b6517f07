"""Counts the connections that a librdkafka client loses, by listening to its log.

librdkafka has no callback for it: ``error_cb`` says nothing of the connection to the transaction coordinator, over
which a transaction is ended. Its log does; it repeats the same words about a broker only after 30 s, so what tells is
whether there was any loss in the life of a client, not how many.

Not here: what a lost connection means (``alert_sink``).
"""

from __future__ import annotations

import logging
from typing import Any, Final

from detector.kafka.connection import LOG

FAILED: Final = "FAIL"  # librdkafka's name of the event
ESTABLISHED: Final = "in state UP"  # only such a connection can have carried a request


class LostConnections(logging.LoggerAdapter[logging.Logger]):
    """Give it to a client as ``logger``; what the client says goes on to the log of all clients.

    Attributes
    ----------
    count : int
        Connections lost so far, as far as the client has been polled.
    """

    def __init__(self) -> None:
        super().__init__(LOG)
        self.count = 0

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Take one line: librdkafka hands over event, client and text as arguments."""
        if args and args[0] == FAILED and ESTABLISHED in str(args[-1]):
            self.count += 1
        super().log(level, msg, *args, **kwargs)
