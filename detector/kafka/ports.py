"""Free ports on 127.0.0.1 for servers that must know their port before they start.

Not here: servers that may bind port 0 themselves.
"""

from __future__ import annotations

import random
import socket
from typing import Final

from detector.errors import UnavailableError

HOST: Final = "127.0.0.1"  # the embedded broker has no authentication, so nobody else may reach it
# Below the range that systems take ports of outgoing connections from. In that range a client that
# reconnects while the server is down can connect to itself and then holds the server's port.
PORTS: Final = range(20_000, 30_000)


def free_port(*taken: int) -> int:
    """Return a port that nothing listens on and that is not one of `taken`.

    Raises
    ------
    UnavailableError
        If every port of the range is taken.
    """
    # Random order, so that processes that start at once do not meet on one port.
    for port in random.sample(PORTS, len(PORTS)):
        if port not in taken and is_free(port):
            return port
    raise UnavailableError(f"no free port in {PORTS.start}-{PORTS.stop - 1} on {HOST}; name one that is free")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on a port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java binds: closed connections do not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
