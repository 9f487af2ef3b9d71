"""C2PA signatures (https://c2pa.org): content credentials that say who vouches for a file, where a certificate is set.

FACELAB_C2PA_CERT and FACELAB_C2PA_KEY name PEM files: the certificate with its chain, and the private key. Optional:
FACELAB_C2PA_ALG (es256 by default) and FACELAB_C2PA_TSA, the URL of a time-stamping service; without it nothing goes
over the network. Needs the package c2pa-python.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from facelab.errors import BadSetting
from facelab.media.provenance import Provenance

CERTIFICATE, KEY = "FACELAB_C2PA_CERT", "FACELAB_C2PA_KEY"
ALGORITHM, TIMESTAMPS = "FACELAB_C2PA_ALG", "FACELAB_C2PA_TSA"

_SETTINGS = {"builder": {"thumbnail": {"enabled": False}}}  # one would be several times as large as an animation


def is_configured() -> bool:
    """Whether files are to be signed."""
    return bool(os.environ.get(CERTIFICATE) or os.environ.get(KEY))


def sign(data: bytes, media_type: str, provenance: Provenance) -> bytes:
    """The file with content credentials, or as it is where no certificate is configured.

    Raises BadSetting where the configuration, the certificate or the package is not as it must be: a file that was to
    be signed never leaves without its signature.
    """
    if not is_configured():
        return data
    try:
        import c2pa
    except ImportError as cause:
        raise BadSetting(
            f"{CERTIFICATE} is set, but signing needs the package c2pa-python: pip install c2pa-python."
        ) from cause
    signer_info = c2pa.C2paSignerInfo(
        alg=os.environ.get(ALGORITHM, "es256").encode(),
        sign_cert=_read(CERTIFICATE),
        private_key=_read(KEY),
        ta_url=os.environ.get(TIMESTAMPS, "").encode() or None,
    )
    signed = io.BytesIO()
    try:
        with (
            c2pa.Signer.from_info(signer_info) as signer,
            c2pa.Context(c2pa.Settings.from_dict(_SETTINGS)) as context,
            c2pa.Builder(json.dumps(_manifest(provenance)), context) as builder,
        ):
            builder.sign(signer, media_type, io.BytesIO(data), signed)
    except c2pa.C2paError as cause:
        raise BadSetting(f"This file could not be signed: {cause}. Check {CERTIFICATE} and {KEY}.") from cause
    return signed.getvalue()


def _manifest(provenance: Provenance) -> dict:
    """One action: created, by a model or from a photo by a model."""
    name, _, version = provenance.software.partition(" ")
    action = {
        "action": "c2pa.created",
        "digitalSourceType": provenance.source_type,
        "softwareAgent": {"name": name, "version": version},
        "description": provenance.comment,
    }
    return {
        "claim_generator_info": [{"name": name, "version": version}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _read(variable: str) -> bytes:
    path = os.environ.get(variable, "")
    try:
        return Path(path).read_bytes()
    except OSError as cause:
        raise BadSetting(f"{variable} must name a PEM file that can be read, not {path!r}.") from cause
