"""Many files in one run: on all cores or a Ray cluster, from and to any file system of ``fsspec``.

`run` is the way in. `work` does one item, the same in every engine; `dispatch` hands items to
workers and survives their deaths; `local` and `ray_engine` are the workers; `manifest` remembers
what is done, so that a killed run goes on; `locations` are folders and object stores.
"""
