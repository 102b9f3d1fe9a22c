"""Files in and masks out: DICOM, NIfTI, NRRD/MetaImage and pictures. DICOM and SimpleITK are imported here alone.

Readers bound what they allocate, and turn every failure of a parser into an error of `medseg.errors`.
"""
