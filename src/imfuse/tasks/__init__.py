"""What fused pictures are for: models of their own, their scores and protocols."""
