"""Every environment variable of ours. Standard library only: a server process reads some before it imports anything."""

HOME_ENV = "NEMO_GYM_HOME"
"""Folder of run directories and environments; `~/.nemo_gym` by default."""

NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME = "NEMO_GYM_CONFIG_DICT"
"""The whole configuration of this process, as YAML."""

CONFIG_FILE_ENV = "NEMO_GYM_CONFIG_FILE"
"""The same as a file, which has no limit of size: what the launcher gives its servers. NEMO_GYM_CONFIG_DICT wins."""

NEMO_GYM_CONFIG_PATH_ENV_VAR_NAME = "NEMO_GYM_CONFIG_PATH"
"""Name of the instance that this process serves."""

RUN_TOKEN_ENV = "NEMO_GYM_RUN_TOKEN"
"""What callers of the run's servers present."""

RUN_CA_ENV = "NEMO_GYM_RUN_CA"
"""File of the authority that the certificates of the run's servers are checked against; unset: they have none."""

RUN_CERT_ENV = "NEMO_GYM_RUN_CERT"
"""File of the certificate that a server of the run presents."""

RUN_KEY_ENV = "NEMO_GYM_RUN_KEY"
"""File of its private key."""

RUN_SECRET_ENV = "NEMO_GYM_RUN_SECRET"
"""What the run's session cookies are signed with."""

LISTEN_FDS_ENV = "NEMO_GYM_LISTEN_FDS"
"""JSON: descriptors of sockets that the launcher bound, by instance name."""

STATUS_FD_ENV = "NEMO_GYM_STATUS_FD"
"""Descriptor on which a server process says how far its start has come."""

LIFELINE_FD_ENV = "NEMO_GYM_LIFELINE_FD"
"""Read end of a pipe that closes when the launcher is gone."""

AUTH_ENV = "NEMO_GYM_AUTH"
"""The configuration key `auth`, for containers and trainers that can't set keys."""

ALLOW_UNAUTHENTICATED_NETWORK_ENV = "NEMO_GYM_ALLOW_UNAUTHENTICATED_NETWORK"
"""The configuration key `allow_unauthenticated_network`."""

WORKER_INDEX_ENV = "NEMO_GYM_WORKER_INDEX"
"""Which of several workers of its instances this process is, from 0."""

COLOCATED_SCRIPTS_ENV = "NEMO_GYM_COLOCATED_SCRIPTS"
"""JSON, in a process that holds several servers: the script of each by instance name."""

RAY_ADDRESS_ENV = "RAY_ADDRESS"
"""Of Ray: the cluster to join. Servers with `ray_enabled: true` get that of their run."""

RAY_NAMESPACE_ENV = "NEMO_GYM_RAY_NAMESPACE"
"""The namespace of the run on its cluster."""

OF_ANOTHER_RUN = (RUN_TOKEN_ENV, RUN_CA_ENV, RUN_CERT_ENV, RUN_KEY_ENV, NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME)
"""What the processes of a run take from nobody but their launcher."""
