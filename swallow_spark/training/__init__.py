"""Training and evaluating the classifiers."""
