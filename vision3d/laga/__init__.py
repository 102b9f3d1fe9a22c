"""LaGa (Language Gaussians): a scene split into objects, each with a few vectors of language, and asked in words.

Convention of the room: objects are numbered across all levels, level by level from fine to coarse; -1 = in no object.
Vectors of language have unit length unless their docstring says otherwise.
"""
