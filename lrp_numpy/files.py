"""Files that are written whole or not at all."""
import os
import uuid
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path):
    """A binary file to write to, which takes the name `path` when all has been written.

    Whatever happens before (an error, a full disk, the end of the process), `path` is what it was:
    the bytes go into a file beside it, which is renamed at the end. Raises what the writing raises.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
