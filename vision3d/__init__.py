"""3D scenes: cameras, Gaussian splats, rendering on CPU and CUDA, and fitting to posed photos."""

__version__ = "0.1.0"
