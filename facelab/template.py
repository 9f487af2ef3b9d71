"""Where the FFHQ alignment puts a face: the mean of dlib's 68 landmarks in a crop."""

from __future__ import annotations

import numpy as np

# Mean over 2917 aligned portraits (CelebA-HQ, FFHQ's template) in which dlib's detector finds the face, made symmetric;
# in fractions of the crop's side, (0, 0) the top left corner. Left and right are the image's.
# fmt: off
TEMPLATE_LANDMARKS = np.array([
    # jaw, from the image's left to its right
    (0.2242, 0.4840), (0.2269, 0.5572), (0.2355, 0.6302), (0.2498, 0.7021), (0.2769, 0.7690), (0.3200, 0.8275),
    (0.3730, 0.8773), (0.4327, 0.9183), (0.5000, 0.9301), (0.5673, 0.9183), (0.6270, 0.8773), (0.6800, 0.8275),
    (0.7231, 0.7690), (0.7502, 0.7021), (0.7645, 0.6302), (0.7731, 0.5572), (0.7758, 0.4840),
    # left brow
    (0.2748, 0.4300), (0.3105, 0.4031), (0.3578, 0.3971), (0.4057, 0.4050), (0.4514, 0.4243),
    # right brow
    (0.5486, 0.4243), (0.5943, 0.4050), (0.6422, 0.3971), (0.6895, 0.4031), (0.7252, 0.4300),
    # nose bridge
    (0.5000, 0.4784), (0.5000, 0.5268), (0.5000, 0.5754), (0.5000, 0.6247),
    # nose base
    (0.4473, 0.6533), (0.4726, 0.6633), (0.5000, 0.6724), (0.5274, 0.6633), (0.5527, 0.6533),
    # left eye
    (0.3307, 0.4827), (0.3607, 0.4651), (0.3971, 0.4662), (0.4277, 0.4905), (0.3937, 0.4963), (0.3582, 0.4956),
    # right eye
    (0.5723, 0.4905), (0.6029, 0.4662), (0.6393, 0.4651), (0.6693, 0.4827), (0.6418, 0.4956), (0.6063, 0.4963),
    # outer lips
    (0.3892, 0.7346), (0.4300, 0.7204), (0.4706, 0.7138), (0.5000, 0.7206), (0.5294, 0.7138), (0.5700, 0.7204),
    (0.6108, 0.7346), (0.5720, 0.7781), (0.5319, 0.7969), (0.5000, 0.8003), (0.4681, 0.7969), (0.4280, 0.7781),
    # inner lips
    (0.4065, 0.7384), (0.4702, 0.7376), (0.5000, 0.7408), (0.5298, 0.7376), (0.5935, 0.7384), (0.5303, 0.7594),
    (0.5000, 0.7630), (0.4697, 0.7594),
], np.float32)
# fmt: on
TEMPLATE_LANDMARKS.flags.writeable = False

TEMPLATE_EYES = np.stack([TEMPLATE_LANDMARKS[36:42].mean(axis=0), TEMPLATE_LANDMARKS[42:48].mean(axis=0)])
TEMPLATE_EYES.flags.writeable = False

# Where dlib's detector draws its box: left, top, right, bottom.
TEMPLATE_BOX = np.array([0.216, 0.318, 0.784, 0.888], np.float32)
TEMPLATE_BOX.flags.writeable = False
