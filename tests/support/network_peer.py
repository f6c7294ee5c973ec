#!/usr/bin/env python3
"""Plays programs on a network for feature scripts, in whatever network namespace it is started.

  serve PORT TEXT [ADDRESS]        answers each TCP connection and each datagram with "TEXT <peer's address>"
  ask tcp|udp ADDRESS PORT [FROM]  prints what a server says, or "refused", or "nothing" (within two seconds)
  names PORT ADDRESS NAME=ADDRESS... a name server (A, AAAA, PTR of those names; else "no such name")
  forge udp|tcp INTERFACE MAC SOURCE DESTINATION PORT  sends one packet past the kernel's own checks
  heard PORT FILE                  writes what datagrams and connections come to 127.0.0.1:PORT, one line each
  without-nftables COMMAND...      runs a command that may not open netfilter's sockets, as on a host that has no nftables
"""
import ctypes
import errno
import os
import platform
import select
import socket
import struct
import sys


def both_families(kind, address, port):
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.socket(family, kind)
    else:
        address, family = "::", socket.AF_INET6
        listener = socket.socket(family, kind)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    if kind == socket.SOCK_STREAM:
        listener.listen(64)
    return listener


def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


def serve(port, text, address=""):
    stream = both_families(socket.SOCK_STREAM, address, int(port))
    datagram = both_families(socket.SOCK_DGRAM, address, int(port))
    print("ready", flush=True)
    while True:
        for ready in select.select([stream, datagram], [], [])[0]:
            try:
                if ready is stream:
                    client, peer = stream.accept()
                    with client:
                        client.settimeout(2)
                        client.recv(4096)
                        client.sendall(f"{text} {plain(peer[0])}\n".encode())
                else:
                    _, peer = datagram.recvfrom(4096)
                    datagram.sendto(f"{text} {plain(peer[0])}\n".encode(), peer)
            except OSError:
                continue


def answer_of(kind, address, port, source):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    client = socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    client.settimeout(2)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if source:
            client.bind(("", int(source)))
        # Connected: an answer from another address than the asked one is no answer.
        client.connect((address, int(port)))
        client.send(b"who am I\n")
        return client.recv(4096).decode().strip() or "refused"
    except (ConnectionRefusedError, ConnectionResetError):
        return "refused"
    except OSError:
        return "nothing"


def ask(kind, address, port, source=""):
    print(answer_of(kind, address, port, source))


def encode_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


def dns_answer(query, records):
    end, labels = 12, []
    while query[end]:
        labels.append(query[end + 1:end + 1 + query[end]].decode().lower())
        end += query[end] + 1
    name, (kind,) = ".".join(labels), struct.unpack(">H", query[end + 1:end + 3])
    question = query[12:end + 5]
    data = []
    if name.endswith(".in-addr.arpa") and kind == 12:
        address = ".".join(reversed(name.split(".")[:4]))
        data = [encode_name(host) for host, value in records if value == address]
    known = bool(data) or any(host == name for host, _ in records)
    for host, value in records:
        family = socket.AF_INET6 if ":" in value else socket.AF_INET
        if host == name and kind == (28 if family == socket.AF_INET6 else 1):
            data.append(socket.inet_pton(family, value))
    flags = 0x8180 if known else 0x8183
    head = query[:2] + struct.pack(">HHHHH", flags, 1, len(data), 0, 0)
    return head + question + b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 5, len(item)) + item for item in data)


def names(port, address, *pairs):
    records = [tuple(pair.split("=", 1)) for pair in pairs]
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, int(port)))
    print("ready", flush=True)
    while True:
        query, peer = server.recvfrom(4096)
        if len(query) > 16:
            server.sendto(dns_answer(query, records), peer)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def forge(kind, interface, mac, source, destination, port):
    protocol = socket.IPPROTO_UDP if kind == "udp" else socket.IPPROTO_TCP
    payload = b"forged\n" if kind == "udp" else b""
    if kind == "udp":
        segment = struct.pack(">HHHH", 4444, int(port), 8 + len(payload), 0) + payload
    else:
        segment = struct.pack(">HHIIBBHHH", 4444, int(port), 1, 0, 5 << 4, 2, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(">BBH", 0, protocol, len(segment))
    at = 6 if kind == "udp" else 16
    segment = segment[:at] + struct.pack(">H", checksum(pseudo + segment)) + segment[at + 2:]
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0)
    head += socket.inet_aton(source) + socket.inet_aton(destination)
    head = head[:10] + struct.pack(">H", checksum(head)) + head[12:]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind((interface, 0))
    own = wire.getsockname()[4]
    wire.send(bytes.fromhex(mac.replace(":", "")) + own + b"\x08\x00" + head + segment)


def heard(port, path):
    stream = both_families(socket.SOCK_STREAM, "127.0.0.1", int(port))
    datagram = both_families(socket.SOCK_DGRAM, "127.0.0.1", int(port))
    with open(path, "a", encoding="utf-8") as out:
        print("ready", flush=True)
        while True:
            for ready in select.select([stream, datagram], [], [])[0]:
                peer = stream.accept()[1] if ready is stream else datagram.recvfrom(4096)[1]
                print("tcp" if ready is stream else "udp", peer[0], file=out, flush=True)


def without_nftables(*command):
    libc = ctypes.CDLL(None, use_errno=True)
    refuse, allow, number = 0x00050000 | errno.EPERM, 0x7FFF0000, {"x86_64": 41, "aarch64": 198}[platform.machine()]
    # socket(AF_NETLINK, ..., NETLINK_NETFILTER): the number of the call, its first and its third argument.
    code = [(0x20, 0, 0, 0), (0x15, 0, 5, number), (0x20, 0, 0, 16), (0x15, 0, 3, socket.AF_NETLINK), (0x20, 0, 0, 32),
            (0x15, 0, 1, 12), (0x06, 0, 0, refuse), (0x06, 0, 0, allow)]
    program = b"".join(struct.pack("<HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program, len(program))
    filters = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(buffer)))
    if libc.prctl(22, ctypes.c_ulong(2), ctypes.c_void_p(ctypes.addressof(filters)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.execvp(command[0], command)


if __name__ == "__main__":
    commands = {"serve": serve, "ask": ask, "names": names, "forge": forge, "heard": heard,
                "without-nftables": without_nftables}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])
