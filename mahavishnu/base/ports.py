"""Ports of this machine: whether one is free, and who listens on it."""

import contextlib
import errno
import socket

import psutil


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of 127.0.0.1; who only just left it does not count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def describe_owner(port: int) -> str:
    """Return who listens on a port, by name and pid where the system tells."""
    with contextlib.suppress(psutil.AccessDenied):  # macOS shows others' connections to root alone
        for each in psutil.net_connections(kind="tcp"):
            listens = each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
            with contextlib.suppress(psutil.Error):
                if listens and each.pid:
                    owner = psutil.Process(each.pid)
                    return f"{owner.name()} (pid {owner.pid}, user {owner.username()})"
    return "a process of another user, or one that the system does not show"
