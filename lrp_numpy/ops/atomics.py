"""Numbers in memory that several threads read and change at once, for compiled loops.

`add` and `now` take an int64 array. numba has no such functions of its own for the CPU: these are
single instructions of LLVM. With NUMBA_DISABLE_JIT=1 they are plain Python, for one thread.
"""
import platform
from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic


def _add(typing_context, numbers, place, number):
    """numbers[place] += number, in one step that no other thread can come between; returns what it
    was before."""
    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.atomic_rmw("add", builder.gep(array.data, [arguments[1]]), arguments[2],
                                  "seq_cst")
    return types.int64(numbers, types.int64, types.int64), code


def _now(typing_context, numbers):
    """numbers[0] as it is now: another thread may just have changed it."""
    def code(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load_atomic(array.data, "seq_cst", 8)
    return types.int64(numbers), code


def _rest(typing_context):
    """Leave the core to the other thread that it may run at the same time, for a moment."""
    def code(context, builder, signature, arguments):
        if platform.machine().lower() in ("x86_64", "amd64"):
            pause = ir.FunctionType(ir.VoidType(), [])
            builder.call(get_or_insert_function(builder.module, pause, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()
    return types.none(), code


def _add_in_python(numbers, place, number):
    before = int(numbers[place])
    numbers[place] += number
    return before


def _now_in_python(numbers):
    return int(numbers[0])


def _rest_in_python():
    pass


is_python = config.DISABLE_JIT      # type: ignore[attr-defined]
add: Any = _add_in_python if is_python else intrinsic(_add)
now: Any = _now_in_python if is_python else intrinsic(_now)
rest: Any = _rest_in_python if is_python else intrinsic(_rest)
