from collections.abc import Callable, Mapping
from typing import Any, Self, final

import numpy.typing as npt

from bytemlperf._native.batch_queue import BatchQueue
from bytemlperf._native.dispatcher import Dispatcher
from bytemlperf._native.predict_loop import PredictLoop

_Array = npt.NDArray[Any]

@final
class LoopLane:
    """Calls predict on the event loop's thread."""

    is_closed: bool
    def __new__(
        cls,
        dispatcher: Dispatcher,
        queue: BatchQueue,
        predict_loop: PredictLoop,
        *,
        predict: Callable[[dict[str, _Array]], Mapping[str, _Array]],
        call_soon: Callable[..., object],
    ) -> Self: ...
    def wake(self) -> None: ...
    def turn(self) -> None: ...
    def close(self) -> None: ...
