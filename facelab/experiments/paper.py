"""The numbers of Image2StyleGAN (Abdal, Qin, Wonka 2019) that the experiments stand beside.

Its losses are times 1e5 and of another scale than ours (VGG-16 features, a picture range that it does not state), so
only ratios compare. Distances are of 18 rows of 512 numbers; ours of other sizes: ratios again.
"""

LEARNING_RATE, STEPS = 0.01, 5000  # section 5.3

# Table 2: loss (1e5) and ||w* - w_mean|| in w+, from the mean latent and from uniform [-1, 1].
STARTS = {
    ("face", "mean"): (0.309, 30.67),
    ("face", "random"): (0.351, 35.60),
    ("cat", "mean"): (0.752, 70.86),
    ("cat", "random"): (0.740, 70.97),
    ("dog", "mean"): (0.922, 74.78),
    ("dog", "random"): (0.845, 75.14),
    ("painting", "mean"): (3.530, 103.61),
    ("painting", "random"): (3.451, 105.29),
    ("car", "mean"): (1.390, 82.53),
    ("car", "random"): (1.269, 82.60),
}

# Table 1: the transforms' loss (1e5) and ||w* - w_mean||. Moves are of a picture of 1024 px.
SIDE = 1024
TRANSFORMS = {
    "right by 140 px": (0.782, 48.56),
    "left by 160 px": (0.406, 44.12),
    "zoom out 2 x": (0.225, 38.04),
    "zoom in 2 x": (0.718, 40.55),
    "turned by 90°": (0.622, 47.21),
    "turned by 180°": (0.599, 42.93),
}

# Table 3: the same for parts cut out of a face.
DEFECTS = {
    "none": (0.204, 29.19),
    "eyes": (0.271, 34.90),
    "nose": (0.311, 39.20),
    "mouth": (0.301, 37.04),
    "eyes and mouth": (0.233, 39.62),
    "eyes, nose and mouth": (0.285, 37.59),
}

ROUNDS = 7  # of iterated embedding (section 5.3)
CONVERGED = {"face": 1000, "cat": 3000, "dog": 3000, "car": 3000, "painting": 5000}  # steps (Fig. 10)
