"""Numbered objects from the classes of a run: labelled, stitched, numbered and written by blocks.

::

    stage "label"      each block: its fragments of objects, into files of the run
    object_ids         this process: which fragments are one object, and the ids of objects
    stage "relabel"    each block: ids instead of fragments, growth into the border class
"""
