"""Which addresses are outside, and which spellings of a host are understood."""

from ipaddress import ip_address
from typing import Any

import pytest

from nemo_gym.outbound.addresses import may_be_reached, parsed_networks
from nemo_gym.outbound_fetch import FetchError, FetchPolicy, fetch

EVERYTHING = parsed_networks(["0.0.0.0/0", "::/0"])
INSIDE = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.1 172.16.0.1 172.31.255.255
192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::1 2002:808:808::1 3fff::1 5f00::1
fc00::1 fd12::1 fe80::1 fec0::1 ff02::1 2606:4700::1%eth0
"""
METADATA = """
169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 ::ffff:169.254.169.254
64:ff9b::a9fe:a9fe 2002:a9fe:a9fe::1
"""
SPELLINGS_OF_ADDRESSES_INSIDE = """
127.0.0.1 127.1 127.0.1 0x7f000001 0X7F.1 0x7f.0.0.1 2130706433 017700000001 0177.0.0.01 127.0.0.1. ①②⑦.⓪.⓪.①
127。0。0。1 [::1] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1]
[2002:7f00:1::] 0.0.0.0 0 [::] 169.254.169.254 0xa9fea9fe 2852039166 [::ffff:169.254.169.254] 10.0.0.1 10.1
[fe80::1] [fd00::1]
"""
NOT_URLS = [
    *("", "x", "example.com", "//example.com/", "http://", "http:///x", "http://:80/", "http://a b/", "http://a..b/"),
    *("http://%31%32%37.0.0.1/", "http://127.0.0.1%00.example.com/", "http://example.com:99999/", "http://1.2.3.4.5/"),
    *("http://127.0.0.256/", "http://0x/", "http://[::1", "http://[fe80::1%25eth0]/", "http://exa\nmple.com\\@x/"),
    "http://[]@",
    *("http://" + "a" * 64 + ".com/", "http://example.com/" + "a" * 5000),
]


@pytest.mark.parametrize("address", INSIDE.split())
def test_address_inside_may_not_be_reached(address: str) -> None:
    assert not may_be_reached(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"])
def test_public_address_may_be_reached(address: str) -> None:
    assert may_be_reached(ip_address(address))


@pytest.mark.parametrize("address", METADATA.split())
def test_metadata_service_may_not_be_reached_even_in_an_allowed_network(address: str) -> None:
    assert not may_be_reached(ip_address(address), EVERYTHING)


def test_allowed_network_opens_what_it_holds_and_not_the_mapped_spelling() -> None:
    allowed = parsed_networks(["127.0.0.0/8"])
    assert may_be_reached(ip_address("127.9.9.9"), allowed)
    assert not may_be_reached(ip_address("::ffff:127.0.0.1"), allowed)


@pytest.mark.parametrize("host", SPELLINGS_OF_ADDRESSES_INSIDE.split())
async def test_address_inside_is_refused_in_every_spelling(host: str) -> None:
    with pytest.raises(FetchError) as refusal:
        await fetch(f"http://{host}/")
    assert refusal.value.kind in ("address_not_allowed", "bad_url")
    assert "127" not in str(refusal.value)


@pytest.mark.parametrize("url", NOT_URLS)
async def test_text_that_is_not_a_url_is_refused_in_words(url: str) -> None:
    with pytest.raises(FetchError) as refusal:
        await fetch(url)
    assert refusal.value.kind in ("bad_url", "scheme_not_allowed", "port_not_allowed")


@pytest.mark.parametrize("url", [None, 5, b"http://example.com/", ["http://example.com/"], {"url": "x"}], ids=repr)
async def test_argument_that_is_not_text_is_refused_in_words(url: Any) -> None:
    with pytest.raises(FetchError, match="not the address of a web page") as refusal:
        await fetch(url)
    assert refusal.value.kind == "bad_url"


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("file:///etc/passwd", "scheme_not_allowed"),
        ("ftp://example.com/", "scheme_not_allowed"),
        ("javascript:alert(1)", "scheme_not_allowed"),
        ("http://user:secret@example.com/", "credentials_in_url"),
        ("http://user@example.com/", "credentials_in_url"),
        ("http://example.com:22/", "port_not_allowed"),
        ("http://blocked.example/", "site_not_allowed"),
    ],
)
async def test_policy_refuses_scheme_credentials_port_and_site(url: str, kind: str) -> None:
    with pytest.raises(FetchError) as refusal:
        await fetch(url, FetchPolicy(allow=lambda host: host != "blocked.example"))
    assert refusal.value.kind == kind


def test_network_with_a_typing_error_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"10\.1\.0\.0/33"):
        FetchPolicy(allowed_networks=("10.1.0.0/33",))
