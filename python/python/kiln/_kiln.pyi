"""Types of the native part."""

from collections.abc import Callable, Sequence
from typing import Any, Self, final

from typing_extensions import disjoint_base

from kiln.numexpr._translate import Parsed

__all__ = [
    "Dispatch",
    "Expression",
    "Kernel",
    "Memory",
    "Profile",
    "Roofline",
    "_restore",
    "as_array",
    "compile_text",
    "evaluate",
    "re_evaluate",
    "roofline",
    "set_threads",
    "stages",
    "validate",
]

@final
class Memory:
    """The bytes that a call takes beside its inputs and outputs."""

    @property
    def peak(self) -> int:
        """What intermediates take at once."""
    @property
    def total(self) -> int:
        """What they would take if no two shared a place."""
    @property
    def bound(self) -> int:
        """What constants take that inputs are bound to."""

@final
class Profile:
    """What was measured of a kernel's calls. `print` shows a report."""

    @property
    def median(self) -> float:
        """The median time of a call in seconds."""
    @property
    def minimum(self) -> float:
        """The least time of a call in seconds."""
    @property
    def spread(self) -> float:
        """How far apart times lie, as a part of the median."""
    @property
    def flops(self) -> int:
        """Floating-point operations of a call."""
    @property
    def bytes(self) -> int:
        """Bytes that a call reads and writes."""
    @property
    def gflops(self) -> float:
        """10^9 operations a second."""
    @property
    def gbytes(self) -> float:
        """10^9 bytes a second."""
    @property
    def report(self) -> str:
        """All of it as text."""

@final
class Roofline:
    """What this machine can do at most. `print` shows a table."""

    @property
    def threads(self) -> int:
        """How many threads it has."""
    @property
    def gflops(self) -> float:
        """The most that all threads compute, in 10^9 operations of `f32` a second."""
    @property
    def gbytes(self) -> float:
        """The most that all threads move from and to memory, in 10^9 bytes a second."""
    @property
    def report(self) -> str:
        """All of it as text."""

@final
class Kernel:
    """A compiled expression, called with arrays or numbers."""

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        """Run it on arrays in the order of its inputs, or by name."""
    def bind(self, **constants: Any) -> Kernel:
        """Return this kernel with inputs bound to constants, which calls then do not give."""
    def unfused(self) -> Kernel:
        """Return the same with a kernel for each op, as it is written, to compare with."""
    def place(self, *args: Any, **kwargs: Any) -> str:
        """Return where calls with these arguments are under the roofs of this machine."""
    def explain(self, stage: str = "tour") -> str:
        """Return what happens to the kernel at a stage of compilation, or a tour through them."""
    def memory(self, *args: Any, **kwargs: Any) -> Memory:
        """Return the memory that a call with these arguments takes for intermediates."""
    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Measure calls with these arguments."""
    @property
    def text(self) -> str:
        """The text that it was compiled from."""
    @property
    def inputs(self) -> list[str]:
        """The names of the inputs that a call gives, in order."""
    @property
    def graph(self) -> str:
        """The graph that runs, after fusion, as text: that of the last call."""
    @property
    def passes(self) -> int:
        """Passes over memory."""
    @property
    def emitter(self) -> tuple[str, int] | None:
        """What made the machine code, and how many bits its vectors have."""
    def _repr_html_(self) -> str: ...
    @property
    def mode(self) -> str:
        """How much its rewrites may change."""

@disjoint_base
class Dispatch:
    """A function that finds the kernels of calls seen before; its `_call` finds all others."""

    def __new__(cls, positions: Sequence[int], names: Sequence[str], most: int) -> Self: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it: the first call with arrays of such types traces and compiles it."""
    def _remember(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sources: Sequence[int | str | tuple[Any]] | None,
        kernel: Kernel,
        finish: Callable[[Any], Any] | None = None,
    ) -> None: ...

@final
class Expression:
    """An expression of numexpr, which is called with arrays in the order of its names."""

    def __new__(cls, parsed: Parsed) -> Self: ...
    def __call__(
        self, *arrays: Any, out: Any = None, order: str = "K", casting: str = "safe"
    ) -> Any: ...
    @property
    def names(self) -> tuple[str, ...]: ...

def as_array(object: Any) -> Any:  # noqa: A002
    """Return the array that a kernel reads of an object."""

def compile_text(
    text: str,
    *,
    mode: str = "precise",
    threads: int | None = None,
    emitter: str = "auto",
    copy: bool = True,
) -> Kernel:
    """Compile kernel text."""

def evaluate(
    ex: str,
    local_dict: Any = None,
    global_dict: Any = None,
    out: Any = None,
    order: str = "K",
    casting: str = "same_kind",
    sanitize: bool | None = None,
    _frame_depth: int = 3,
    disable_cache: bool = False,
    **kwargs: Any,
) -> Any:
    """Evaluate an expression such as "2*a + 3*b" on arrays of the caller's frame."""

def validate(
    ex: str,
    local_dict: Any = None,
    global_dict: Any = None,
    out: Any = None,
    order: str = "K",
    casting: str = "safe",
    _frame_depth: int = 2,
    sanitize: bool | None = None,
    **kwargs: Any,
) -> Exception | None:
    """Return the exception that evaluate would raise, or None."""

def re_evaluate(local_dict: Any = None, global_dict: Any = None, _frame_depth: int = 2) -> Any:
    """Evaluate the expression of the last evaluate or validate again."""

def roofline() -> Roofline:
    """Measure what this machine can do at most: a few seconds, the first time."""

def set_threads(threads: int) -> int: ...
def stages() -> list[tuple[str, str]]: ...
def _restore(
    text: str,
    mode: str,
    threads: int | None,
    emitter: str,
    copy: bool,
    fuse: bool,
    bound: dict[str, Any],
) -> Kernel: ...
