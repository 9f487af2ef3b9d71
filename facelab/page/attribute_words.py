"""What the page says about attributes: the groups, one sentence for each slider, and presets to start from.

They are a model's idea, learned from other people's labels, and worded as what is seen in a picture.
"""

GROUPS = {"expression": "Expression", "features": "Features", "person": "Person", "hair": "Hair & face"}

HELP = {
    "smile": "Raises the corners of the mouth.",
    "mouth_open": "Parts the lips.",
    "yaw": "Turns the head to the side.",
    "eyes": "Opens the eyes.",
    "brows": "Makes the eyebrows bushier.",
    "nose_size": "Widens the nose.",
    "lips": "Makes the lips fuller.",
    "mouth_size": "Widens the mouth.",
    "chubby": "Rounds the cheeks.",
    "gender": "How a face is read by others; not who somebody is.",
    "age": "Adds or takes away years.",
    "attractive": "The taste of the people who labelled CelebA, no more.",
    "makeup": "Puts on make-up.",
    "glasses": "Puts on glasses.",
    "beard": "Lets a beard grow.",
    "mustache": "Lets a moustache grow.",
    "bangs": "Hair over the forehead.",
    "hair_dark": "Darkens the hair.",
    "hair_blond": "Makes the hair blonder.",
    "hair_grey": "Makes the hair grey.",
    "hair_wavy": "Puts waves into the hair.",
    "bald": "Moves the hairline back.",
    "skin": "Lightens or darkens the skin.",
}

PRESETS = {
    "Cheerful": {"smile": 1.3, "mouth_open": 0.4, "eyes": 0.25},
    "Calm": {"smile": -1.0, "mouth_open": -0.7},
    "Years later": {"age": 1.35, "hair_grey": 0.65},
    "Years younger": {"age": -1.25},
}
