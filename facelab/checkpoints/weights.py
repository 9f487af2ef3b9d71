"""Reading weight files safely, and building the networks that their cards describe."""

from __future__ import annotations

import hashlib
import io
import pickletools
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from facelab.checkpoints.cards import Card, find_card, find_companion
from facelab.errors import BadWeights
from facelab.generators.base import Generator
from facelab.generators.families import FAMILIES

LEGACY_PICKLES = 5  # before the numbers, in files of torch before 1.6: magic number, version, system, tensors, keys
UNNEEDED = ("builtins ", "__builtin__ ", "collections Counter")
# What weight files may lack: buffers that never change, and what only training needs.
SPARED = ("resample_filter", "num_batches_tracked", "log_variance.weight", "log_variance.bias")


def read_weights(path: Path, *, sha256: str | None = None) -> dict[str, Tensor]:
    """All tensors of a .safetensors, or of a .pt or .pth that holds a state dict and nothing else.

    Nothing in the file is executed, and it takes no more memory than a few times its size. Raises BadWeights when it is
    missing, damaged, needs code to load, promises more numbers than it holds, or its SHA-256 is not `sha256`.
    """
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise BadWeights(f"The weight file {path.name} cannot be read. Put it into the checkpoints folder.") from cause
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise BadWeights(
            f"{path.name} is not the file that its card describes (the SHA-256 differs). Fetch it again; a file kept "
            "by Git LFS may be only its pointer."
        )
    try:
        tensors = load_safetensors(data) if path.suffix == ".safetensors" else load_torch(data)
    except Exception as cause:  # damaged and hostile files raise nearly anything: UnpicklingError, KeyError, ...
        raise BadWeights(
            f"{path.name} is damaged, or it would have to run code to be loaded, which FaceLab never does. "
            "Use a .safetensors file or a plain state dict."
        ) from cause
    if not isinstance(tensors, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
    ):
        raise BadWeights(f"{path.name} holds more than tensors. Use a plain state dict.")
    for name, value in tensors.items():
        if not _is_whole(value):
            raise BadWeights(
                f"{path.name} holds fewer numbers of {name} than its shape {list(value.shape)} takes. Fetch it again "
                "from a source that you trust, or save it anew as a .safetensors file."
            )
    return tensors


def load_torch(data: bytes) -> object:
    """What torch.save wrote, a dict as a plain one. Raises nearly anything; takes no more memory than a few such files.

    torch.save never compresses; and torch reads a zip by another of its directories than Python does, so that what was
    checked here would not be what is loaded there, but for a zip that is made anew.
    """
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(data):
                raise ValueError("compressed")
            members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        for name, program in members.items():
            if name.endswith("data.pkl"):
                _check_program(program, 1)
        data = _as_zip(members)
    else:
        _check_program(data, LEGACY_PICKLES)
    loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if isinstance(loaded, dict):
        return dict(dict.items(loaded))  # an OrderedDict could bring an items of its own
    return loaded


def _check_program(data: bytes, pickles: int) -> None:
    """Raise ValueError where one of so many pickles names what no tensor needs and torch lets pass: a bytearray, say,
    of any size.
    """
    file = io.BytesIO(data)
    for _ in range(pickles):
        for operation, argument, _ in pickletools.genops(file):
            if operation.name == "GLOBAL" and argument.startswith(UNNEEDED):
                raise ValueError(argument)


def _as_zip(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _is_whole(value: Tensor) -> bool:
    """Whether a tensor holds each of its numbers: a few bytes can be stretched, or promise to fill, any shape."""
    plain = value.layout == torch.strided and value.is_cpu and not value.is_nested
    return plain and value.nbytes <= value.untyped_storage().nbytes()


def check_stated_sha256(path: Path) -> None:
    """Raise BadWeights unless the file's SHA-256 begins with the digits that its name ends in, as torchvision's do."""
    stated, digest = path.stem.rpartition("-")[2], hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    if not digest.hexdigest().startswith(stated):
        raise BadWeights(f"{path.name} is damaged: its SHA-256 does not begin with {stated}. Fetch the file again.")


def fill(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network, in its own type, every name matched but for what SPARED lists.

    Raises BadWeights otherwise; of a tensor of another shape nothing is copied.
    """
    try:
        missing, unexpected = network.load_state_dict(tensors, strict=False)
    except RuntimeError as cause:
        told = str(cause).splitlines()[-1].strip().rstrip(".")
        raise BadWeights(f"The weights do not fit this architecture: {told}. Choose those of this model.") from cause
    missing = [name for name in missing if not name.endswith(SPARED)]
    if missing or unexpected:
        raise BadWeights(
            f"The weights do not fit this architecture: {len(missing)} missing ({', '.join(missing[:3])}), "
            f"{len(unexpected)} unknown ({', '.join(unexpected[:3])}). Choose those of this model."
        )


def fill_from(network: nn.Module, path: Path, *, sha256: str | None = None) -> None:
    """Load a weight file into a network. Raises BadWeights as `read_weights` and `fill` do."""
    fill(network, read_weights(path, sha256=sha256))


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under `prefix`, without it, as they are: `fill` brings them to the network's own type."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def load_network(network: nn.Module, source: Path | str, *, device: torch.device | str = "cpu") -> nn.Module:
    """Fill `network` from a file, or from one of a catalogued model's companions, such as "faces128-judge", and freeze
    it for inference.

    Raises BadWeights for a damaged file, or a companion that is not the one that the model's card describes.
    """
    path, sha256 = (source, None) if isinstance(source, Path) else find_companion(source)
    fill_from(network, path, sha256=sha256)
    return network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)


def build_networks(card: Card) -> tuple[Generator, nn.Module | None]:
    """The generator and the discriminator (None where the family has none) that a card describes, untrained.

    Raises BadWeights for a family that this version does not know, and for a card that does not say enough.
    """
    if card.family not in FAMILIES:
        raise BadWeights(f"{card.name} is of the family {card.family!r}, which this version cannot build.")
    try:
        return FAMILIES[card.family].build(card.resolution, card.config, downsample=card.downsample)
    except (KeyError, TypeError, ValueError, RuntimeError) as cause:
        raise BadWeights(
            f"The card of {card.name} does not say what its networks are made of. Restore it from the repository."
        ) from cause


def load_model(name: str, *, device: torch.device | str = "cpu") -> tuple[Generator, nn.Module | None]:
    """A catalogued model, ready for inference on `device`: its generator and its discriminator, both frozen.

    The discriminator is None where the family has none, or where the weight file, to be small, goes without it.
    Raises UnknownModel for a name without a card and BadWeights for a damaged file.
    """
    from facelab.checkpoints.directions import load_parts

    card = find_card(name)
    tensors = read_weights(card.path, sha256=card.sha256)
    generator, discriminator = build_networks(card)
    fill(generator, part(tensors, "g."))
    critic = part(tensors, "d.")
    if discriminator is not None and (critic or FAMILIES[card.family].needs_critic):
        fill(discriminator, critic)
    else:
        discriminator = None
    generator.name, generator.sha256, generator.alignment = card.name, card.sha256, card.alignment
    if (parts := load_parts(name)) is not None and parts.fits(generator):
        generator.synthesis.parts = parts
    for network in filter(None, (generator, discriminator)):
        network.eval().requires_grad_(False).to(device=device, memory_format=torch.channels_last)
    return generator, discriminator
