"""Files on their way to the visitor: inside the page's own messages, so that none lies in a served folder."""

from __future__ import annotations

import base64
import secrets
from typing import Any

MIME = {
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "npz": "application/octet-stream",
    "facelab": "application/octet-stream",
    "zip": "application/zip",
}


def parcel(data: bytes, name: str, kind: str) -> dict[str, Any]:
    """What parts/*.js save as a file. name: of the face; kind: the file's ending."""
    return {
        "number": secrets.token_hex(4),
        "name": f"{file_name(name)}.{kind}",
        "mime": MIME[kind],
        "data": base64.b64encode(data).decode("ascii"),
    }


def file_name(name: str) -> str:
    """A name as a file may have it."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "face"
