"""What tuning did to the weights of a model: singular values, directions and subspaces, matrix by matrix."""
