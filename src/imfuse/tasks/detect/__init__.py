"""Objects in fused pictures: detectors, their labels, and how a small one is trained."""
