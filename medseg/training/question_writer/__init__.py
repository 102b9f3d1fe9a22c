"""Questions and answers written by rules, from masks and facts about a picture.

What can be asked stands in tables: structures with their names and descriptions, templates with their wordings. A fifth
of all wordings and descriptions is kept out of training, chosen by hash, so that a model can be measured on wordings it
has never seen. Left and right of a body part are the patient's; of a half or a side of the picture, the image's.
"""
