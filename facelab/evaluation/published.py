"""What the papers report: their own numbers, each beside the place where it stands. FaceLab measured none of them."""

from __future__ import annotations

# A comparison of VAE, GAN and VAE+GAN on CelebA at 64 px.
INCEPTION_SCORE = {"vae": 1.704, "dcgan": 2.650, "vaegan": 1.231, "real": 4.239}  # table 4.1
SHARPNESS = {"vae": 251.79, "dcgan": 2506.18, "vaegan": 1360.62, "real": 1073.71}  # table 4.1, Laplacian variance
EPOCHS = {"vae": 20, "dcgan": 300, "vaegan": 150}  # table 4.2, "epochs to optimal"
CELEBA = 202_599  # pictures, section 2.1

# Image-Semantic-Transformation-Reconstruction-Circle (ISTRC).
FACES_A_SECOND = 100  # 64 x 64, reconstructed on a GTX 1080; section 6.1
WALK_SECONDS = 25  # 500 steps and 10 pictures of one face, 16 GB and no GPU; section 6.1
MAPPING_HOURS = 2  # section 6.1
CLASSIFIERS_HOURS = 3  # ten classifiers side by side; section 6.1
CLASSIFIER_LAYERS = (4, 7)  # section 5.3
COLLAPSE = 60  # faces, beyond which plain means are one and the same woman; section 4.2
BEGAN_EPOCHS, BEGAN_PICTURES = 10, 170_000  # sections 5.1 and 5

# Faces combination and faces morphing with progressive growing of GAN. The paper shows pictures and gives no measure.
RECOVERY_STEPS = 10_000  # "over 10k iterations"; section 3.2
OPERANDS = 3  # latents averaged for each operand with DCGAN, none with PGGAN; section 3.3

# Image2StyleGAN. The numbers that its experiments stand beside are in facelab/experiments/paper.py.
EMBEDDING_STEPS, EMBEDDING_SECONDS = 5_000, 420  # "less than 7 minutes" on a V100 at 1024 px; section 5.3
