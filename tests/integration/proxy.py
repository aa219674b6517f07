"""A TCP proxy in front of a broker that does to chosen Kafka requests what a bad network does.

It reads no more of the protocol than the length of a message and, of a request, which one it is.

Not here: when what is done (the tests say).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final, Literal, Self

from detector.kafka.ports import HOST

PRODUCE: Final = 0  # api keys of the Kafka protocol
INIT_PRODUCER: Final = 22
ADD_PARTITIONS: Final = 24
END_TXN: Final = 26

Fault = Literal[
    "",
    "lost request",  # the connection is cut before the broker has it
    "half a request",  # ... in the middle of it
    "lost reply",  # ... when the broker has answered
    "late reply",  # the answer is held back for `late_seconds`
    "frozen request",  # nothing comes through any more, from this request on, until `thaw`
    "frozen reply",  # ... from its answer on
]


class Proxy:
    """Leads clients to a broker while it is used as a context manager.

    Parameters
    ----------
    port : int
        Where clients connect, on this machine.
    target : int
        Where the broker is.
    late_seconds : float
        How long a late reply is held back.

    Attributes
    ----------
    choose : callable
        Says what happens to a request, by its api key; called once for each.
    done : Counter
        How often each fault was done to each request.
    asked : Counter
        How often each request came.
    """

    def __init__(self, port: int, target: int, late_seconds: float = 1.5) -> None:
        self.choose: Callable[[int], Fault] = lambda _: ""
        self.done: Counter[tuple[int, Fault]] = Counter()
        self.asked: Counter[int] = Counter()
        self.late_seconds = late_seconds
        self._target = target
        self._lock = threading.Lock()
        self._flow = threading.Event()
        self._flow.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server((HOST, port))
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Cut everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def once(self, api_key: int, fault: Fault) -> None:
        """Do something to the next request of a kind, and to no other."""
        waiting = [fault]
        self.choose = lambda key: waiting.pop() if key == api_key and waiting else ""

    def cut(self) -> None:
        """Cut every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _close(each)

    def freeze(self) -> None:
        """Let nothing through, and keep the connections."""
        self._flow.clear()

    def thaw(self) -> None:
        """Let everything through that has waited."""
        self._flow.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection((HOST, self._target))
        except OSError:  # the broker is down: so is the connection
            _close(client)
            return
        for each in (client, broker):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets += [client, broker]
        asked: deque[Fault] = deque()  # a broker answers in the order it was asked
        for lead in (self._lead_requests, self._lead_replies):
            threading.Thread(target=self._run, args=(lead, client, broker, asked), daemon=True).start()

    def _run(
        self,
        lead: Callable[[socket.socket, socket.socket, deque[Fault]], None],
        client: socket.socket,
        broker: socket.socket,
        asked: deque[Fault],
    ) -> None:
        with contextlib.suppress(OSError):
            lead(client, broker, asked)
        _close(client)
        _close(broker)

    def _lead_requests(self, client: socket.socket, broker: socket.socket, asked: deque[Fault]) -> None:
        while (message := _read(client)) is not None:
            self._flow.wait()
            (key,) = struct.unpack_from(">h", message, 4)
            with self._lock:
                self.asked[key] += 1
                fault = self.choose(key)
                if fault:
                    self.done[key, fault] += 1
            if fault in {"lost request", "half a request"}:
                if fault == "half a request":
                    broker.sendall(message[: len(message) // 2])
                return
            asked.append(fault)
            if fault == "frozen request":
                self.freeze()
                self._flow.wait()
            broker.sendall(message)

    def _lead_replies(self, client: socket.socket, broker: socket.socket, asked: deque[Fault]) -> None:
        while (message := _read(broker)) is not None:
            self._flow.wait()
            fault = asked.popleft()
            if fault == "lost reply":
                return
            if fault == "late reply":
                time.sleep(self.late_seconds)  # the fault itself
            if fault == "frozen reply":
                self.freeze()
                self._flow.wait()
            client.sendall(message)


def _read(source: socket.socket) -> bytes | None:
    """Read one message with its length; None at the end of the connection."""
    head = _read_exactly(source, 4)
    if head is None:
        return None
    body = _read_exactly(source, struct.unpack(">i", head)[0])
    return None if body is None else head + body


def _read_exactly(source: socket.socket, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = source.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes whoever reads from it
    connection.close()
