"""The HTTP side of WHIP (RFC 9725): the offer is posted, the answer comes back with the session's address, and the
session is deleted at the end. The token goes to the server that was named alone, over a connection that is verified."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import urllib.error
import urllib.request
from urllib.parse import urljoin, urlsplit

from ...errors import OptionError, SinkError

SDP = "application/sdp"
REDIRECTS = (307, 308)
MOST_REDIRECTS = 3
LONGEST_ANSWER = 1 << 20  # bytes
END_SECONDS = 3.0         # what the deletion may take


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """A redirected POST is to be posted again, which urllib would not do; and the token is not for others."""

    def redirect_request(self, *told: object) -> None:
        return None


class WhipEndpoint:
    """A WHIP server's endpoint at ``url``, which messages call ``shown``.

    token    the bearer token, None for none; it appears in no message
    timeout  seconds for each step of a request
    """

    def __init__(self, url: str, shown: str, token: str | None, timeout: float) -> None:
        self._url, self._shown, self._timeout = url, shown, timeout
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._session: str | None = None
        self._opener = urllib.request.build_opener(_Unfollowed)

    def offer(self, offer: bytes) -> bytes:
        """Post an offer. -> the server's answer. Raises SinkError, which says what the server said."""
        where = self._url
        for _ in range(MOST_REDIRECTS + 1):
            try:
                with self._request("POST", where, self._timeout, offer) as answered:
                    return self._answer(answered, where)
            except urllib.error.HTTPError as error:
                if error.code not in REDIRECTS:
                    raise SinkError(f"{self._shown} {self._refusal(error.code, error.reason)}") from error
                where = self._redirected(where, error.headers.get("Location", ""))
            except (OSError, http.client.HTTPException) as error:
                raise SinkError(f"{self._shown} cannot be reached: {_reason(error)}") from error
        raise SinkError(f"{self._shown} redirects more than {MOST_REDIRECTS} times: give the last address")

    def end(self) -> None:
        """Delete the session; a server that does not answer ends it by itself. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(OSError, http.client.HTTPException), \
                    self._request("DELETE", session, END_SECONDS):
                pass

    def _request(self, method: str, url: str, seconds: float, data: bytes | None = None) -> http.client.HTTPResponse:
        headers = self._headers | ({} if data is None else {"Content-Type": SDP})
        made = urllib.request.Request(url, data, headers, method=method)
        opened: http.client.HTTPResponse = self._opener.open(made, timeout=seconds)
        return opened

    def _answer(self, answered: http.client.HTTPResponse, where: str) -> bytes:
        content = answered.read(LONGEST_ANSWER)
        session = answered.headers.get("Location")
        if answered.status != http.HTTPStatus.CREATED or not content.startswith(b"v=0"):
            raise SinkError(f"{self._shown} {self._refusal(answered.status, answered.reason)}")
        if session:
            address = urljoin(where, session)
            # elsewhere the token would reach who was never named
            self._session = address if _origin(address) == _origin(where) else None
        return content

    def _redirected(self, where: str, to: str) -> str:
        address = urljoin(where, to)
        if _origin(address) != _origin(where):
            raise SinkError(f"{self._shown} redirects to {urlsplit(address).netloc or 'nowhere'}, which the token is "
                            "not sent to unasked: give that address")
        return address

    def _refusal(self, code: int, words: str) -> str:
        said = f"({code} {words})"
        if code in (401, 403):
            remedy = "another" if self._headers else "one"
            return f"refuses the stream {said}: give {remedy} token with --whip-token or STREAMSEG_WHIP_TOKEN"
        if code in (404, 405, 410, 415) or code < 400:
            return f"has no WHIP endpoint at this address {said}: check its path"
        return f"does not take the stream {said}"


def check_url(url: str, shown: str) -> None:
    """Raise OptionError for what is no address of a WHIP endpoint. It is not shown: its path may be secret."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise OptionError(f"--to is {shown}, which is not a valid address ({error}): write it as "
                          "whip:https://host/path") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or any(map(str.isspace, url)):
        raise OptionError(f"--to is {shown}, which is no address of a WHIP endpoint: write it as whip:https://host/path")
    if parts.username is not None:
        raise OptionError(f"--to is {shown} with a user's name: WHIP wants a token, as --whip-token or "
                          "STREAMSEG_WHIP_TOKEN")


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _reason(error: Exception) -> str:
    """What went wrong on the way to the server, in words."""
    why = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(why, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({why.verify_message})"
    if isinstance(why, socket.gaierror):
        return "its host is not known; check the address"
    if isinstance(why, TimeoutError):
        return "it does not answer in time"
    if isinstance(why, http.client.HTTPException):
        return "it does not speak HTTP"
    return str(getattr(why, "strerror", None) or why)
