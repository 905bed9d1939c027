"""Which log-probability belongs to which token, and what is no token data. No model needed."""

from math import inf, nan

import pytest

from nemo_gym.server_utils import RolloutError
from responses_api_models.local_model.llama.token_log_probs import aligned_log_probs, call_token_data


def reported(*tokens: tuple[int, float]) -> list[dict[str, float]]:
    return [{"id": token, "logprob": log_prob} for token, log_prob in tokens]


@pytest.mark.parametrize(
    ("token_ids", "given", "expected"),
    [
        pytest.param([5, 6], reported((5, -1.0), (6, -2.0)), [-1.0, -2.0], id="all"),
        pytest.param([5, 6, 7], reported((5, -1.0), (7, -2.0)), [-1.0, None, -2.0], id="one-held-back"),
        pytest.param([5, 6, 6], reported((5, -1.0), (6, -2.0)), [-1.0, None, None], id="of-which-isnt-certain"),
        pytest.param([5, 6, 7], reported((5, -1.0)), [-1.0, None, None], id="stop-text"),
        pytest.param([5, 6], reported((5, -1.0), (9, -2.0)), [None, None], id="of-other-tokens"),
    ],
)
def test_log_probabilities_are_taken_only_where_it_is_certain_whose_they_are(
    token_ids: list[int], given: list[dict[str, float]], expected: list[float | None]
) -> None:
    assert aligned_log_probs(token_ids, given) == expected


@pytest.mark.parametrize(
    ("token_ids", "log_probs", "said"),
    [
        pytest.param([], [], "no token was sampled", id="nothing"),
        pytest.param([5, 6], [-1.0], "1 log-probabilities for 2 tokens", id="too-few"),
        pytest.param([5], [], "0 log-probabilities for 1 tokens", id="not-given"),
        pytest.param([5, 6], [-1.0, None], r"token 1 \(id 6\) is None", id="one-not-given"),
        pytest.param([5], [nan], "is nan", id="nan"),
        pytest.param([5], [0.1], r"is 0\.1", id="positive"),
        pytest.param([5], [-inf], "is -inf", id="minus-infinity"),
        pytest.param([5], [-3.4028234663852886e38], "is -3", id="no-probability"),
    ],
)
def test_unsound_token_data_is_a_failure_that_says_what_is_wrong(
    token_ids: list[int], log_probs: list[float | None], said: str
) -> None:
    with pytest.raises(RolloutError, match=f"token_data_invalid: .*{said}"):
        call_token_data([1], token_ids, log_probs, server="policy_model")


def test_sound_token_data_is_carried_as_it_is() -> None:
    data = call_token_data([1, 2], [3, 4], [-0.5, 0.0], server="policy_model")
    assert data.fields() == {
        "prompt_token_ids": [1, 2],
        "generation_token_ids": [3, 4],
        "generation_log_probs": [-0.5, 0.0],
    }
