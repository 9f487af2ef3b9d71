"""Face generators: latent -> image. `base` is the contract; one file per family."""
