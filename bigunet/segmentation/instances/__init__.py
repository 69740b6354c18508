"""Numbered objects from the classes of a run: labelled, stitched, numbered and written by blocks.

::

    stages "holes", "seeds", "label"   each block: its fragments, into files of the run
    stage "link"                       each block: overlaps of objects in neighbouring frames
    object_ids                         after each of them: fragments of all blocks are joined
    stage "relabel"                    each block: ids instead of fragments, growth into the border
    stage "measure"                    each block: sums of its objects, for their table
"""
