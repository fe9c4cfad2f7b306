"""A mail server for tests: STARTTLS on one port, TLS on another, a login on both; what it takes goes to a maildir.

Arguments: maildir, certificate, key, user, password. It says its two ports on the first line.
"""

import asyncio
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

maildir, certificate, key, user, password = sys.argv[1:]


def authenticate(server, session, envelope, mechanism, data):
    known = LoginPassword(user.encode(), password.encode())
    return AuthResult(success=data == known, handled=False)


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    handler = Mailbox(maildir)
    common = {"authenticator": authenticate, "auth_required": True, "hostname": "localhost"}
    loop = asyncio.get_running_loop()
    starttls = await loop.create_server(
        lambda: SMTP(handler, tls_context=context, require_starttls=True, **common), "127.0.0.1", 0
    )
    implicit = await loop.create_server(
        lambda: SMTP(handler, auth_require_tls=False, **common), "127.0.0.1", 0, ssl=context
    )
    print(*(server.sockets[0].getsockname()[1] for server in (starttls, implicit)), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
