#!/usr/bin/env python3
"""Exchanges two names of a directory without a pause, so that every moment of a mount meets one or the other.

  swapper.py DIRECTORY NAME OTHER...   each pair in turn, until it is killed or the directory goes
"""
import ctypes
import os
import sys

RENAME_EXCHANGE = 2
libc = ctypes.CDLL(None, use_errno=True)
place = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
names = [name.encode() for name in sys.argv[2:]]
print("ready", flush=True)
while True:
    for name, other in zip(names[::2], names[1::2]):
        if libc.renameat2(place, name, place, other, RENAME_EXCHANGE) != 0:
            sys.exit(os.strerror(ctypes.get_errno()))
