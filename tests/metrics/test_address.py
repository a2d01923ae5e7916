"""What --metrics, --metrics-cert and --metrics-key take."""

import subprocess
from pathlib import Path

import pytest

from density.errors import UsageError
from density.metrics import Address, parse_address
from density.metrics.tls import tls_context


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("off", None),
        ("127.0.0.1:9095", Address("127.0.0.1", 9095)),
        (":0", Address("127.0.0.1", 0)),
        ("localhost:80", Address("localhost", 80)),
        ("[::1]:9095", Address("::1", 9095)),
    ],
)
def test_addresses(text: str, address: Address | None) -> None:
    """What --metrics takes."""
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "9095", "host:", "host:99999", "a b:1", "::1:9095", "on", "127.0.0.1:-1"])
def test_bad_addresses_say_what_is_allowed(text: str) -> None:
    """One sentence that names the option."""
    with pytest.raises(UsageError, match="--metrics takes HOST:PORT"):
        parse_address(text)


def make_certificate(directory: Path, name: str, *, password: str = "") -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    locked = ["-passout", f"pass:{password}"] if password else ["-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *locked, "-days", "2"]
    command += ["-subj", "/CN=density", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def test_without_a_certificate_nothing_is_encrypted() -> None:
    """And a key alone is a mistake that is said."""
    assert tls_context(None, None) is None
    with pytest.raises(UsageError, match="--metrics-key needs --metrics-cert"):
        tls_context(None, Path("key.pem"))


def test_a_certificate_may_hold_its_key(tmp_path: Path) -> None:
    """One file with both is enough, as many programs write it."""
    certificate, key = make_certificate(tmp_path, "a")
    both = tmp_path / "both.pem"
    both.write_text(key.read_text() + certificate.read_text())
    assert tls_context(both, None) is not None
    assert tls_context(certificate, key) is not None


def test_what_is_wrong_with_a_certificate_is_one_clear_sentence(tmp_path: Path) -> None:
    """Missing, unreadable, of another key, without its key, behind a password: nothing asks the terminal for one."""
    certificate, key = make_certificate(tmp_path, "a")
    other, locked = make_certificate(tmp_path, "b", password="secret")  # noqa: S106 — it locks a test's key
    _, stranger = make_certificate(tmp_path, "c")
    text = tmp_path / "text.pem"
    text.write_text("hello")
    for given, sentence in {
        (tmp_path / "none.pem", None): "No such file",
        (text, key): "not a certificate and its key in PEM",
        (certificate, None): "--metrics-key names it",
        (certificate, stranger): "the key does not belong to the certificate",
        (other, locked): "protected by a password",
    }.items():
        with pytest.raises(UsageError, match=sentence) as caught:
            tls_context(*given)
        assert "\n" not in str(caught.value)
