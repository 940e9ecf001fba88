"""The lean client over TLS, as against the real service: encrypted, and only with a certificate it trusts."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from eventhubs.errors import ConfigurationError
from eventhubs.hub.server import LocalHub
from eventhubs.receiver import open_receiver
from eventhubs.settings import HubConnection


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Key and certificate of `localhost`, signed by itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def connection(tmp_path: Path, certificate: Path) -> Iterator[HubConnection]:
    """A hub behind a TLS port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with (
        LocalHub(tmp_path / "hub", {"reports": 2}) as hub,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        threading.Thread(target=_terminate, args=(server, context, hub.port), daemon=True).start()
        yield HubConnection("localhost", server.getsockname()[1], key_name="local", key="local")
        server.shutdown(socket.SHUT_RDWR)


def test_hub_is_read_over_tls(connection: HubConnection, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with open_receiver(connection, "reports", receive_timeout=10.0) as receiver:
        assert receiver.hub_info().partition_ids == ("0", "1")


def test_certificate_that_is_not_trusted_is_refused(connection: HubConnection) -> None:
    with pytest.raises(ConfigurationError, match="not trusted"):
        open_receiver(connection, "reports", receive_timeout=10.0)


def _terminate(server: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """Decrypt what comes in and pass it on, connection by connection."""
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with (
                suppress(OSError),
                context.wrap_socket(client, server_side=True) as decrypted,
                socket.create_connection(("127.0.0.1", port)) as behind,
            ):
                back = threading.Thread(target=_copy, args=(behind, decrypted), daemon=True)
                back.start()
                _copy(decrypted, behind)
                back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
