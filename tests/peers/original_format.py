"""The original wire format, and nothing newer: packets with a 32-byte header, ids, content. Sections 1 to 3 of the protocol.

    LLLLLLLLLL|CCCCCCCCCCCCCCCCCCCC|content

Written from the text of the protocol alone, so that it agrees with Megaphone only where both follow the text.
"""

HEADER = 32


def packet(identifier, content):
    """One packet, as it travels."""
    return b"%010d|%020d|" % (HEADER + len(content), identifier) + content


def read_exactly(connection, count):
    """That many bytes, or None when the other end has ended before the first of them."""
    data = bytearray()
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            if data:
                raise EOFError(f"the link ended {count - len(data)} bytes before the end of a packet")
            return None
        data += piece
    return bytes(data)


def read_packet(connection):
    """(id, content), or None when the link has ended between two packets."""
    header = read_exactly(connection, HEADER)
    if header is None:
        return None
    length, identifier = header[0:10], header[11:31]
    if header[10:11] != b"|" or header[31:32] != b"|" or not length.isdigit() or not identifier.isdigit():
        raise ValueError(f"malformed header {header!r}")
    if int(length) < HEADER or int(identifier) >= 2 ** 64:
        raise ValueError(f"impossible header {header!r}")
    content = read_exactly(connection, int(length) - HEADER) if int(length) > HEADER else b""
    if content is None:
        raise EOFError("the link ended after a header")
    return int(identifier), content


def send_cut(connection, data, cut):
    """Sends the data in pieces of that many bytes, each a segment of its own as far as TCP allows; 0: in one."""
    if cut == 0:
        connection.sendall(data)
        return
    for start in range(0, len(data), cut):
        connection.sendall(data[start:start + cut])
