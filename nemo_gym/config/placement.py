"""Where on a Ray cluster a server's processes are put."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Placement(BaseModel):
    """What one process reserves, and which nodes may have it. Without `node` and `every_node`, Ray chooses."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_cpus: Amount = Field(default=1, description="CPUs that each process reserves.")
    num_gpus: Amount = Field(default=0, description="GPUs that each process reserves; it sees no others.")
    memory: int | None = Field(default=None, ge=1, description="Bytes of memory that each process reserves.")
    resources: dict[str, Amount] = Field(default={}, description="Custom resources of the cluster, by name.")
    node: str | None = Field(default=None, description="The one node to use: its address, host name or Ray id.")
    strategy: Literal["spread", "pack"] = Field(
        default="spread",
        description="spread: over as many nodes as there are; pack: together on one while it has room.",
    )
    every_node: bool = Field(default=False, description="One process on each node, instead of num_workers.")

    @model_validator(mode="after")
    def _is_one_choice(self) -> Self:
        if self.every_node and self.node is not None:
            raise ValueError("every_node and node contradict each other: leave one out")
        return self

    @property
    def demands(self) -> dict[str, float]:
        """What one process reserves, by the names that Ray uses; nothing that is 0."""
        named = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": float(self.memory or 0), **self.resources}
        return {name: amount for name, amount in named.items() if amount}
