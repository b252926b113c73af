"""Captures made packet by packet: pcap files with Ethernet, IPv4 and TCP headers, as tcpdump writes them."""
import socket
import struct

SYN, FIN, RST, PSH, ACK = 0x02, 0x01, 0x04, 0x08, 0x10


class Pcap:
    """A pcap file with microseconds; each packet is added at its time, in seconds since 1970."""

    def __init__(self, path, snaplen=262144, link=1):
        self.path, self.snaplen, self.link = path, snaplen, link
        self.records = []
        self.ids = 0

    def add(self, seconds, frame, wire=None):
        held = frame[:self.snaplen]
        micros = round(seconds * 1e6)
        self.records.append(struct.pack("<IIII", micros // 1_000_000, micros % 1_000_000, len(held), wire or len(frame)) + held)

    def tcp(self, seconds, source, target, sequence, ack=0, payload=b"", flags=ACK, window=502, options=b""):
        """source, target: (address, port)."""
        self.ids += 1
        self.add(seconds, ethernet(ipv4(source[0], target[0], tcp_segment(source[1], target[1], sequence, ack, payload, flags,
                                                                          window, options), self.ids)))

    def head(self):
        return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, self.snaplen, self.link)

    def write(self):
        self.path.write_bytes(self.head() + b"".join(self.records))
        return self.path


def ethernet(packet, tags=b""):
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return b"\x02" * 6 + b"\x04" * 6 + tags + kind + packet


def ipv4(source, target, payload, number=1):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), number & 0xFFFF, 0x4000, 64, 6, 0, socket.inet_aton(source),
                       socket.inet_aton(target)) + payload


def tcp_segment(source, target, sequence, ack, payload=b"", flags=ACK, window=502, options=b""):
    options += b"\0" * (-len(options) % 4)
    return struct.pack(">HHIIBBHHH", source, target, sequence & 0xFFFFFFFF, ack & 0xFFFFFFFF, (5 + len(options) // 4) << 4, flags,
                       window, 0, 0) + options + payload


class Talk:
    """One TCP connection in a capture, with both ends' sequence numbers."""

    def __init__(self, pcap, client, server, first=(1000, 9000)):
        self.pcap, self.ends, self.next = pcap, (client, server), list(first)

    def opens(self, seconds, round_trip=0.0002):
        mss = b"\x02\x04\x05\xb4"
        self.send(seconds, 0, flags=SYN, options=mss)
        self.next[0] += 1
        self.send(seconds + round_trip, 1, flags=SYN | ACK, options=mss)
        self.next[1] += 1
        self.send(seconds + round_trip, 0)
        return self

    def send(self, seconds, side, payload=b"", flags=ACK, window=502, options=b"", lost=False, back=0):
        """side 0 is the client. lost: it does not pass the capture. back: so many bytes were sent before."""
        if not lost:
            self.pcap.tcp(seconds, self.ends[side], self.ends[1 - side], self.next[side] - back, self.next[1 - side], payload,
                          flags | (PSH if payload else 0), window, options)
        self.next[side] += max(len(payload) - back, 0)
        return self

    def ack(self, seconds, side, window=502):
        return self.send(seconds, side, window=window)

    def closes(self, seconds):
        for side in (0, 1):
            self.send(seconds, side, flags=FIN | ACK)
            self.next[side] += 1
        return self.ack(seconds, 0)


QUERY = (b"SELECT a.id FROM a WHERE " + b"a.st = 00 AND " * 40)[:296]


def story(path):
    """The packets 22953 to 22957 of facts/causes.md: the relay passes a query on in two pieces."""
    pcap = Pcap(path)
    web, relay, base = ("10.67.15.102", 40112), "10.67.15.212", ("10.13.144.139", 5432)
    outer = Talk(pcap, web, (relay, 8888), (7000, 100))
    inner = Talk(pcap, (relay, 51234), base, (5000, 200))
    outer.send(23.877515, 0, QUERY)
    inner.send(23.877611, 0, QUERY[:128])
    outer.ack(23.917294, 1)
    inner.ack(23.918398, 1)
    inner.send(23.918415, 0, QUERY[128:])
    return pcap.write()
