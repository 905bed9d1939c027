"""Which values are masked."""

import pytest

from nemo_gym.config.secrets import is_secret_key, mask_secrets, mask_text


@pytest.mark.parametrize(
    "name",
    ["policy_api_key", "OPENAI_API_KEY", "apiKey", "x-api-key", "hf_token", "accessToken", "TOKEN", "db_password",
     "client_secret", "Authorization"],
)  # fmt: skip
def test_secret_key_is_recognized(name: str) -> None:
    assert is_secret_key(name)


@pytest.mark.parametrize(
    "name",
    ["max_tokens", "num_tokens", "max_output_tokens", "total_tokens", "prompt_token_ids", "maxTokens", "token_count",
     "tokenizer", "tokenizer_path", "host", "api_base", "key", "entrypoint"],
)  # fmt: skip
def test_ordinary_key_is_not_secret(name: str) -> None:
    assert not is_secret_key(name)


def test_mask_secrets_leaves_the_original_alone() -> None:
    plain = {"a": [{"api_key": "sk-1"}], "max_tokens": 5}
    assert mask_secrets(plain) == {"a": [{"api_key": "****"}], "max_tokens": 5}
    assert plain["a"] == [{"api_key": "sk-1"}]


def test_mask_secrets_covers_everything_below_a_secret_key() -> None:
    assert mask_secrets({"api_keys": {"openai": "sk-1", "other": ["sk-2", None]}, "password": 1234}) == {
        "api_keys": {"openai": "****", "other": ["****", None]},
        "password": "****",
    }


def test_mask_secrets_does_not_take_a_server_name_for_a_secret_key() -> None:
    config = {"password_game": {"resources_servers": {"password_game": {"entrypoint": "app.py", "token": "t"}}}}
    settings = mask_secrets(config)["password_game"]["resources_servers"]["password_game"]
    assert settings == {"entrypoint": "app.py", "token": "****"}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://user:pass@host/v1", "http://****@host/v1"),
        ("at https://ghp_x@host:80 now", "at https://****@host:80 now"),
        ("http://host/v1?api_key=sk-1&x=2", "http://host/v1?api_key=****&x=2"),
        ("http://host/a@b", "http://host/a@b"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_mask_text_hides_credentials_in_urls(text: str, masked: str) -> None:
    assert mask_text(text) == masked
