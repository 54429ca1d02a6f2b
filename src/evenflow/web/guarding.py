"""Who may ask: only pages that this server sent, on this machine, or who holds the token."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "evenflow-token"
#: Nothing is fetched but from this server; no page may hold ours in a frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class Gatekeeper:
    """Refuses a Host that is not ours (DNS rebinding), requests of other sites' pages, and, where a
    token is asked for, who does not bring it in the address or in the cookie that it left.

    Args:
        hosts: values of the Host header that are ours, with their port.
        token: "" = none is asked for.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str = "") -> None:
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        why = self._refusal(scope, headers)
        if why:
            await PlainTextResponse(f"evenflow ui: {why}\n", 403, _HEADERS)(scope, receive, send)
            return
        given = self._in_address(scope)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                for key, value in _HEADERS.items():
                    told.setdefault(key, value)
                if given:
                    told.append(
                        "Set-Cookie", f"{COOKIE}={given}; HttpOnly; SameSite=Strict; Path=/"
                    )
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> str:
        host = headers.get("host", "")
        if self.hosts and host not in self.hosts:
            return f"the host {host!r:.100} is not this server"
        origin = headers.get("origin", "")
        if origin and origin not in (f"http://{host}", f"https://{host}"):
            return "a page of another site asks"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a page of another site asks"
        if self.token and not (self._in_address(scope) or self._in_cookie(headers)):
            return "the address must end in ?token=..., as it was printed"
        return ""

    def _in_address(self, scope: Scope) -> str:
        found = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[-1]
        return found if self._is_token(found) else ""

    def _in_cookie(self, headers: Headers) -> bool:
        try:
            held = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return held is not None and self._is_token(held.value)

    def _is_token(self, text: str) -> bool:
        return bool(self.token) and hmac.compare_digest(text.encode(), self.token.encode())
