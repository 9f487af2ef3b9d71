"""FaceNet's vectors: read from a file that never runs code, of the face alone, and a circle that begins with them."""

import math
import shutil

import pytest
import torch
import torch.nn.functional as F
from facenet_pytorch import InceptionResnetV1

from facelab.checkpoints import cards
from facelab.circle import FACENET
from facelab.edits.sphere import great_circle
from facelab.errors import BadWeights
from facelab.facenet import FACENET_FILE, facenet_vectors, load_facenet
from facelab.page.examples import load_examples
from facelab.studio import Studio
from tests.tiny_circle import put_circle


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A catalogue with a circle that begins with FaceNet's vectors, and nobody's weights."""
    folder, patch, threads = tmp_path_factory.mktemp("shelf"), pytest.MonkeyPatch(), torch.get_num_threads()
    for path in cards.checkpoint_folder().glob("faces128*"):
        shutil.copy(path, folder)
    put_circle(folder, FACENET)
    patch.setenv(cards.FOLDER_VARIABLE, str(folder))
    patch.setenv("TORCH_HOME", str(folder / "hub"))
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    patch.undo()


@pytest.fixture
def weights(shelf):
    """The published file's form, with untrained numbers and the classes of its training."""
    torch.manual_seed(0)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=7).eval()
    with torch.no_grad():
        network.last_bn.running_mean.normal_()  # untrained vectors would all be one
    torch.save(network.state_dict(), shelf / FACENET_FILE)
    yield network
    (shelf / FACENET_FILE).unlink()


def test_vectors_are_the_package_s_own_of_the_face_in_the_middle(weights):
    images = torch.rand(3, 3, 200, 200, generator=torch.Generator().manual_seed(1)) * 2 - 1
    vectors = facenet_vectors(load_facenet(), images)
    assert vectors.shape == (3, 512) and torch.allclose(vectors.norm(dim=1), torch.ones(3), atol=1e-5)
    weights.classify = False
    face = F.interpolate(images[:, :, 37:183, 47:153], (160, 160), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert torch.allclose(vectors, weights(face * 127.5 / 128), atol=1e-5)
    aside = images.clone()
    aside[:, :, :37] = 1
    aside[:, :, :, :47] = -1
    assert torch.equal(facenet_vectors(load_facenet(), aside), vectors), "hair and background say nothing"


def test_without_its_weights_it_is_said_what_to_do(shelf):
    with pytest.raises(BadWeights, match=FACENET_FILE):
        load_facenet()
    (shelf / FACENET_FILE).write_bytes(b"not weights")
    with pytest.raises(BadWeights, match="damaged"):
        load_facenet()
    torch.save({"conv2d_1a.conv.weight": torch.zeros(3)}, shelf / FACENET_FILE)
    with pytest.raises(BadWeights, match="do not fit"):
        load_facenet()
    (shelf / FACENET_FILE).unlink()


def test_a_circle_that_begins_with_facenet_walks_on_its_own_sphere(shelf, weights):
    studio = Studio("tinybegan", device="cpu")
    first, second = (each.face for each in list(load_examples().values())[:2])
    assert studio.sphere is FACENET and studio.point(first).shape == (512,)
    assert torch.equal(studio.point(first), studio.point(first))
    path = studio.circle_walk(first, "smile", 1.0, frames=2, steps=20)
    assert len(path) == 3 and path[2].latent.model == "tinybegan"
    assert not torch.equal(path[0].latent.values, path[2].latent.values)
    found = studio.verify(first, second)
    assert found.limit == FACENET.same_angle and 0 < found.angle < math.pi
    assert found.angle == pytest.approx(float(great_circle(studio.point(first), studio.point(second))), abs=1e-3)
    assert 0 < found.distance < 2, "the other distance stays dlib's"


def test_a_face_that_needs_facenet_says_so(shelf):
    face = next(iter(load_examples().values())).face
    with pytest.raises(BadWeights, match="circle that begins with dlib"):
        Studio("tinybegan", device="cpu").close_circle(face)
