"""Medical studies asked in plain words: files in, masks on the files' own grid out.

Research use only, not a medical device: nothing here may decide about a patient.
"""
