"""The catalogue, and weight files that are not what they should be."""

import json
import pickle
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from facelab.checkpoints import cards
from facelab.checkpoints.cards import catalogue, checkpoint_folder, find_card, read_card
from facelab.checkpoints.weights import fill, fill_from, load_model, part, read_weights
from facelab.errors import BadWeights, UnknownModel
from facelab.generators.discriminator import Discriminator


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A checkpoint folder of its own with the shipped model in it."""
    for suffix in ("json", "safetensors"):
        shutil.copy(checkpoint_folder() / f"faces128.{suffix}", tmp_path)
    monkeypatch.setenv(cards.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def test_every_card_says_what_the_model_is_and_under_which_licence():
    assert "faces128" in catalogue()
    for card in catalogue().values():
        assert card.title and card.data and card.licence and card.training["images"] > 0
        assert len(card.sha256) == 64 and card.path.exists()


def test_unknown_model_lists_the_known_ones():
    with pytest.raises(UnknownModel, match=r"'faces1024'.*faces128"):
        find_card("faces1024")


def test_shipped_model_loads_frozen():
    generator, discriminator = load_model("faces128")
    assert generator.name == "faces128" and generator.sha256 == find_card("faces128").sha256
    parameters = [*generator.parameters(), *discriminator.parameters()]
    assert not any(parameter.requires_grad for parameter in parameters)


def test_a_changed_weight_file_is_refused(folder):
    path = folder / "faces128.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BadWeights, match="SHA-256"):
        load_model("faces128")


@pytest.mark.parametrize("content", [b"", b"<!doctype html><title>404</title>", b"\x00" * 64])
def test_a_download_that_is_no_weight_file_is_refused(tmp_path, content):
    for name in ("weights.safetensors", "weights.pt"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadWeights, match="damaged"):
            read_weights(tmp_path / name)


def test_code_in_a_weight_file_never_runs(tmp_path):
    witness = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (witness,))

    (tmp_path / "trap.pkl").write_bytes(pickle.dumps(Trap()))
    torch.save({"g.weight": Trap()}, tmp_path / "trap.pt")
    for name in ("trap.pkl", "trap.pt"):
        with pytest.raises(BadWeights, match="never"):
            read_weights(tmp_path / name)
    assert not witness.exists()


def test_a_state_dict_of_torch_is_read(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "plain.pt")
    assert torch.equal(read_weights(tmp_path / "plain.pt")["weight"], torch.ones(2))


def repack(source: Path, path: Path, *, program: bytes | None = None, how: int = zipfile.ZIP_STORED) -> Path:
    """A file of torch.save's written anew, with another pickle in it, or compressed."""
    with zipfile.ZipFile(source) as plain, zipfile.ZipFile(path, "w", how) as other:
        for entry in plain.infolist():
            pickled = program is not None and entry.filename.endswith("data.pkl")
            other.writestr(entry.filename, program if pickled else plain.read(entry))
    return path


def test_a_malformed_pickle_in_a_weight_file_is_refused(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "plain.pt")
    assert read_weights(repack(tmp_path / "plain.pt", tmp_path / "empty.pt", program=b"\x80\x02}.")) == {}
    for program in (b"h\x05.", b"Q.", b"}K\x01u.", b")b.", b"\x85.", b""):  # IndexError, KeyError, TypeError, ...
        bad = repack(tmp_path / "plain.pt", tmp_path / "bad.pt", program=b"\x80\x02" + program)
        with pytest.raises(BadWeights, match=r"bad\.pt is damaged"):
            read_weights(bad)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(1).expand(2**20, 2**20),
        torch.zeros(3).as_strided((2, 2), (1, 1)),
        torch.eye(2).to_sparse().sparse_resize_((2**20, 2**20), 2, 0),
        torch.empty(2**20, 2**20, device="meta"),
    ],
)
def test_a_tensor_that_promises_more_numbers_than_its_file_holds_is_refused(tmp_path, value):
    torch.save({"weight": torch.ones(2), "large": value}, tmp_path / "weights.pt")
    assert (tmp_path / "weights.pt").stat().st_size < 2**12
    with pytest.raises(BadWeights, match=r"fewer numbers of large than its shape \[\d+, \d+\]"):
        read_weights(tmp_path / "weights.pt")


def test_a_compressed_weight_file_is_not_unpacked(tmp_path):
    torch.save({"weight": torch.zeros(2**20)}, tmp_path / "plain.pt")
    small = repack(tmp_path / "plain.pt", tmp_path / "small.pt", how=zipfile.ZIP_DEFLATED)
    assert small.stat().st_size < 2**14
    with pytest.raises(BadWeights, match="damaged"):
        read_weights(small)


