"""A DNS server for one test: it knows one name, answers late or never, and stands on a socket it is given."""

import socket
import struct
import threading
import time

TYPE_A = 1


class NameServer(threading.Thread):
    """Answers A queries for `names` ({"db.test": ["127.0.0.1"]}) after `delay` seconds; other names do
    not exist. delay None: it never answers."""

    def __init__(self, sock, names, delay=0.0):
        super().__init__(daemon=True)
        self.questions = 0
        self._sock = sock
        self._names = names
        self._delay = delay
        self._closing = False
        sock.settimeout(0.05)  # so that close() is noticed
        self.start()

    def run(self):
        while not self._closing:
            try:
                query, asker = self._sock.recvfrom(4096)
            except TimeoutError:
                continue
            self.questions += 1
            if self._delay is None:
                continue
            time.sleep(self._delay)  # the lateness under test
            self._sock.sendto(self.answer(query), asker)

    def answer(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = struct.unpack("!H", question[-4:-2])[0]
        addresses = self._names.get(".".join(labels).lower())
        records = addresses if addresses and kind == TYPE_A else []
        response_code = 0 if addresses else 3
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | response_code, 1, len(records), 0, 0)
        return head + question + b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", TYPE_A, 1, 60, 4) + socket.inet_aton(address) for address in records)

    def close(self):
        # A socket must not be closed under a thread that uses it: the next one gets its number, and
        # the thread would read that one's packets.
        self._closing = True
        self.join()
        self._sock.close()


def serve_names(room, folder, names, delay=0.0):
    """A name server on 127.0.0.1:53 of a network room, and the room told to ask it."""
    sock = room.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 53))
    configuration = folder / "resolv.conf"
    configuration.write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:1 single-request\n")
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n::1 localhost\n")
    room.put_file("/etc/resolv.conf", configuration)
    room.put_file("/etc/hosts", hosts)
    return NameServer(sock, names, delay)
