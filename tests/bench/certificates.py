"""Certificates for the servers of benchmarks."""

import pathlib
import subprocess

ECDSA = "ECDSA P-256"
RSA = "RSA-2048"
KEYS = {
    ECDSA: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    RSA: ["-newkey", "rsa:2048"],
}
# The ECM's own order: both choose the same suite.
SUITES = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"


def certificate(folder, kind=ECDSA):
    """A certificate and its key, NAME.crt and NAME.key; both in NAME.pem, too, as HAProxy wants them. Returns NAME."""
    name = pathlib.Path(folder) / kind.replace(" ", "-")
    subprocess.run(
        ["openssl", "req", "-x509", *KEYS[kind], "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-out", f"{name}.crt", "-keyout", f"{name}.key"], check=True, stderr=subprocess.DEVNULL)
    pathlib.Path(f"{name}.pem").write_text(pathlib.Path(f"{name}.crt").read_text() + pathlib.Path(f"{name}.key").read_text())
    return name


def of_ecm(name, tls="direct"):
    """Options of an ECM whose clients use TLS with this certificate."""
    return ["--Ecm:Clients:0:Tls", tls, "--Ecm:Tls:Certificates:0:Certificate", f"{name}.crt", "--Ecm:Tls:Certificates:0:Key", f"{name}.key"]


def of_haproxy(name):
    """What HAProxy's listener needs for the same."""
    return f" ssl crt {name}.pem ciphersuites {SUITES}"
