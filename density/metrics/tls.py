"""Serving metrics encrypted: the value of `--metrics-cert` and `--metrics-key`."""

import ssl
from pathlib import Path

from density.errors import UsageError


def tls_context(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """What a server needs to speak TLS; None without a certificate.

    Args:
        certificate: PEM, the server's own first, then those that lead to its authority.
        key: PEM; None: in the certificate's file.

    Raises:
        UsageError: they cannot be read, do not belong together, or the key asks for a password.
    """
    if certificate is None:
        if key is not None:
            raise UsageError("--metrics-key needs --metrics-cert: the certificate that the key belongs to")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = f"--metrics-cert {certificate}" + (f" --metrics-key {key}" if key else "")

    def no_password() -> bytes:
        """Instead of OpenSSL, which would ask the terminal for one."""
        raise UsageError(f"{files}: the key is protected by a password; give one that is not")

    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError as error:
        raise UsageError(f"{files}: {_reason(error, separate=key is not None)}") from error
    except OSError as error:
        raise UsageError(f"{files}: {error.strerror}") from error
    return context


def _reason(error: ssl.SSLError, *, separate: bool) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    where = "" if separate else ", or the key is missing in it (--metrics-key names it)"
    return f"these are not a certificate and its key in PEM{where}"
