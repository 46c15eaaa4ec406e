"""A relay between the load generator and a server, that can be cut."""

import contextlib
import socket
import threading
import time


class Cable:
    """Relays connections on loopback to another address there. `address`: where to connect to. `back`: when the server's first bytes
    came after the last mend()."""

    def __init__(self, to):
        host, port = to.split(":")
        self.to = host, int(port)
        self.is_cut = False
        self.back = None
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "{}:{}".format(*self.listener.getsockname())

    def __enter__(self):
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends all connections with a reset, and all that come until mend() is called."""
        self.is_cut = True
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self.connections.clear()

    def mend(self):
        self.back = None
        self.is_cut = False

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                near.close()
                continue
            far = socket.create_connection(self.to)
            self.connections += [near, far]
            for pair in (near, far), (far, near):
                threading.Thread(target=self.relay, args=(*pair, pair[0] is far), daemon=True).start()

    def relay(self, source, sink, is_from_server):
        with contextlib.suppress(OSError):
            while some := source.recv(1 << 18):
                sink.sendall(some)
                if is_from_server:
                    self.back = self.back or time.monotonic()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
