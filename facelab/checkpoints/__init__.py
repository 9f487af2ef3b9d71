"""The models FaceLab knows: `cards` is the catalogue, `weights` reads their files without running code from them."""
