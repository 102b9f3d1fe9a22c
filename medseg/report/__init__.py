"""What people look at: pictures, tables and a report of a `SegmentationResult`, and every output by its name.

Research use only, not a medical device: each document says so. None holds a path or a time, so equal results give
equal files.
"""
