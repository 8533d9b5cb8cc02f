"""Training: recipes, engine."""
