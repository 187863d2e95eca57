"""The HTTP session with an endpoint: its address, connections, certificates, proxy and key."""

import os
import ssl
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi
from yarl import URL

from holdfast.common.errors import UserError
from holdfast.inference.params import Model

CONNECT_S = 15.0  # a host that is there answers sooner, however long the answer itself takes


def address(name: str, model: Model) -> URL:
    """The endpoint's address. Raises UserError where `models.<name>.url` is none."""
    repair = f"correct models.{name}.url"
    try:
        url = URL(model.url or "")
    except ValueError as error:
        raise UserError(f"model {name}: {model.url} is not a valid address ({error}); {repair}") from None
    if url.scheme not in ("http", "https") or not url.host or not (model.url or "").isprintable():
        raise UserError(f"model {name}: {model.url!r} is not a valid address, such as http://host:8000/v1; {repair}")
    if url.user and model.api_key_env:
        raise UserError(f"model {name}: models.{name}.url names a user, and api_key_env is set; remove one of them")
    return url


async def session(model: Model) -> aiohttp.ClientSession:
    """Connections for `model.concurrency` requests at once. SSL_CERT_FILE: other authorities than Mozilla's."""
    authorities = os.environ.get("SSL_CERT_FILE") or certifi.where()
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=model.timeout_s, sock_connect=min(model.timeout_s, CONNECT_S)),
        connector=aiohttp.TCPConnector(limit=model.concurrency, ssl=ssl.create_default_context(cafile=authorities)),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def request_settings(url: URL, key: str) -> dict[str, Any]:
    """What every request is sent with: the key, and the proxy that HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY name.

    They are given with each request because aiohttp sends headers of a session to the proxy as well.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    found = getproxies()
    named = found.get(url.scheme) or found.get("all")
    if not named or proxy_bypass(url.host or ""):
        return {"headers": headers}
    proxy = URL(named if "://" in named else f"http://{named}")
    secret = aiohttp.encode_basic_auth(proxy.user, proxy.password or "") if proxy.user else None
    for_proxy = {"Proxy-Authorization": secret} if secret else {}
    if url.scheme == "http":  # the proxy reads the request itself, else only the words that open the tunnel
        return {"headers": headers | for_proxy, "proxy": proxy.with_user(None)}
    return {"headers": headers, "proxy": proxy.with_user(None), "proxy_headers": for_proxy}
