"""What a caller needs beside addresses: the token that it presents, and how it checks who the servers are."""

import os
from dataclasses import dataclass
from ssl import SSLContext

from nemo_gym.config.addresses import http_url
from nemo_gym.config.env_names import RUN_CERT_ENV
from nemo_gym.servers.runs.record import RunRecord, live_run_at
from nemo_gym.servers.runs.tls import ca_in_environment, client_context
from nemo_gym.servers.runs.token import token_in_environment, token_of


@dataclass(frozen=True)
class RunAccess:
    """How to call the servers of one run.

    Attributes:
        token: What they want to be shown; None: nothing.
        ca: File of the authority that their certificates are checked against; None: they speak plain HTTP.
        cert: File of those certificates, where that is known: errors name it.
    """

    token: str | None = None
    ca: str | None = None
    cert: str | None = None

    @classmethod
    def in_environment(cls) -> "RunAccess":
        """Return what this process was given, as the servers of a run are."""
        return cls(token_in_environment(), ca_in_environment(), os.environ.get(RUN_CERT_ENV))

    @classmethod
    def to_run(cls, record: RunRecord) -> "RunAccess":
        """Return how to call a run of this home."""
        # Its own token first: one in the environment can only be right for one of several runs.
        return cls(token_of(record) or token_in_environment(), record.ca or None, record.cert)

    @classmethod
    def to_head(cls, host: str, port: int, ca: str | None = None) -> "RunAccess":
        """Return how to call the run whose head is at this address: what the environment has, else this user's records.

        Args:
            ca: For a run that neither such a record nor the environment tells of.
        """
        given = cls.in_environment()
        record = live_run_at(host, port)
        if record is not None:
            # Whether a run of ours has TLS is known; an authority in the environment may be another run's.
            return cls(given.token or token_of(record), record.ca or None, record.cert)
        return cls(given.token, given.ca or ca, given.cert)

    @property
    def ssl_context(self) -> SSLContext | None:
        """How to check who the servers are; None for plain HTTP. Raises ConfigError for a file that can't be used."""
        return None if self.ca is None else client_context(self.ca)

    @property
    def ssl(self) -> SSLContext | bool:
        """The same as aiohttp wants it."""
        return self.ssl_context or True

    def url(self, host: str, port: int) -> str:
        """Return where a server of the run is called."""
        return http_url(host, port, is_tls=self.ca is not None)