def with_two_directories(source: Path, path: Path) -> Path:
    """A file of torch.save's with two directories: one that its end points at, as torch reads it, in which the program
    has another name, and one right before the end, as Python does. A file in front makes room for negative distances.
    """
    with zipfile.ZipFile(source) as plain, zipfile.ZipFile(path, "w") as other:
        other.writestr("room", bytes(4096))
        for entry in plain.infolist():
            other.writestr(entry.filename, plain.read(entry))
    data = path.read_bytes()
    size, place = struct.unpack("<LL", data[-22:][12:20])
    records = data[place : place + size].split(b"PK\x01\x02")[2:]  # without the room's
    for_torch = b"".join(b"PK\x01\x02" + record.replace(b"data.pkl", b"more.pkl") for record in records)
    for_python = b""
    for record in records:
        (distance,) = struct.unpack("<L", record[38:42])
        record = record[:38] + struct.pack("<L", distance - len(for_torch)) + record[42:]
        for_python += b"PK\x01\x02" + record
    count = struct.pack("<HH", len(records), len(records))
    end = data[-22:][:8] + count + struct.pack("<LL", len(for_python), place) + data[-2:]
    path.write_bytes(data[:place] + for_torch + for_python + end)
    return path


def test_a_weight_file_is_loaded_as_it_was_checked(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "plain.pt")
    path = with_two_directories(tmp_path / "plain.pt", tmp_path / "both.pt")
    with zipfile.ZipFile(path) as archive:
        assert "plain/data.pkl" in archive.namelist()
    assert "more.pkl" in torch._C.PyTorchFileReader(str(path)).get_all_records()
    assert torch.equal(read_weights(path)["weight"], torch.ones(2))


@pytest.mark.parametrize("name", ["__builtin__\nbytearray", "builtins\nbytearray", "collections\nCounter"])
def test_a_weight_file_allocates_nothing_but_its_tensors(tmp_path, monkeypatch, name):
    program = b"\x80\x02c" + name.encode() + b"\nK\x05\x85R."
    torch.save({"weight": torch.ones(2)}, tmp_path / "plain.pt")
    repack(tmp_path / "plain.pt", tmp_path / "zip.pt", program=program)
    (tmp_path / "legacy.pt").write_bytes(program)
    monkeypatch.setattr(torch, "load", None)
    for path in (tmp_path / "zip.pt", tmp_path / "legacy.pt"):
        with pytest.raises(BadWeights, match="damaged") as refusal:
            read_weights(path)
        assert type(refusal.value.__cause__) is ValueError


def test_a_weight_file_of_an_old_torch_is_read(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(read_weights(tmp_path / "old.pth")["weight"], torch.ones(2))


@pytest.mark.parametrize("content", [{1: torch.ones(2)}, {"weight": [1.0]}, [torch.ones(2)], torch.ones(2)])
def test_a_weight_file_of_something_else_than_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(BadWeights, match="more than tensors"):
        read_weights(tmp_path / "weights.pt")


def test_nothing_is_copied_of_a_tensor_that_a_network_has_no_place_for(tmp_path, monkeypatch):
    network = torch.nn.Linear(2, 2)
    shared = torch.zeros(2**10, dtype=torch.int8)
    torch.save({"weight": shared.view(32, 32), "bias": shared} | {f"{i}": shared for i in range(9)}, tmp_path / "a.pt")
    monkeypatch.setattr(torch.Tensor, "float", None)
    monkeypatch.setattr(torch.Tensor, "copy_", None)
    with pytest.raises(BadWeights, match="do not fit"):
        fill_from(network, tmp_path / "a.pt")


def test_weights_in_half_precision_fill_a_network_in_its_own(tmp_path):
    network = torch.nn.Linear(2, 2)
    weights = {"g.weight": torch.eye(2).half(), "g.bias": torch.ones(2).half()}
    torch.save(weights, tmp_path / "weights.pt")
    fill(network, part(read_weights(tmp_path / "weights.pt"), "g."))
    assert network.weight.dtype == torch.float32 and torch.equal(network.weight, torch.eye(2))


def test_weights_of_another_architecture_are_refused():
    small, large = (Discriminator(16, channel_base=base, channel_max=16) for base in (64, 128))
    with pytest.raises(BadWeights, match="do not fit"):
        fill(small, large.state_dict())
    with pytest.raises(BadWeights, match="1 missing"):
        fill(small, {name: value for name, value in small.state_dict().items() if name != "b4.out.bias"})


def test_a_damaged_card_and_a_file_that_is_none_are_said_and_take_no_other_model_away(folder, caplog):
    card = json.loads((folder / "faces128.json").read_text())
    (folder / "other.json").write_text(json.dumps(card | {"name": "other"}))
    del card["resolution"]
    (folder / "faces128.json").write_text(json.dumps(card))
    (folder / "notes.json").write_text("[1, 2]")
    assert list(catalogue()) == ["other"]
    assert [message.partition(" ")[0] for message in caplog.messages] == ["faces128.json", "notes.json"]
    with pytest.raises(BadWeights, match=r"faces128\.json"):
        read_card(folder / "faces128.json")
