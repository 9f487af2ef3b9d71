"""Where the FFHQ alignment puts a face: the mean of dlib's 68 landmarks in a crop."""

from __future__ import annotations

import numpy as np

# Mean over 1144 aligned portraits (CelebA-HQ, FFHQ's template) in which dlib's detector finds the face, made symmetric;
# in fractions of the crop's side, (0, 0) the top left corner. Left and right are the image's.
# fmt: off
TEMPLATE_LANDMARKS = np.array([
    # jaw, from the image's left to its right
    (0.2252, 0.4848), (0.2275, 0.5575), (0.2360, 0.6304), (0.2504, 0.7021), (0.2773, 0.7691), (0.3204, 0.8274),
    (0.3733, 0.8772), (0.4328, 0.9181), (0.5000, 0.9298), (0.5672, 0.9181), (0.6267, 0.8772), (0.6796, 0.8274),
    (0.7227, 0.7691), (0.7496, 0.7021), (0.7640, 0.6304), (0.7725, 0.5575), (0.7748, 0.4848),
    # left brow
    (0.2759, 0.4301), (0.3114, 0.4028), (0.3586, 0.3965), (0.4065, 0.4047), (0.4522, 0.4241),
    # right brow
    (0.5478, 0.4241), (0.5935, 0.4047), (0.6414, 0.3965), (0.6886, 0.4028), (0.7241, 0.4301),
    # nose bridge
    (0.5000, 0.4781), (0.5000, 0.5263), (0.5000, 0.5745), (0.5000, 0.6235),
    # nose base
    (0.4476, 0.6529), (0.4727, 0.6628), (0.5000, 0.6718), (0.5273, 0.6628), (0.5524, 0.6529),
    # left eye
    (0.3316, 0.4827), (0.3613, 0.4649), (0.3978, 0.4660), (0.4285, 0.4906), (0.3945, 0.4965), (0.3589, 0.4958),
    # right eye
    (0.5715, 0.4906), (0.6022, 0.4660), (0.6387, 0.4649), (0.6684, 0.4827), (0.6411, 0.4958), (0.6055, 0.4965),
    # outer lips
    (0.3901, 0.7352), (0.4306, 0.7206), (0.4710, 0.7137), (0.5000, 0.7205), (0.5290, 0.7137), (0.5694, 0.7206),
    (0.6099, 0.7352), (0.5713, 0.7779), (0.5314, 0.7965), (0.5000, 0.7998), (0.4686, 0.7965), (0.4287, 0.7779),
    # inner lips
    (0.4072, 0.7387), (0.4706, 0.7377), (0.5000, 0.7407), (0.5294, 0.7377), (0.5928, 0.7387), (0.5299, 0.7589),
    (0.5000, 0.7624), (0.4701, 0.7589),
], np.float32)
# fmt: on
TEMPLATE_LANDMARKS.flags.writeable = False

TEMPLATE_EYES = np.stack([TEMPLATE_LANDMARKS[36:42].mean(axis=0), TEMPLATE_LANDMARKS[42:48].mean(axis=0)])
TEMPLATE_EYES.flags.writeable = False
