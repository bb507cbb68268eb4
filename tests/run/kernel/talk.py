# SPDX-License-Identifier: MIT
"""A connection, one that is refused, a datagram; all on this machine, to ports 17722 to 17724.  usage: talk.py ADDRESS"""
import socket
import sys
import threading
import time

HOST = sys.argv[1]
FAMILY = socket.AF_INET6 if ':' in HOST else socket.AF_INET


def serve(server):
    with server.accept()[0] as c:
        while c.recv(100):
            pass


with socket.socket(FAMILY, socket.SOCK_STREAM) as s:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((HOST, 17722))
    s.listen()
    t = threading.Thread(target=serve, args=[s])
    t.start()
    with socket.create_connection((HOST, 17722)) as c:
        c.send(b'hello')
    t.join()
try:
    socket.create_connection((HOST, 17723))
except ConnectionRefusedError:
    pass
with socket.socket(FAMILY, socket.SOCK_DGRAM) as u:
    u.bind((HOST, 17724))
    u.sendto(b'hello', (HOST, 17724))
    u.recv(100)
time.sleep(0.2)
