"""Read, merge, resolve and check the whole configuration, before anything starts."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from nemo_gym.config.addresses import reachable_host
from nemo_gym.config.checks.access import check_access
from nemo_gym.config.checks.instances import ServerInstance, make_instance
from nemo_gym.config.checks.servers import CheckedServers, check_servers, inside_servers
from nemo_gym.config.checks.typos import find_typos
from nemo_gym.config.checks.urls import check_urls
from nemo_gym.config.checks.validation import validated
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.paths import find_file
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.reading.default_agents import add_default_agents, add_run_wide_settings
from nemo_gym.config.reading.interpolation import Finding, Resolved, as_literal, resolve
from nemo_gym.config.reading.merged import MergedConfig, Source, merge
from nemo_gym.config.reading.sources import gather_sources
from nemo_gym.config.schema import RequiredSandbox, RunSettings, TlsSettings
from nemo_gym.config.secrets import guard_output, learn_secrets, secret_values
from nemo_gym.wire.scrubber import is_telling

_log = logging.getLogger("nemo_gym.config")


@dataclass(frozen=True)
class RunConfig:
    """A configuration without mistakes.

    Attributes:
        global_config_dict: Merged and resolved, secrets included.
        instances: The servers to start, in the order of the configuration.
        head_host: Where the head is called.
        head_port: 1 to 65535.
        head_bind_host: The address it listens on.
        wants_token: Callers of its servers must present the run's token.
        tls: Certificate files of its servers; None: they speak plain HTTP.
        require_sandbox: What every sandbox of the run must give; None leaves it to each server.
        merged: Where each key was set.
        ignored: Why servers were left out, with `error_on_almost_servers=false`; they are not in
            `global_config_dict` either.
    """

    global_config_dict: DictConfig = field(repr=False)  # holds secrets
    instances: tuple[ServerInstance, ...]
    head_host: str
    head_port: int
    head_bind_host: str
    wants_token: bool
    tls: TlsSettings | None
    require_sandbox: RequiredSandbox | None
    merged: MergedConfig = field(repr=False)
    ignored: tuple[Mistake, ...] = ()

    def where(self, *path: str | int) -> str:
        """Return "<source>, key <dotted key>" of a key, as mistakes show it."""
        return self.merged.where(*path)

    def find_file(self, path: Path, key: str) -> Path | None:
        """Return an existing file that the value of `key` names, or None.

        A relative path is looked for beside the file that sets `key`, in the current folder and in the project root;
        then beside every configuration file, so that a path on the command line may be one of the configuration's.
        """
        folders = [self.merged.folder_of(key), *self.merged.folders]
        return next(filter(None, (find_file(path, beside=folder) for folder in folders)), None)


def load_config(
    command_line: CommandLine | None = None,
    *,
    dotenv_path: Path | None = None,
    skip_dotenv: bool = False,
    initial: Mapping[str, Any] | DictConfig | None = None,
    own_keys: Collection[str] = (),
) -> RunConfig:
    """Return the checked configuration of a run.

    Args:
        command_line: Highest precedence; None when there is none.
        dotenv_path: Used instead of looking for `env.yaml` here and in the project root; may not exist.
        skip_dotenv: Read no `env.yaml` at all.
        initial: A program's own values: above `env.yaml`, below the command line.
        own_keys: Option names of the calling command, so that a misspelt one is noticed.

    Raises:
        ConfigError: With every mistake. Files that are missing or can't be read come first and alone, since
            without them nothing certain can be said about the rest.
    """
    sources = gather_sources(command_line, dotenv_path=dotenv_path, skip_dotenv=skip_dotenv, initial=initial)
    _warn_of_arguments(command_line)
    checked = check_sources(sources, own_keys, locate=True)
    run = checked.run
    return RunConfig(
        global_config_dict=checked.values,
        instances=tuple(
            make_instance(server.block, server.settings, server.folder, run)
            for server in checked.servers.passed
            if server.folder is not None  # always: a server whose folder isn't found hasn't passed
        ),
        head_host=reachable_host(run.head_server.host),
        head_port=run.head_server.port,
        head_bind_host=run.head_bind_host,
        wants_token=run.auth == "token",
        tls=run.tls,
        require_sandbox=run.require_sandbox,
        merged=checked.merged,
        ignored=tuple(finding.mistake for finding in checked.servers.findings),
    )


def merge_sources(
    command_line: CommandLine | None = None,
    *,
    dotenv_path: Path | None = None,
    skip_dotenv: bool = False,
    initial: Mapping[str, Any] | DictConfig | None = None,
    own_keys: Collection[str] = (),
) -> DictConfig:
    """Return the merged and resolved values, for a command that starts no server; arguments as in `load_config`.

    Servers are not checked; values inside them that can't be resolved are left out.

    Raises:
        ConfigError: With every mistake outside of servers.
    """
    sources = gather_sources(command_line, dotenv_path=dotenv_path, skip_dotenv=skip_dotenv, initial=initial)
    merged = merge(sources)
    resolved = resolve_and_hide(merged)
    unresolved = [finding for finding in resolved.findings if not inside_servers(finding, merged)]
    _raise_any(find_typos(sources, own_keys) + unresolved + _run_wide(resolved, merged)[1])
    return _as_dict_config(resolved)


@dataclass(frozen=True)
class CheckedConfig:
    """A configuration without mistakes, before addresses are made of it.

    Attributes:
        run: The run-wide settings.
        servers: The servers, those that are left out included.
        values: Resolved; without the servers that are left out, with secrets.
        merged: Where each key was set.
    """

    run: RunSettings
    servers: CheckedServers
    values: DictConfig = field(repr=False)
    merged: MergedConfig = field(repr=False)


def check_sources(sources: list[Source], own_keys: Collection[str] = (), *, locate: bool) -> CheckedConfig:
    """Check merged sources.

    Args:
        sources: Lowest precedence first.
        own_keys: As in `load_config`.
        locate: Also look for the components' folders; a program that starts no server can do without.

    Raises:
        ConfigError: With every mistake.
    """
    typos = find_typos(sources, own_keys)
    misspelt = {finding.paths[0][0] for finding in typos if len(finding.paths[0]) == 1}
    # Without the misspelt keys: what follows from them isn't worth a mistake of its own.
    merged = merge([_without(source, misspelt) for source in sources])
    add_default_agents(merged)
    add_run_wide_settings(merged)
    resolved = resolve_and_hide(merged)
    run, findings = _run_wide(resolved, merged)
    inside: list[Finding] = []
    outside: list[Finding] = []
    for finding in resolved.findings + check_urls(resolved, merged):
        (inside if inside_servers(finding, merged) else outside).append(finding)
    servers = check_servers(resolved, inside, merged, run, locate=locate)
    findings = outside + findings + check_access(run, [(s.block, s.settings) for s in servers.passed], merged)
    _raise_any(typos + findings + (servers.findings if run.error_on_almost_servers else []))
    for finding in servers.about_datasets:
        _log.warning(finding.mistake.as_warning())
    for name in servers.almost:
        resolved.values.pop(name, None)
    return CheckedConfig(run, servers, _as_dict_config(resolved), merged)


def resolve_and_hide(merged: MergedConfig) -> Resolved:
    """Resolve, and hide the secrets in it before anything is printed about it."""
    guard_output()
    learn_secrets(merged.values)
    resolved = resolve(merged)
    learn_secrets(resolved.values)
    return resolved


def _warn_of_arguments(command_line: CommandLine | None) -> None:
    values = command_line.overrides if command_line is not None else {}
    for key in (key for key, value in values.items() if any(map(is_telling, secret_values({key: value})))):
        _log.warning("%s is on the command line, which all users of this machine can read: use env.yaml", key)


def _run_wide(resolved: Resolved, merged: MergedConfig) -> tuple[RunSettings, list[Finding]]:
    """The run-wide settings (the defaults where they are wrong), and what is wrong with them."""
    settings, findings = validated(RunSettings, resolved.values, (), resolved.left_out, merged.where)
    return settings or RunSettings(), findings


def _without(source: Source, keys: Collection[str | int]) -> Source:
    values = {key: value for key, value in source.values.items() if key not in keys}
    return Source(source.name, values, source.folder)


def _as_dict_config(resolved: Resolved) -> DictConfig:
    return DictConfig(as_literal(resolved.values))


def _raise_any(findings: list[Finding]) -> None:
    if findings:
        raise ConfigError(*(finding.mistake for finding in findings))
