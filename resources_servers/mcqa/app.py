"""Multiple choice: the policy must name the right option.

No tools, no state. Reward: 1.0 when the option that the answer names, by the task's own regular expression or else by
its grading mode, is `expected_answer`, else 0.0.
"""

from typing import Any

from pydantic import BaseModel, Field

from nemo_gym.environments import BaseResourcesServerConfig, Environment, HeavyWorkConfig, Rollout, Verdict, WorkError
from nemo_gym.models.chat.think import split_thoughts
from resources_servers.mcqa.grading import GradingMode, OnConflict, graded_letter, option_texts, template_letter
from resources_servers.mcqa.template_regex import template_matches


class MCQAResourcesServerConfig(BaseResourcesServerConfig):
    on_conflict: OnConflict = Field(
        default="refuse", description="An answer that names different options: no answer (refuse), or the first one."
    )
    heavy_work: HeavyWorkConfig = HeavyWorkConfig(max_processes=1, cpu_limit_s=1.0)


class Task(BaseModel):
    options: list[dict[str, str | None]]
    expected_answer: str
    grading_mode: GradingMode = "strict_single_letter_boxed"
    template_metadata: dict[str, Any] | None = None


class MCQAResourcesServer(Environment):
    config: MCQAResourcesServerConfig

    async def reward(self, rollout: Rollout, task: Task) -> Verdict:
        text = split_thoughts("\n".join(rollout.texts)).text.strip()
        options, expected = option_texts(task.options), task.expected_answer.strip().upper()
        named = await self._by_template(text, task, options) or graded_letter(
            text, options, task.grading_mode, self.config.on_conflict
        )
        right = named is not None and named == expected
        return Verdict(float(right), fields={"expected_answer": expected, "extracted_answer": named})

    async def _by_template(self, text: str, task: Task, options: dict[str, str]) -> str | None:
        pattern = (task.template_metadata or {}).get("output_regex")
        if not isinstance(pattern, str) or not pattern:
            return None
        try:
            return template_letter(await self.heavy_work.run(template_matches, pattern, text), options)
        except WorkError:  # not a regular expression, or one that takes for ever: the grading mode decides
            return None


if __name__ == "__main__":
    MCQAResourcesServer.run_webserver()
