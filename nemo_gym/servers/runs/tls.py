"""TLS between the servers of a run and their callers: certificates in files, checked against the authority of the run.

The launcher tells its processes the paths, as it tells them the token. Callers elsewhere set NEMO_GYM_RUN_CA.
"""

import contextlib
import errno
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nemo_gym.config.env_names import RUN_CA_ENV, RUN_CERT_ENV, RUN_KEY_ENV
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import TLS_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.servers.runs.renewal import RenewableContext


def ca_in_environment() -> str | None:
    """Return the file of the authority that this process was given; None: its run speaks plain HTTP."""
    return os.environ.get(RUN_CA_ENV) or None


def client_context(ca: str) -> ssl.SSLContext:
    """Return how callers check the certificates of servers; raises ConfigError for a file that can't be used."""
    return _authority(ca).now()


@cache
def _authority(ca: str) -> RenewableContext:
    return RenewableContext(_client_context, ca)


def _client_context(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ConfigError(_unusable("certificates of an authority", ca, error, f"{TLS_KEY_NAME}.ca")) from error


def server_context_in_environment() -> RenewableContext | None:
    """Return how a server of this process proves who it is; None where its run speaks plain HTTP.

    Raises:
        ConfigError: It could not, with these files; or only one of the two is named.
    """
    files = {name: os.environ.get(name) for name in (RUN_CERT_ENV, RUN_KEY_ENV)}
    cert, key = files.values()
    if cert and key:
        return RenewableContext(_server_context, cert, key)
    if cert or key:
        missing = next(name for name, path in files.items() if not path)
        fix = f"set {missing} too, it may be the same file; without both, servers speak plain HTTP"
        raise ConfigError(Mistake(f"{missing} is not set, and the other of its pair is", where=missing, fix=fix))
    return None


def _server_context(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password of ours OpenSSL asks for one at the terminal, and waits.
        context.load_cert_chain(cert, key, password=_no_password)
    except OSError as error:
        raise ConfigError(_unusable("a certificate and its key", f"{cert}, {key}", error, TLS_KEY_NAME)) from error
    return context


def _no_password() -> str:
    raise PermissionError(errno.EACCES, "the key is encrypted")


@dataclass(frozen=True)
class TlsFiles:
    """What the servers of a run prove themselves with: absolute paths, the same on every machine of the run.

    Attributes:
        cert: Certificate chain in PEM, the server's own first.
        key: Its private key in PEM.
        ca: Certificates of the authority that callers check it against.
    """

    cert: str
    key: str
    ca: str

    @classmethod
    def of(cls, config: RunConfig) -> "TlsFiles | None":
        """Return the files that a run is configured with; None: its servers speak plain HTTP.

        Raises:
            ConfigError: A server could not prove itself with them.
        """
        tls = config.tls
        if tls is None:
            return None
        if tls.cert is None or tls.key is None:
            what = "the servers of a run with TLS need a certificate and its key"
            fix = f"set {TLS_KEY_NAME}.cert and {TLS_KEY_NAME}.key; callers need {TLS_KEY_NAME}.ca alone"
            raise ConfigError(Mistake(what, where=TLS_KEY_NAME, fix=fix))
        paths = (Path(path).expanduser() for path in (tls.cert, tls.key, tls.ca))
        return cls(*(str((config.find_file(path, TLS_KEY_NAME) or path).absolute()) for path in paths))

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that tell a process of it."""
        return {RUN_CERT_ENV: self.cert, RUN_KEY_ENV: self.key, RUN_CA_ENV: self.ca}

    def server_context(self) -> RenewableContext:
        """Return how a server proves who it is; raises ConfigError for files that can't be used."""
        return RenewableContext(_server_context, self.cert, self.key)

    def require_valid_for(self, hosts: Iterable[str]) -> None:
        """Raise the ConfigError for a certificate that callers of one of these addresses would not accept."""
        server, client = self.server_context().now(), client_context(self.ca)
        refused = {host: reason for host in dict.fromkeys(hosts) if (reason := _refusal(server, client, host))}
        if refused:
            named = "; ".join(f"as {host}: {reason}" for host, reason in refused.items())
            what = f"callers would not accept {self.cert} ({named})"
            names = ", ".join(refused)
            fix = f"use a certificate that is valid now, signed by {self.ca}, with {names} among its names (SAN)"
            raise ConfigError(Mistake(what, where=TLS_KEY_NAME, fix=fix))


def _refusal(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """Shake hands in memory; return why a client that calls `host` refuses the server, None when it doesn't."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    calling = client.wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):  # more flights than a handshake has
        for end in (calling, serving):
            try:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return None


def _unusable(what: str, path: str, error: OSError, where: str) -> Mistake:
    reason = error.strerror if not isinstance(error, ssl.SSLError) else (error.reason or str(error))
    return Mistake(f"can't load {what} from {path}: {reason}", where=where, fix="name files in PEM that can be read")
