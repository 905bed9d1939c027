"""How much one run of model-written code may use."""

from dataclasses import dataclass

_MIB = 2**20


@dataclass(frozen=True)
class SandboxLimits:
    """Bounds of one run. Every value is positive; there is no "unlimited".

    Attributes:
        timeout_s: Wall-clock seconds of the whole run.
        cpu_s: CPU seconds of each process, whole seconds.
        memory_bytes: Address space of each process, and resident memory of all of them together.
        file_bytes: Size of each file written.
        scratch_bytes: Size of the scratch folder; only level `namespaces` enforces it.
        open_files: Descriptors of each process.
        processes: Processes and threads alive at the same time.
        output_bytes: What is kept of standard output, and of standard error; who writes more is ended.
    """

    timeout_s: float = 10.0
    cpu_s: int = 10
    memory_bytes: int = 512 * _MIB
    file_bytes: int = 16 * _MIB
    scratch_bytes: int = 64 * _MIB
    open_files: int = 64
    processes: int = 32
    output_bytes: int = _MIB

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0:
                raise ValueError(f"sandbox limit {name} must be positive, not {value}")
