"""What `microgpt bench` is about, while it is, on a terminal's standard error."""

from types import TracebackType


class Watching:
    """A bar of so many pieces of work, drawn between them: a thread of its own would disturb what is measured."""

    def __init__(self, work: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("{task.description:24}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._progress.add_task("", total=work)

    def __enter__(self) -> "Watching":
        self._progress.start()
        return self

    def __call__(self, what: str) -> None:
        """The next piece of work begins."""
        self._progress.update(self._task, description=what, refresh=True)
        self._progress.advance(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
