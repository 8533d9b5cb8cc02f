"""What fused pictures are worth to a task: detection and segmentation by method, with controls, tables and pictures."""
