"""From what the language model means by [SEG] to masks: tokens, projection, and the family of mask decoders.

Research use only; not a medical device. The paper's own details are not published; those here follow the LISA family.
"""
