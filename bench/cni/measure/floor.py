"""What the kernel alone takes for an attachment: the rtnetlink messages that no plugin can do without, built before
the clock starts and sent from this very process, without a program's start."""

import os
import socket
import struct
import time

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR = 16, 17, 20
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLMSG_ERROR = 1, 4, 0x400, 0x200, 2
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_INFO_KIND, IFLA_INFO_DATA = 3, 10, 18, 28, 1, 2
VETH_INFO_PEER, IFA_ADDRESS, IFA_LOCAL, IFF_UP, IFA_F_NODAD = 1, 1, 2, 1, 2
FIRST_INDEX = 500_000  # far from those that the kernel gives out by itself


def attribute(kind, value):
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind, flags, payload):
    return struct.pack("IHHII", 16 + len(payload), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0) + payload


def link(index, flags=0):
    return struct.pack("BxHiII", 0, 0, index, flags, flags)


def send(channel, data):
    channel.send(data)
    answer = channel.recv(65536)
    kind, error = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if kind != NLMSG_ERROR or error != 0:
        raise OSError(-error, f"floor probe: {os.strerror(-error)}")


class Floor:
    """A pair between `bridge` here and the namespace at `netns`, made and deleted by hand."""

    def __init__(self, bridge, netns, enter, addresses):
        self._host = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        inside = os.open(netns, os.O_RDONLY)
        enter(inside)
        self._container = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        enter(home)
        os.close(home)
        peer = FIRST_INDEX + 1
        pair = attribute(VETH_INFO_PEER, link(peer) + attribute(IFLA_IFNAME, b"floor0\0") +
                         attribute(IFLA_NET_NS_FD, struct.pack("I", inside)))
        info = attribute(IFLA_INFO_KIND, b"veth\0") + attribute(IFLA_INFO_DATA, pair)
        self._make = message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, link(FIRST_INDEX, IFF_UP) +
                             attribute(IFLA_IFNAME, b"floor\0") +
                             attribute(IFLA_MASTER, struct.pack("I", socket.if_nametoindex(bridge))) +
                             attribute(IFLA_LINKINFO, info))
        self._address = []
        for text in addresses:
            ip, length = text.split("/")
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            raw = socket.inet_pton(family, ip)
            flags = IFA_F_NODAD if family == socket.AF_INET6 else 0
            self._address.append(message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL,
                                         struct.pack("BBBBi", family, int(length), flags, 0, peer) +
                                         attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)))
        self._up = message(RTM_NEWLINK, 0, link(peer, IFF_UP))
        self._delete = message(RTM_DELLINK, 0, link(FIRST_INDEX))

    def add(self):
        """Milliseconds to make the pair as a port, give the other end its addresses and set it up."""
        began = time.perf_counter_ns()
        send(self._host, self._make)
        for each in self._address:
            send(self._container, each)
        send(self._container, self._up)
        return (time.perf_counter_ns() - began) / 1e6

    def delete(self):
        began = time.perf_counter_ns()
        send(self._host, self._delete)
        return (time.perf_counter_ns() - began) / 1e6
