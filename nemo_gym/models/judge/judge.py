"""The judge: asks a model server for a verdict, within bounds; what goes wrong is a failure and never a reward."""

from collections.abc import Sequence
from pathlib import Path

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.models.auxiliary_model import AuxiliaryModel
from nemo_gym.models.judge.config import JudgeConfig
from nemo_gym.models.judge.judgement import JudgeEvaluation, Judgement, JudgeUsage, final_text
from nemo_gym.models.judge.prompt import Prompt
from nemo_gym.models.judge.verdicts import Parser, Verdict, label_parser
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.wire.failure import RolloutError, rollout_error
from nemo_gym.wire.openai.responses import NeMoGymResponse

DISAGREEMENT = "disagreement"
_SHOWN_CHARS = 200


class Judge:
    """Asks one judge model. A server makes one and keeps it: the bound on concurrent calls is the judge's.

    Args:
        server_client: The client of the server that asks.
        config: The settings.
        placeholders: What `ask` is given, and the prompt must show.
        swapped: The two placeholders whose values change places for `both_orders`.
        parser: Reads a verdict from the judge's text; absent: by the configured labels.
        swapped_parser: The same where the answers are swapped; absent: by `swapped_labels`, or `parser`.
        folder: Folder of the server, where a relative `prompt_fpath` is looked for first.

    Raises:
        ConfigError: The prompt can't be read, or its placeholders aren't those; `both_orders` has nothing to swap, or
            `parser` doesn't read the configured labels.
    """

    def __init__(
        self,
        server_client: ServerClient,
        config: JudgeConfig,
        *,
        placeholders: Sequence[str] = ("question", "expected", "generated"),
        swapped: tuple[str, str] = ("expected", "generated"),
        parser: Parser | None = None,
        swapped_parser: Parser | None = None,
        folder: Path | None = None,
    ) -> None:
        _check_use(config, placeholders, swapped, parser)
        self.config = config
        self._swapped = swapped
        self._parse = parser or label_parser(config.labels)
        self._parse_swapped = swapped_parser or parser or label_parser(config.swapped_labels or config.labels)
        params = config.judge_responses_create_params
        self._model = AuxiliaryModel(server_client, config.judge_model_server.name, params, config, "judge")
        if config.prompt_fpath is not None:
            self._prompt = Prompt.read(config.prompt_fpath, placeholders, folder)
        else:
            self._prompt = Prompt(config.prompt or "", placeholders, "prompt")

    @property
    def name(self) -> str:
        """Instance name of the judge's model server."""
        return self._model.name

    async def ask(self, **values: str) -> Judgement:
        """Return the judgement on one rollout; `values` are those of the placeholders.

        Raises:
            RolloutError: `judge_failed`: it can't be reached, or answers with an error; whether it makes sense to try
                again is as the error says. `judge_unparseable`: no answer has a verdict.
        """
        answers: list[JudgeEvaluation] = []
        first = await self._verdict(self._prompt.fill(values), self._parse, answers)
        if not self.config.both_orders:
            return _judgement(first.reward, first.said, None, answers)
        one, other = self._swapped
        swapped = {**values, one: values[other], other: values[one]}
        second = await self._verdict(self._prompt.fill(swapped), self._parse_swapped, answers)
        if first.reward == second.reward:
            return _judgement(first.reward, first.said, False, answers)
        return _judgement(self._reward_of_disagreement(first, second), DISAGREEMENT, True, answers)

    def _reward_of_disagreement(self, first: Verdict, second: Verdict) -> float:
        match self.config.on_disagreement:
            case "lower":
                return min(first.reward, second.reward)
            case "mean":
                return (first.reward + second.reward) / 2
            case reward:
                return reward

    async def _verdict(self, prompt: str, parse: Parser, answers: list[JudgeEvaluation]) -> Verdict:
        """Ask until an answer has a verdict; every answer is added to `answers`."""
        tries = 1 + self.config.parse_retries
        for _ in range(tries):
            response = await self._model.answer(prompt, kind="judge_failed", stage="verification")
            asked = self._model.request(prompt)
            answers.append(JudgeEvaluation(responses_create_params=asked, response=response))
            # What was cut off may name labels before it has decided.
            verdict = parse(final_text(response)) if response.status != "incomplete" else None
            if verdict is not None:
                return verdict
        raise self._unparseable(answers[-1].response, tries)

    def _unparseable(self, response: NeMoGymResponse, tries: int) -> RolloutError:
        text = final_text(response)
        details = response.incomplete_details
        cut = f", cut off by {details.reason}" if response.status == "incomplete" and details is not None else ""
        reason = f"no verdict in {tries} answers of the judge {self.name}; the last one{cut}: {text[:_SHOWN_CHARS]!r}"
        return rollout_error("judge_unparseable", reason, stage="verification", server=self.name, status=200)


def _check_use(
    config: JudgeConfig, placeholders: Sequence[str], swapped: tuple[str, str], parser: Parser | None
) -> None:
    mistakes = []
    if config.both_orders and not set(swapped) <= set(placeholders):
        what = f"both_orders swaps {' and '.join(swapped)}, which this verifier doesn't ask with"
        mistakes.append(Mistake(what, "both_orders", placeholders, "leave both_orders out"))
    labels = sorted(config.model_fields_set & {"labels", "swapped_labels"})
    if parser is not None and labels:
        what = f"{' and '.join(labels)} would have no effect: this verifier reads verdicts in another way"
        mistakes.append(Mistake(what, labels[0], fix=f"leave {' and '.join(labels)} out"))
    if mistakes:
        raise ConfigError(*mistakes)


def _judgement(reward: float, said: str, disagreed: bool | None, answers: Sequence[JudgeEvaluation]) -> Judgement:
    return Judgement(
        reward=reward,
        judge_verdict=said,
        judge_disagreed=disagreed,
        judge_usage=JudgeUsage.of(answer.response for answer in answers),
        judge_answers=[final_text(answer.response) for answer in answers],
        judge_evaluations=list(answers),
    )
