"""The MultiLangDaemon's child: relays its lines to the service's socket and the service's frames back. Nothing else.

Run by path, without site-packages, so that it starts in milliseconds and stays small. It ends when either side hangs up.
A frame is four bytes of big-endian length and then as many bytes; a line travels without its newline.
"""

import os
import select
import socket
import struct
import sys

_CHUNK = 1 << 16
_STDIN, _STDOUT = 0, 1


def _lines(buffer: bytearray, chunk: bytes) -> list[bytes]:
    """Take a chunk in and return the lines that it completed, without blank ones."""
    if b"\n" not in chunk:
        buffer += chunk
        return []
    *complete, rest = (bytes(buffer) + chunk).split(b"\n")
    buffer[:] = rest
    return [line for line in complete if line.strip()]


def _frames(buffer: bytearray, chunk: bytes) -> list[bytes]:
    """Take a chunk in and return the payloads of the frames that it completed."""
    buffer += chunk
    complete = []
    while len(buffer) >= 4:  # noqa: PLR2004 - the length itself
        end = 4 + struct.unpack_from(">I", buffer)[0]
        if len(buffer) < end:
            break
        complete.append(bytes(buffer[4:end]))
        del buffer[:end]
    return complete


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def relay(link: socket.socket, stdin: int = _STDIN, stdout: int = _STDOUT) -> int:
    """Relay both ways until one side hangs up; return the exit code: 0 where it was the daemon, 1 where it was the service."""
    poll = select.poll()
    poll.register(stdin, select.POLLIN | select.POLLHUP)
    poll.register(link.fileno(), select.POLLIN | select.POLLHUP)
    lines, frames = bytearray(), bytearray()
    while True:
        ready = dict(poll.poll())
        if link.fileno() in ready:
            chunk = link.recv(_CHUNK)
            if not chunk:
                return 1
            for frame in _frames(frames, chunk):
                _write_all(stdout, frame + b"\n")
        if stdin in ready:
            chunk = os.read(stdin, _CHUNK)
            if not chunk:
                return 0
            for line in _lines(lines, chunk):
                link.sendall(struct.pack(">I", len(line)) + line)


def main(path: str) -> int:
    """Connect to the service and relay."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.connect(path)
        return relay(link)


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1])
    finally:
        # Whatever went wrong, the daemon must see this process end, even when stderr is a broken pipe.
        os._exit(code)
