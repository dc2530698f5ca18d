"""A Dask cluster as an executor: the scheduler makes good what a dying worker had begun."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ..errors import Refused
from .executors import Engine
from .runs import Corpus

PATIENCE = 5  # seconds for the scheduler to answer, and for a first worker to be there
LOGGERS = ("distributed", "tornado", "asyncio")  # a client's, and of the event loop below it
COUNTED = 1.0  # seconds between two looks at how many workers there are


class ClusterError(Refused, RuntimeError):
    """There is no such cluster, or it has gone; the message is one line."""


@contextmanager
def cluster(address: str, corpus: Corpus) -> Iterator[Engine]:
    """The cluster at `address`.

    The documents are sent to every worker that is there; one that comes later gets them from another. Raises
    ClusterError where no scheduler answers, or none has workers.
    """
    try:
        distributed = import_module("distributed")
    except ImportError:
        raise ClusterError(
            "--cluster needs distributed, which is not installed: pip install 'microgpt-engine[sweep]'"
        ) from None
    for name in [*logging.root.manager.loggerDict]:
        if name.partition(".")[0] in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is told in one line, by us
    try:
        distributed.comm.get_address_host_port(address)  # a Client of an impossible one would be left half made
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(f"--cluster {address}: no Dask scheduler answers ({type(error).__name__})") from None
    try:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except distributed.TimeoutError:  # on Python 3.10 not the builtin one
            raise ClusterError(f"--cluster {address}: the scheduler has no workers") from None
        try:
            source = client.scatter(corpus, broadcast=True, hash=False)
        except Exception as error:  # whatever a worker has instead of this microgpt
            raise ClusterError(f"--cluster {address}: a worker cannot take the documents: {error}"[:300]) from None
        yield Engine(client.get_executor(pure=False), source, _Counter(client))
    finally:
        client.close(timeout=0.5)


class _Counter:
    """Threads of all workers that are there now; the scheduler is asked once a second."""

    def __init__(self, client: Any) -> None:
        self._client, self._asked, self._count = client, 0.0, 1

    def __call__(self) -> int:
        if time.monotonic() - self._asked > COUNTED:
            self._count = max(1, sum(self._client.nthreads().values()))
            self._asked = time.monotonic()
        return self._count
