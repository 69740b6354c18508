"""Numbered objects of a whole image, computed block by block: the same for any blocks.

::

    rule             what an object is
    block_fragments  one block: its fragments of objects, and what its neighbours must know
    touching         two blocks: which of their fragments touch
    stitching        all blocks: which fragments are one object
    joining          the objects of a batch of blocks: those that stay open, and those that close
    numbering        all blocks: small objects are removed, the others get ids
    ranking          the order of first voxels, for more objects than memory holds
    scratch          columns of numbers in memory, or in files without names
    relabelling      one block: the ids of its voxels, and growth into the border class
    holes            one block: its fragments of holes, and its classes after holes are filled
    filling          all blocks: which holes are filled
    split_rule       where touching objects are split
    seeds            one block: the seeds of split objects
    spreading        one block: its voxels go to the nearest seed
    pieces           one block, and all: the pieces of split objects
    stored_pieces    the pieces of all blocks, in columns
    reaching         one block: its voxels go to the nearest seed, however far that is
    split_blocks     splitting, for an array in memory
    link_rule        when objects of neighbouring frames are one
    overlaps         one block: overlaps of its objects with those of the frames that follow
    overlap_sums     all blocks: their overlaps together
    linking          all blocks: which objects are one over planes and time
    linked_blocks    linking, for an array in memory
    label_objects    all of it, for an array in memory

An object's id follows from the image alone: objects are numbered from 1 in the order of their
first voxel, in C order of the image. This room sees arrays and numbers; it reads no
file but its own without names.
"""
