"""Multi-step: the policy finds a term's synonyms, gets the value of each, and hands all values in, in the task's order.

The calls depend on each other: what `extract_synonym_values` is given comes from the results of `get_synonym_value`.
Reward: 1.0 when the last call of `extract_synonym_values` has exactly the task's `expected_synonym_values`, else 0.0.
"""

from typing import Any

from pydantic import BaseModel

from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout, Verdict, tool


class ExampleMultiStepResourcesServerConfig(BaseResourcesServerConfig):
    pass


class GetSynonymValueResponse(BaseModel):
    synonym_value: int


class ExtractSynonymValuesResponse(BaseModel):
    success: bool


class ExampleMultiStepResourcesServer(Environment):
    config: ExampleMultiStepResourcesServerConfig

    @tool
    async def get_synonym_value(self, synonym: str) -> GetSynonymValueResponse:
        """Get the value of a synonym."""
        return GetSynonymValueResponse(synonym_value=sum(map(ord, synonym)))

    @tool
    async def extract_synonym_values(self, synonym_values: list[int]) -> ExtractSynonymValuesResponse:
        """Hand in the values of all synonyms, in the order of the synonyms."""
        return ExtractSynonymValuesResponse(success=True)

    async def reward(
        self,
        rollout: Rollout,
        id: int,
        expected_synonyms: list[str],
        expected_synonym_values: list[int],
        minefield_label: str,
        minefield_label_value: int,
    ) -> Verdict:
        values = _handed_in(rollout)
        integers = [value for value in values if type(value) is int]
        is_accurate = values == integers == expected_synonym_values
        # Of the distinct values: two synonyms may be worth the same.
        wanted = set(expected_synonym_values)
        overlap = len(wanted & set(integers)) / len(wanted) if wanted else 1.0
        fields = {
            "parsed_synonym_values": values,
            "accuracy": is_accurate,
            "set_overlap": overlap,
            "original_term_minefield_hit": minefield_label in values or minefield_label_value in integers,
            "order_instruction_following_failure": not is_accurate and overlap == 1.0,
        }
        return Verdict(float(is_accurate), fields=fields)


def _handed_in(rollout: Rollout) -> list[Any]:
    """Return what the last call hands in, whatever the policy wrote in the list; empty without one."""
    calls = rollout.calls_of("extract_synonym_values")
    values = (calls[-1].arguments or {}).get("synonym_values") if calls else None
    return values if isinstance(values, list) else []


if __name__ == "__main__":
    ExampleMultiStepResourcesServer.run_webserver()
