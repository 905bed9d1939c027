"""A user played by a second model: reads the dialogue so far, and says what comes next, or that nothing does."""

from pathlib import Path

from pydantic import Field

from nemo_gym.config.schema import ModelServerRef
from nemo_gym.environments.rollout import Rollout
from nemo_gym.environments.turns import UserReply
from nemo_gym.models.auxiliary_model import AuxiliaryModel, AuxiliaryModelConfig, CreateParams
from nemo_gym.models.judge.judgement import final_text
from nemo_gym.models.judge.prompt import Prompt
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.wire.environment import ModelUsage
from nemo_gym.wire.failure import rollout_error
from nemo_gym.wire.openai.responses import NeMoGymResponse

DIALOGUE = "dialogue"
_ROLE = "simulated user"
_NAME_BY_ROLE = {"user": "User", "assistant": "Assistant"}


class SimulatedUserConfig(AuxiliaryModelConfig):
    """Which model plays the user, what it is asked, and within which bounds."""

    user_model_server: ModelServerRef = Field(description="The model server of the user.")
    user_responses_create_params: CreateParams = Field(
        default={}, description="Parameters of every call, such as temperature and max_output_tokens."
    )
    end_marker: str = Field(default="[[END]]", min_length=1, description="An answer with this in it ends the episode.")
    retries: int = Field(
        default=2, ge=0, le=20, description="How often the model is asked again when its answer is empty or cut off."
    )


class SimulatedUser:
    """Plays the user with one model. A server makes one and keeps it: the bound on concurrent calls is the model's.

    Args:
        server_client: The client of the server that asks.
        config: The settings.
        placeholders: What `reply` is given, and the prompt must show, beside `dialogue`.
        folder: Folder of the server, where a relative `prompt_fpath` is looked for first.

    Raises:
        ConfigError: The prompt can't be read, or its placeholders aren't those.
    """

    def __init__(
        self,
        server_client: ServerClient,
        config: SimulatedUserConfig,
        *,
        placeholders: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> None:
        self.config = config
        params = config.user_responses_create_params
        self._model = AuxiliaryModel(server_client, config.user_model_server.name, params, config, _ROLE)
        names = (DIALOGUE, *placeholders)
        if config.prompt_fpath is not None:
            self._prompt = Prompt.read(config.prompt_fpath, names, folder, _ROLE)
        else:
            self._prompt = Prompt(config.prompt or "", names, "prompt", _ROLE)

    async def reply(self, rollout: Rollout, **values: str) -> UserReply:
        """Return what the user says next, for `next_turn` to return; `values` are those of the placeholders.

        A rollout that is verified again hears what it heard before, and no model is asked.

        Raises:
            RolloutError: `user_failed`: the model can't be reached, or answers with an error; whether it makes sense to
                try again is as the error says. `turn_error`: it has nothing to say.
        """
        if rollout.replayed_reply is not None:
            return rollout.replayed_reply
        said = "\n\n".join(f"{_NAME_BY_ROLE[one.role]}: {one.text}" for one in rollout.dialogue)
        prompt = self._prompt.fill({**values, DIALOGUE: said})
        answers: list[NeMoGymResponse] = []
        for _ in range(1 + self.config.retries):
            answer = await self._model.answer(prompt, kind="user_failed", stage="agent")
            answers.append(answer)
            text = final_text(answer)
            if text and answer.status != "incomplete":
                return UserReply(None if self.config.end_marker in text else text, ModelUsage.of(answers))
        said = f"no whole message in {len(answers)} answers of the {_ROLE} {self._model.name}"
        reason = f"{said}; the last one: {text[:200]!r}"
        raise rollout_error("turn_error", reason, stage="agent", server=self._model.name, status=200)
