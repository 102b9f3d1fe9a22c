"""Language: encoders that put pictures and words into one space, crops of masks, their vectors, and prompt phrases.

Convention of the room: every vector has unit length, and whatever holds vectors names the encoder that made them.
"""
