"""The key of a cookie: by the RFC, and another one for every server and every run."""

from nemo_gym.servers.sessions.cookie import derived_key


def test_key_is_that_of_the_rfc() -> None:
    # RFC 5869, test case 3: SHA-256, no salt, no info; the first 32 bytes of its output.
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derived_key("\x0b" * 22, "").hex() == expected


def test_every_server_and_every_run_has_a_key_of_its_own() -> None:
    keys = {derived_key(secret, name) for secret in ("one", "other") for name in ("A___a", "A___b", "B___a")}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
