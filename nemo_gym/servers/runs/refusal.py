"""Why a caller refuses the certificate of a server of its run, and what to do about it."""

import contextlib
import socket
import ssl
from datetime import UTC, datetime

from nemo_gym.config.env_names import RUN_CA_ENV
from nemo_gym.config.errors import Mistake
from nemo_gym.config.keys import TLS_KEY_NAME
from nemo_gym.servers.runs.access import RunAccess

_HAS_EXPIRED, _NO_CHECK_TIME = 10, ssl.VerifyFlags(0x200000)  # of OpenSSL's x509_vfy.h
_ANSWERS_WITHIN_S = 2.0


def certificate_mistake(error: ssl.SSLCertVerificationError, host: str, port: int, access: RunAccess) -> Mistake:
    """Return what is wrong with the certificate that the server at an address presented.

    OpenSSL doesn't say when a certificate expired: the server is asked for it again, which blocks up to 2 s.

    Args:
        error: How it was refused.
        access: To the run of that server.
    """
    named = f"the certificate of {access.cert or f'{host}:{port}'}"
    if error.verify_code != _HAS_EXPIRED:
        what = f"{named} is not trusted: {error.verify_message} (checked with {access.ca}, for {host})"
        fix = f"use one of that authority that is valid now, with {host} among its names (SAN); or, if it should be "
        return Mistake(what, where=TLS_KEY_NAME, fix=f"{fix}another authority, set +tls.ca=..., or {RUN_CA_ENV}")
    end = _valid_until(host, port, access)
    if end is not None and end < datetime.now(UTC):
        what = f"{named} expired at {end:%Y-%m-%d %H:%M:%S} UTC"
    else:
        what = f"{named}, or that of an authority above it, has expired"
    fix = "replace it and its key by a new pair: servers use that for new connections, without a restart, "
    fix += "or say in their logs why they can't"
    return Mistake(what, where=TLS_KEY_NAME, fix=fix)


def refusal(error: ssl.SSLCertVerificationError, host: str, port: int, access: RunAccess) -> str:
    """Return the same in one line."""
    mistake = certificate_mistake(error, host, port, access)
    return f"{mistake.what}; {mistake.fix}"


def _valid_until(host: str, port: int, access: RunAccess) -> datetime | None:
    """Return when the certificate that a server presents expires; None if it can't be had."""
    with contextlib.suppress(OSError):  # of the server, or of the authority's file, which may just be replaced
        context = ssl.create_default_context(cafile=access.ca)
        context.verify_flags |= _NO_CHECK_TIME
        with (
            socket.create_connection((host, port), _ANSWERS_WITHIN_S) as connection,
            context.wrap_socket(connection, server_hostname=host) as shaken,
        ):
            presented = shaken.getpeercert() or {}
            return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(presented["notAfter"])), UTC)
    return None
