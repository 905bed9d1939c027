"""Certificates of an authority that a test makes."""

import os
from datetime import datetime
from pathlib import Path

import trustme


def make_certificates(
    folder: Path, *names: str, authority: trustme.CA | None = None, expires: datetime | None = None
) -> dict[str, Path]:
    """Write the files of a `tls` block, with a certificate for these addresses and names, and return them by key."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / f"{name}.pem" for name in ("cert", "key", "ca")}
    authority = authority or trustme.CA()
    certificate = authority.issue_cert(*names, not_after=expires)
    files["cert"].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["ca"])
    return files


def tls_overrides(files: dict[str, Path]) -> list[str]:
    """Return the arguments of a command that configure these files."""
    return [f"+tls.{key}={path}" for key, path in files.items()]


def replace_files(files: dict[str, Path], new: dict[str, Path], *names: str) -> None:
    """Rename new files into the place of others, as certbot does."""
    for name in names:
        os.replace(new[name], files[name])
