"""Operations on tensors without parameters, shared by metrics, classical methods and networks."""
