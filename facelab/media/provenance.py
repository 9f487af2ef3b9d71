"""What a file says about how it was made, in the words of each format's metadata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from PIL import Image

import facelab

if TYPE_CHECKING:
    from facelab.face import Face

# IPTC's digital source types (https://cv.iptc.org/newscodes/digitalsourcetype/): all of it made by a model, or a
# photo that a model has changed or remade.
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
MADE_BY_AI = "trainedAlgorithmicMedia"
PHOTO_CHANGED_BY_AI = "compositeWithTrainedAlgorithmicMedia"

_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:CreatorTool={software}
 Iptc4xmpExt:DigitalSourceType={source_type}/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="{writable}"?>"""
_EXIF_DESCRIPTION, _EXIF_SOFTWARE = 0x010E, 0x0131


@dataclass(frozen=True)
class Provenance:
    """How a picture or an animation was made.

    model: the generator's name. operations: what was done, such as "embed" or "attribute smile 1.5"; never a file
    name, a latent or anything about the person. from_photo: whether a photo is behind it.
    """

    model: str
    operations: Sequence[str] = ()
    from_photo: bool = False

    @classmethod
    def of(cls, face: Face, *more: Face, then: Sequence[str] = (), into_photo: bool = False) -> Provenance:
        """That of a picture of faces. then: what was done once they were made, such as "paste". into_photo: the picture
        is a photo, whatever the faces in it are.
        """
        faces = [face, *more]
        operations = dict.fromkeys(operation for each in faces for operation in each.operations)
        return cls(face.latent.model, [*operations, *then], into_photo or any(each.from_photo for each in faces))

    @property
    def software(self) -> str:
        """FaceLab and its version."""
        return f"FaceLab {facelab.__version__}"

    @property
    def comment(self) -> str:
        """One sentence for people."""
        steps = f": {', '.join(self.operations)}" if self.operations else ""
        return f"Made with AI by FaceLab, model {self.model}{steps}."

    @property
    def source_type(self) -> str:
        """IPTC's digital source type, as a URI."""
        return SOURCE_TYPES + (PHOTO_CHANGED_BY_AI if self.from_photo else MADE_BY_AI)

    def xmp(self, *, read_only: bool = False) -> str:
        """The same for machines. read_only: for formats in which a packet cannot be edited in place."""
        return _XMP.format(
            software=quoteattr(self.software),
            source_type=quoteattr(self.source_type),
            writable="r" if read_only else "w",
        )

    def exif(self) -> Image.Exif:
        """The comment and the software."""
        exif = Image.Exif()
        exif[_EXIF_SOFTWARE] = self.software
        exif[_EXIF_DESCRIPTION] = self.comment.encode("ascii", "replace").decode()
        return exif
