"""Serving the page: on this machine alone, unless another address is asked for by name."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

from .app import application


def serve(
    folder: Path, host: str = "127.0.0.1", port: int = 0, say: Callable[[str], None] = print
) -> None:
    """Serve the page of a folder's runs until interrupted.

    Args:
        host: another address than this machine's own asks for a token, which is in the address that
            `say` is told.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be had.
    """
    import uvicorn

    token = "" if _is_own(host) else secrets.token_urlsafe(16)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host, port))
        held.listen(128)  # who comes before the server is up waits
        taken = held.getsockname()[1]
        names = ("127.0.0.1", "localhost", "[::1]")
        hosts = {f"{name}:{taken}" for name in names} if _is_own(host) else set()
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{taken}/" + (f"?token={token}" if token else ""))
        config = uvicorn.Config(
            application(folder, hosts, token),
            log_level="critical",  # our own answers say what is wrong; the rest is its end
            access_log=False,
            timeout_graceful_shutdown=1,  # a page that is open follows its run for ever
        )
        uvicorn.Server(config).run(sockets=[held])


def _is_own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
