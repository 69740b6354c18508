"""Numbered objects of a whole image, computed block by block: the same for any blocks.

::

    rule             what an object is
    block_fragments  one block: its fragments of objects, and what its neighbours must know
    touching         two blocks: which of their fragments touch
    stitching        all blocks: which fragments are one object
    numbering        all blocks: small objects are removed, the others get ids
    relabelling      one block: the ids of its voxels, and growth into the border class
    holes            one block: its fragments of holes, and its classes after holes are filled
    filling          all blocks: which holes are filled
    split_rule       where touching objects are split
    seeds            one block: the seeds of split objects
    spreading        one block: its voxels go to the nearest seed
    pieces           one block, and all: the pieces of split objects
    label_objects    all of it, for an array in memory

An object's id follows from the image alone: objects are numbered from 1 in the order of their
first voxel, in C order of the image. This room sees arrays and numbers; it reads no file.
"""
