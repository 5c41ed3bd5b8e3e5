"""Durian's perceptual difficulty, and what an image leaves in a prompt's tokens."""

import numpy as np


def visual_entropy(features):
    """How complex an image is to the vision tower: ``-sum p ln p`` over the spectrum of its patch features.

    features: ``[patches, width]``, the merged patch embeddings of one image. ``p`` are the eigenvalues
    of their covariance, scaled to sum 1 (Durian, arXiv 2602.21743). 0 when all patches are equal.
    """
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features: expected [patches, width], found shape {features.shape}")
    singular = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)
    spectrum = singular**2
    if not spectrum.sum() > 0:
        return 0.0
    share = spectrum / spectrum.sum()
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())
