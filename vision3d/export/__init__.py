"""What leaves a scene: selections as splats, meshes, boxes, masks and tables, and edits that can be taken back.

Everything here works on chosen Gaussians of a scene; who chose them (a phrase, a click, a number) is up to the caller.
"""
