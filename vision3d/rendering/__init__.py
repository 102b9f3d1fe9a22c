"""Rendering Gaussians: one `Renderer` protocol, three members (CPU, gsplat on CUDA, dense torch oracle).

Convention of the room: everything here takes values after activation (`Splats`), channels come last, a pixel centre
lies at +0.5, depth is the camera z. A sample counts when its alpha is at least 1/255, alpha is capped at 0.999 and a
pixel stops before the splat that would leave it a transmittance of 1e-4 or less (the rule of gsplat 1.5.3).
"""
