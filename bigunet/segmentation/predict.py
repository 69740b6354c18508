"""The verb predict: an array in, arrays out, by the engine of `segment` in a temporary folder."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import psutil
from distributed import Client

from bigunet.arrays.coordinates import Coordinates
from bigunet.arrays.given_array import NAME, GivenArray, is_xarray
from bigunet.arrays.reach import check_reach
from bigunet.arrays.scratch_folder import speaking_of
from bigunet.arrays.stored_array import stored_array
from bigunet.arrays.voxel_sizes import VoxelSize
from bigunet.engine.clusters.spec import ClusterSpec
from bigunet.errors import OptionError
from bigunet.events import OnEvent
from bigunet.io.output.array_image import read_output_array
from bigunet.io.sources.array_source import Array
from bigunet.machine.memory import usable_memory_bytes
from bigunet.machine.processes import leave_if_imported_again
from bigunet.measuring.table_reading import read_table
from bigunet.model.model import Model
from bigunet.options.choices import Output
from bigunet.options.option_fields import chosen
from bigunet.segmentation.array_options import check_array_options
from bigunet.segmentation.model_choice import chosen_model
from bigunet.segmentation.output_kinds import OUTPUT_KINDS
from bigunet.segmentation.plan.object_choice import choose_outputs
from bigunet.segmentation.plan.region import region_in_voxels
from bigunet.segmentation.plan.segment_plan import output_bytes
from bigunet.segmentation.prediction import Prediction
from bigunet.segmentation.segment import segment
from bigunet.segmentation.segment_keywords import ArrayKeywords
from bigunet.segmentation.segment_options import SegmentOptions
from bigunet.segmentation.segment_report import SegmentReport

_OUTPUT = "out.zarr"


def predict(
    array: Array,
    model: str | Path | Model = "nuclei",
    *,
    axes: str | None = None,
    voxel_size_um: VoxelSize | None = None,
    client: Client | ClusterSpec | None = None,
    on_event: OnEvent | None = None,
    progress: bool = False,
    scratch: str | Path | None = None,
    most_bytes: int | None = None,
    **fields: Unpack[ArrayKeywords],
) -> Prediction:
    """Segment an array exactly as `segment` does, and return arrays.

    The array is written part by part into a temporary folder, and segmented there. A dask array is
    computed chunk by chunk, never as a whole. The folder is removed at the end, also after an
    error or Ctrl-C.

    Parameters
    ----------
    array : array of numpy, dask or xarray, or another that slices, with shape and dtype
        Of integers, floating-point numbers or booleans, with 2 to 5 axes.
    model : str, path or Model
        As for `segment`.
    axes : str, optional
        A letter of t, c, z, y, x per axis, such as ``"zyx"``, ``"cyx"`` or ``"yxc"``. By default
        the ``dims`` of an xarray, or the usual yx, zyx, czyx or tczyx where these are clear.
    voxel_size_um : float, sequence of float, or mapping of str to float, optional
        Micrometres per voxel: one for all axes of space, or one for each, along z, y, x or by
        letter. By default the steps of an xarray's coordinates, if they are even and state a unit.
    client : distributed.Client or ClusterSpec, optional
        As for `segment`. Workers on other machines need a ``scratch`` that they see, too.
    on_event : callable, optional
        As for `segment`.
    progress : bool
        As for `segment`.
    scratch : path, optional
        Folder for the temporary folder; by default that of the system.
    most_bytes : int, optional
        A larger result is refused; by default half of the free memory.
    **fields
        Fields of SegmentOptions, such as ``outputs=["classes"], channels=["DAPI"]``.

    Returns
    -------
    Prediction

    Raises
    ------
    BigUNetError
        A subclass of it, for each error that the caller can correct.

    Notes
    -----
    The result is that of `segment` on a zarr with the same voxels and chunks. Chunks only matter
    where a grey range is measured on a sample of a large image.
    """
    leave_if_imported_again()
    with speaking_of({}):
        if isinstance(array, (str, Path)):
            raise OptionError("array is a path: bigunet.segment takes paths; give an array here")
        options = chosen(SegmentOptions, None, _keywords(fields, axes), predict)
        check_array_options(options)
        given = GivenArray.of(array, options.axes, voxel_size_um)
        model = chosen_model(model, options)
        result_bytes = _check_size(given, model, options, most_bytes)
    check_reach(client, scratch)
    # A pyramid in 2D adds a third.
    result: dict[str, Any] = {"more_bytes": result_bytes * 4 // 3, "names": {_OUTPUT: "the result"}}
    with stored_array(given, scratch, **result) as image:
        output = image.with_name(_OUTPUT)
        report = segment(
            image,
            output,
            model=model,
            options=replace(options, axes="", no_report=True),
            client=client,
            on_event=on_event,
            progress=progress,
        )
        return _prediction(given, output, report)


def _keywords(fields: ArrayKeywords, axes: str | None) -> dict[str, Any]:
    return {**fields} if axes is None else {**fields, "axes": axes}


def _check_size(
    given: GivenArray, model: Model, options: SegmentOptions, most_bytes: int | None
) -> int:
    """Bytes of the result; a result that is too large is refused."""
    roi = region_in_voxels(given.image, 0, options.roi)
    sides = (
        min(n, stop) - start
        for axis, n in zip(given.image.axes, given.shape)
        if axis.name != "c"
        for start, stop in [roi.get(axis.name, (0, n))]
    )
    outputs = choose_outputs(model.description, options)
    needed = math.prod(max(0, n) for n in sides) * output_bytes(model, outputs)
    free = min(psutil.virtual_memory().available, usable_memory_bytes())
    most = free // 2 if most_bytes is None else most_bytes
    if needed > most:
        limit = "half of the free memory is" if most_bytes is None else "most_bytes is"
        raise OptionError(
            f"the result would take {needed / 1e9:.3g} GB, and {limit} {most / 1e9:.3g} GB: write "
            "the array as a zarr, and use bigunet.segment with paths"
        )
    return needed


def _prediction(given: GivenArray, output: Path, report: SegmentReport) -> Prediction:
    options = report.plan.options
    arrays = {name: _read(output, name, given) for name in options.outputs}
    if is_xarray(given.array):
        letters = "".join(axis.name for axis in given.image.axes)
        region = region_in_voxels(given.image, 0, options.roi)
        coordinates = Coordinates(given.array, letters, region)
        classes = [one.name for one in report.plan.model.description.classes]
        arrays = {
            name: coordinates.on(values, name, classes if OUTPUT_KINDS[name].per_class else ())
            for name, values in arrays.items()
        }
    table = read_table(Path(report.table)) if report.table else None
    plan = replace(report.plan, image=replace(report.plan.image, url=NAME, name=NAME))
    return Prediction(
        arrays.get("classes"),
        arrays.get("probabilities"),
        arrays.get("instances"),
        table,
        replace(report, plan=plan, output="", table=""),
    )


def _read(output: Path, name: Output, given: GivenArray) -> Any:
    """An output in the order of the array's axes; an axis of classes comes first."""
    kind = OUTPUT_KINDS[name]
    values = read_output_array(output / kind.group / "0")
    kept = [axis.name for axis in given.image.axes if axis.name != "c"]
    # Outputs have time first, then the channel.
    stored = [*(a for a in kept if a == "t"), *"c" * kind.per_class, *(a for a in kept if a != "t")]
    wanted = [*"c" * kind.per_class, *kept]
    return np.ascontiguousarray(values.transpose([stored.index(axis) for axis in wanted]))
