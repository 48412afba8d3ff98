"""The pages of signing in: HTML without scripts and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from customhouse.errors import Failure
    from customhouse.iam.devices import Asked

_STYLE = """
:root { color-scheme: light dark;
  --ground: light-dark(#f6f7f9, #14171a); --sheet: light-dark(#fff, #1c2024);
  --text: light-dark(#1a1f24, #e6e9ec); --quiet: light-dark(#57606a, #9aa4ae);
  --line: light-dark(#d0d7de, #3a424a); --edge: light-dark(#7d8690, #6e7883);
  --accent: light-dark(#0b5cad, #6cb2f5);
  --on-accent: light-dark(#fff, #0c1116); --wrong: light-dark(#b42318, #ff9b8f); }
* { box-sizing: border-box; }
body { margin: 0; padding: 1.5rem 1rem; min-height: 100vh; background: var(--ground);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; display: grid; align-items: center; }
main { width: 100%; max-width: 24rem; margin: 0 auto; padding: 1.5rem; background: var(--sheet);
  border: 1px solid var(--line); border-radius: .5rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.25rem; line-height: 1.3; }
p { margin: 0 0 1rem; }
form + p { margin-top: 1rem; }
main > :last-child { margin-bottom: 0; }
.name { margin-bottom: .25rem; color: var(--quiet); font-size: .875rem; font-weight: 600; }
label { display: block; margin-bottom: 1rem; font-weight: 600; }
input { display: block; width: 100%; margin-top: .25rem; padding: .5rem .625rem; font: inherit;
  color: inherit; background: var(--ground); border: 1px solid var(--edge);
  border-radius: .375rem; }
input.code, .code { font-family: ui-monospace, monospace; letter-spacing: .1em; }
button, a.button { display: block; width: 100%; padding: .5rem 1rem; font: inherit;
  font-weight: 600; text-align: center; text-decoration: none; cursor: pointer;
  color: var(--text); background: none; border: 1px solid var(--edge); border-radius: .375rem; }
button.first { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
button + button, form + form, form + a.button { margin-top: .75rem; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 0 0 1rem; }
dt { color: var(--quiet); } dd { margin: 0; }
.quiet { color: var(--quiet); } .wrong { color: var(--wrong); font-weight: 600; }
"""

_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # With `no-referrer` browsers would send `Origin: null` with the forms of these pages.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""What every page is sent with."""


def sign_in(target: str, provider: str = "", username: str = "", wrong: str = "") -> str:
    """The page to sign in.

    Args:
        target: the path to go to afterwards.
        provider: the name of the identity provider, if there is one.
        username: what was typed before.
        wrong: what was wrong with it.
    """
    other = ""
    if provider:
        where = f"/auth/oidc?next={quote(target, safe='')}"
        other = f'<a class="button" href="{escape(where)}">Sign in with {escape(provider)}</a>'
    return _page(
        "Sign in",
        f"""{_wrong(wrong)}<form method="post" action="/auth/login">
<input type="hidden" name="next" value="{escape(target)}">
<label>User name<input name="username" value="{escape(username)}" autocomplete="username"
 autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password"
 required></label>
<button class="first">Sign in</button>
</form>
{other}""",
    )


def signed_in(username: str) -> str:
    """Who is signed in."""
    return _page(
        "Signed in",
        f"""<p>You are signed in as <strong>{escape(username)}</strong>.</p>
<p><a href="/auth/device">Sign a terminal in</a></p>
<form method="post" action="/auth/logout"><button>Sign out</button></form>""",
    )


def device_entry(username: str, user_code: str = "", wrong: str = "") -> str:
    """Where the code that a terminal shows is typed in."""
    return _page(
        "Sign a terminal in",
        f"""{_wrong(wrong)}<form method="post" action="/auth/device">
<label>The code that the terminal shows<input class="code" name="user_code"
 value="{escape(user_code)}" placeholder="XXXX-XXXX" maxlength="20" autocomplete="off"
 autocapitalize="characters" spellcheck="false" required autofocus></label>
<button class="first">Continue</button>
</form>
<p class="quiet">Signed in as {escape(username)}. <a href="/auth/">Not you?</a></p>""",
    )


def device_confirmation(username: str, user_code: str, asked: Asked, minutes: int) -> str:
    """What is asked before a terminal is signed in."""
    when = "less than a minute ago" if minutes < 1 else f"{minutes} min ago"
    return _page(
        f"Sign a terminal in as {username}?",
        f"""<dl><dt>Code</dt><dd class="code">{escape(user_code)}</dd>
<dt>Program</dt><dd>calls itself {escape(asked.client)}</dd>
<dt>Address</dt><dd>{escape(asked.address)}</dd>
<dt>Asked</dt><dd>{when}</dd></dl>
<p>Allow it only if you have just started this yourself, and your terminal shows the same code.
It may then do whatever you may.</p>
<form method="post" action="/auth/device">
<input type="hidden" name="user_code" value="{escape(user_code)}">
<button class="first" name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>""",
    )


def device_decided(*, allowed: bool) -> str:
    """What became of a terminal's sign-in."""
    if allowed:
        said = "The terminal is signed in within seconds. You can close this page."
        return _page("Terminal signed in", f"<p>{said}</p>")
    return _page("Sign-in denied", "<p>The terminal is not signed in.</p>")


def failed(failure: Failure) -> str:
    """What went wrong, and what to do."""
    message = failure.message[:1].upper() + failure.message[1:]
    return _page(
        "This did not work",
        f"""<p>{escape(message)}.</p>
<p class="quiet">{escape(failure.hint)}</p>
<a class="button" href="/auth/login">Sign in</a>""",
    )


def _wrong(text: str) -> str:
    return f'<p class="wrong" role="alert">{escape(text)}</p>\n' if text else ""


def _page(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - customhouse</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<p class="name">customhouse</p>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
"""
