"""The actor that stands on a node for one process. It is sent as it is, so it knows nothing but the standard library.

Its code becomes that of the run, which is sent along: neither has to be installed on the node.
"""

import importlib
import importlib.metadata
import io
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any


class NodeActor:
    """Unpacks the code of the run, and passes calls on to `nemo_gym.launch.ray.node_process.NodeProcess`."""

    def __init__(self) -> None:
        self._process: Any = None

    async def where_and_what(self, wanted: list[str]) -> tuple[str, str, list[str]]:
        """Return the node's address, its id, and which packages it lacks, in words; `wanted` are `name==version`."""
        import ray

        address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return address, ray.get_runtime_context().get_node_id(), self._lacking(wanted)

    def _lacking(self, wanted: list[str]) -> list[str]:
        found = []
        for line in wanted:
            name, _, version = line.partition("==")
            try:
                here = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                here = "not installed"
            if here != version:
                found.append(f"{name} {version} (there: {here})")
        return found

    async def unpack(self, content: bytes, digest: str) -> None:
        """Unpack the code of the run, unless this node has it from before, and load it."""
        home = Path(os.environ.get("NEMO_GYM_HOME") or Path.home() / ".nemo_gym")
        root = home / "shipped" / digest
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = tempfile.mkdtemp(prefix=f"{digest}.", dir=root.parent)
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(draft)
            try:
                os.rename(draft, root)
            except OSError:  # another actor of this node was faster
                if not root.exists():
                    raise
        sys.path.insert(0, str(root))
        self._process = importlib.import_module("nemo_gym.launch.ray.node_process").NodeProcess(root)

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the node's process."""
        return await getattr(self._process, method)(*arguments)
