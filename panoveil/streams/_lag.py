"""How far a service is behind its stream, worked out whenever somebody asks."""

import contextlib
import time
from collections.abc import Callable, Iterator

from panoveil import telemetry
from panoveil.streams._shard import Shard


class Lag:
    """The age of the oldest record that was delivered to the service and is not finished; it grows while nothing moves.

    A shard that holds none counts as far behind as its stream said with the last batch. 0 where there is neither.
    """

    def __init__(self, service: str, stream: str = "", now: Callable[[], float] = time.time) -> None:
        """Answer for the service's gauges from now on; `now` is in epoch seconds."""
        self._now = now
        self._shards: set[Shard] = set()
        # Asked at each scrape, from the scraper's thread: a value set now and then would stand still while the service does.
        telemetry.LAG_SECONDS.labels(service, stream).set_function(self.seconds)
        telemetry.BEHIND_SECONDS.labels(service, stream).set_function(self.behind)
        telemetry.WAITING.labels(service, stream).set_function(self.waiting)
        telemetry.SHARDS.labels(service, stream).set_function(lambda: len(self._shards))

    @contextlib.contextmanager
    def of(self, shard: Shard) -> Iterator[None]:
        """Count a shard in for as long as the block runs."""
        self._shards.add(shard)
        try:
            yield
        finally:
            self._shards.discard(shard)

    def seconds(self) -> float:
        """Seconds, of the shard that is furthest behind; safe to call from another thread."""
        return max(map(self._age, tuple(self._shards)), default=0.0)

    def behind(self) -> float:
        """Seconds by which the last batch was behind the end of its shard, of the shard furthest behind; thread-safe too."""
        return max((shard.behind for shard in tuple(self._shards)), default=0.0)

    def waiting(self) -> int:
        """Records that were delivered and not begun; thread-safe too."""
        return sum(shard.waiting for shard in tuple(self._shards))

    def _age(self, shard: Shard) -> float:
        oldest = shard.oldest
        return shard.behind if oldest is None else max(0.0, self._now() - oldest)
