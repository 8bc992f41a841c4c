"""What a page can make a browser do, whether or not its visitor wants that."""

import json
from typing import Any, TypeAlias

from browser import Visitor
from playwright.sync_api import Error, Page
from support import Administrator, eventually

FETCH = "([url, options]) => fetch(url, {credentials: 'include', ...options}).then(a => a.text(), () => 'no answer')"
FORM = """([url, {method, name, value}]) => {
    const form = Object.assign(document.createElement("form"), {action: url, method, enctype: "text/plain"});
    form.append(Object.assign(document.createElement("input"), {name, value}));
    document.body.append(form);
    form.submit();
}"""
IMAGE = "([url]) => { new Image().src = url }"
LINK = "([url]) => { location = url }"
FRAME = "([url]) => { document.body.append(Object.assign(document.createElement('iframe'), {src: url})) }"

# A script, and what it takes beside the URL.
Way: TypeAlias = tuple[str, dict[str, str]]
LOGOUTS: dict[str, Way] = {
    "fetch": (FETCH, {"method": "POST", "mode": "no-cors"}),
    "fetch with text": (FETCH, {"method": "POST", "mode": "no-cors", "body": "text"}),
    "form": (FORM, {"method": "POST", "name": "any", "value": "thing"}),
    "image": (IMAGE, {}),
    "link": (LINK, {}),
}


def json_login(person: Administrator) -> dict[str, Any]:
    body = json.dumps({"email": person.email, "password": person.password})
    return {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": body}


def text_logins(person: Administrator) -> dict[str, Way]:
    """Logins that a browser sends without asking first; the form's is JSON too: `{..., "": "="}`."""
    body = json.dumps({"email": person.email, "password": person.password, "": ""})
    return {
        "fetch": (FETCH, {"method": "POST", "mode": "no-cors", "body": body}),
        "form": (FORM, {"method": "POST", "name": body[:-2], "value": '"}'}),
    }


def attempt(visitor: Visitor, page: str, url: str, way: Way) -> tuple[dict[str, str], int]:
    """Let a page try; again where the proxy wants fewer logins. Gives the headers that were sent, and the status."""
    script, options = way

    def once() -> tuple[dict[str, str], int] | None:
        try:
            visitor.page.goto(page)
        except Error as problem:
            # The form or the link of an earlier attempt may only now take the browser away.
            if "interrupted by another navigation" not in problem.message:
                raise
            return None
        sent, status = visitor.exchange(url, script, [url, options])
        return (sent, status) if status != 429 else None

    return eventually(once, seconds=20, pause=1)


def framed(page: Page, url: str) -> str:
    """What is at the address in the frame, after the page framed this URL."""
    with page.expect_event("framenavigated", lambda frame: frame.parent_frame is not None) as navigated:
        page.evaluate(FRAME, [url])
    return str(navigated.value.url)
