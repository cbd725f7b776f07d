"""The peers that are called from Python, each as one would use it who cares for speed.

A peer says which functions it `knows`, and `prepare`s a case: what it returns binds arrays to a call.
`bind(inputs, out)` gives the call, which takes no arguments, and a function that reads its result.
"""

import ctypes
import hashlib
import math
import os
import pathlib
import subprocess

import numpy as np

from formula import ARITHMETIC, ATTENTION, HEADS, ROWS, calls, heads, render

MATH = "exp log log1p expm1 sqrt tanh erf abs"


# As all arrays of Python have it.
METHODS = heads("{0}[:, {first}:{end}].reshape(-1, 12, 64).swapaxes(0, 1)", "{0}.swapaxes(0, 1).reshape(-1, 768)")


class Unable(Exception):
    """Why a peer cannot do a case."""


def views(case, inputs):
    """The inputs as the formula has them: what is stored transposed is seen the right way round."""
    return [
        array.T if one["transposed"] else array for one, array in zip(case["inputs"], inputs)
    ]


def compiled(source, name, namespace):
    """The function `name` of some source."""
    exec(compile(source, f"<{name}>", "exec"), namespace)
    return namespace[name]


def function(case, bindings, result, extra=""):
    """Source of a function of the case's inputs."""
    names = ", ".join(one["name"] for one in case["inputs"])
    lines = [f"    {name} = {text}" for name, text in bindings] + [f"    return {result}"]
    return f"def f({names}{extra}):\n" + "\n".join(lines)


def only_elementwise(case):
    """Refuses what is no elementwise formula."""
    if case["kind"] != "elementwise":
        raise Unable("is for elementwise formulas")


def layer_norm(x, w, b, root, out=None):
    """The norm as one writes it in NumPy and JAX; `root` is the square root of their numbers."""
    off = x - x.mean(-1, keepdims=True)
    scaled = off / root((off * off).mean(-1, keepdims=True) + 1e-5) * w
    return scaled + b if out is None else np.add(scaled, b, out=out)


def rms_norm(x, w, root, out=None):
    """As [`layer_norm`]."""
    scaled = x / root((x * x).mean(-1, keepdims=True) + 1e-6)
    return scaled * w if out is None else np.multiply(scaled, w, out=out)


def attention(q, k, v, softmax, swapaxes, mask=lambda scores: scores):
    """Attention as one writes it in NumPy and JAX; `mask` hides scores."""
    return softmax(mask(q @ swapaxes(k, -1, -2) * 0.125)) @ v


def softmax(x, out=None):
    """Softmax in NumPy."""
    powers = np.exp(x - x.max(-1, keepdims=True))
    return np.divide(powers, powers.sum(-1, keepdims=True), out=out)


def log_softmax(x, out=None):
    """Its logarithm in NumPy."""
    off = x - x.max(-1, keepdims=True)
    return np.subtract(off, np.log(np.exp(off).sum(-1, keepdims=True)), out=out)


class NumPy:
    """NumPy, and SciPy for `erf`; the last operation writes into the given array."""

    knows = MATH.split() + ["maximum", "where"] + ROWS + ATTENTION + HEADS
    TEMPLATES = ARITHMETIC | calls("np.", MATH) | METHODS | {
        "attention": "attention({0}, {1}, {2}, softmax, np.swapaxes)",
        "causal_attention": "attention({0}, {1}, {2}, softmax, np.swapaxes, causal)",
        "erf": "erf({0})",
        "layer_norm": "layer_norm({0}, {1}, {2}, np.sqrt)",
        "maximum": "np.maximum({0}, {1})",
        "where": "np.where({0}, {1}, {2})",
        "matmul": "({0} @ {1})",
    }
    NAMES = {"add": "add", "sub": "subtract", "mul": "multiply", "div": "divide"}
    LAST = {op: f"np.{name}({{0}}, {{1}}, out=out)" for op, name in NAMES.items()} | {
        "maximum": "np.maximum({0}, {1}, out=out)",
        "matmul": "np.matmul({0}, {1}, out=out)",
        "softmax": "softmax({0}, out)",
        "log_softmax": "log_softmax({0}, out)",
        "layer_norm": "layer_norm({0}, {1}, {2}, np.sqrt, out)",
        "rms_norm": "rms_norm({0}, {1}, np.sqrt, out)",
        "sum_axis_0": "np.sum({0}, 0, keepdims=True, out=out)",
        "sum_axis_1": "np.sum({0}, 1, keepdims=True, out=out)",
        "attention": "np.copyto(out, attention({0}, {1}, {2}, softmax, np.swapaxes))",
        "causal_attention": "np.copyto(out, attention({0}, {1}, {2}, softmax, np.swapaxes, causal))",
    }

    def __init__(self):
        import scipy

        self.version = f"{np.__version__}, SciPy {scipy.__version__}"

    def prepare(self, case):
        from scipy.special import erf

        bindings, result = render(case["nodes"], self.TEMPLATES, last=self.LAST)
        source = function(case, bindings, result, ", out")
        along_rows = {f.__name__: f for f in (softmax, log_softmax, layer_norm, rms_norm, attention)}
        causal = lambda scores: np.where(np.tri(scores.shape[-1], dtype=bool), scores, -np.inf)
        along_rows["causal"] = lambda scores: causal(scores).astype(scores.dtype, copy=False)
        f = compiled(source, "f", {"np": np, "erf": erf} | along_rows)

        def bind(inputs, out):
            arguments = views(case, inputs)
            return lambda: f(*arguments, out), lambda: out

        return bind


class NumExpr:
    """numexpr, which compiles once and evaluates again."""

    knows = "exp log log1p expm1 sqrt tanh abs where".split()
    TEMPLATES = ARITHMETIC | calls("", "exp log log1p expm1 sqrt tanh abs") | {
        "maximum": "where({0} > {1}, {0}, {1})",
        "where": "where({0}, {1}, {2})",
    }

    def __init__(self):
        import numexpr

        self.numexpr, self.version = numexpr, numexpr.__version__
        self.knows = self.knows + ["maximum"]

    def prepare(self, case):
        only_elementwise(case)
        # A number in the text is an f64, and would make all that it meets one.
        numbers = {}

        def number(value):
            return numbers.setdefault(value, f"c{len(numbers)}")

        bindings, result = render(case["nodes"], self.TEMPLATES, number)
        for name, text in reversed(bindings):
            result = result.replace(name, text)
        dtype = np.dtype(case["dtype"]).type
        constants = {name: dtype(value) for value, name in numbers.items()}
        self.numexpr.set_num_threads(case["threads"])

        def bind(inputs, out):
            named = {one["name"]: array for one, array in zip(case["inputs"], inputs)}
            names = constants | named
            self.numexpr.evaluate(result, names, {}, out=out)
            again = self.numexpr.re_evaluate
            return lambda: again(names), lambda: out

        return bind


class Numba:
    """numba with SVML: loops over rows, as one writes them; `fast` adds `fastmath`."""

    knows = MATH.split() + ["maximum", "where"]
    TEMPLATES = ARITHMETIC | calls("math.", MATH) | {
        "abs": "abs({0})",
        "maximum": "({0} if {0} > {1} else {1})",
        "where": "({1} if {0} else {2})",
    }

    def __init__(self, fast):
        import numba

        self.numba, self.fast = numba, fast
        vectors = "with SVML" if numba.core.config.USING_SVML else "without SVML"
        self.version = f"{numba.__version__} {vectors}"

    def prepare(self, case):
        only_elementwise(case)
        # A plain number is an f64, and makes all that it meets one.
        number = (lambda value: f"np.float32({value!r})") if case["dtype"] == "float32" else repr
        bindings, result = render(case["nodes"], self.TEMPLATES, number)
        names = [one["name"] for one in case["inputs"]]
        rows = [name for name, one in zip(names, case["inputs"]) if len(one["shape"]) == 1]
        at = lambda name: f"{name}_[j]" if name in rows else f"{name}_[i, j]"
        loads = [(name, at(name)) for name in names] + bindings
        body = "".join(f"            {name} = {text}\n" for name, text in loads)
        threads = case["threads"]
        source = (
            f"def f({', '.join(name + '_' for name in names)}, out):\n"
            f"    for i in {'prange' if threads > 1 else 'range'}(out.shape[0]):\n"
            f"        for j in range(out.shape[1]):\n{body}            out[i, j] = {result}\n"
        )
        f = compiled(source, "f", {"np": np, "math": math, "prange": self.numba.prange})
        options = {"fastmath": self.fast, "parallel": threads > 1, "error_model": "numpy"}
        f = self.numba.njit(**options)(f)

        def bind(inputs, out):
            return lambda: f(*inputs, out), lambda: out

        return bind


class Jax:
    """JAX's jitted functions. It makes its own arrays for results."""

    knows = MATH.split() + "maximum where relu silu sigmoid gelu gelu_tanh softplus mish selu".split()
    knows += ROWS + ATTENTION + HEADS
    TEMPLATES = ARITHMETIC | METHODS | calls("jnp.", MATH) | calls("nn.", "relu silu sigmoid softplus mish selu") | {
        "attention": "attention({0}, {1}, {2}, nn.softmax, jnp.swapaxes)",
        "causal_attention": "attention({0}, {1}, {2}, nn.softmax, jnp.swapaxes, causal)",
        "erf": "erf({0})",
        "gelu": "nn.gelu({0}, approximate=False)",
        "gelu_tanh": "nn.gelu({0}, approximate=True)",
        "maximum": "jnp.maximum({0}, {1})",
        "where": "jnp.where({0}, {1}, {2})",
        "matmul": "({0} @ {1})",
        "softmax": "nn.softmax({0}, -1)",
        "log_softmax": "nn.log_softmax({0}, -1)",
        "layer_norm": "layer_norm({0}, {1}, {2}, jnp.sqrt)",
        "rms_norm": "rms_norm({0}, {1}, jnp.sqrt)",
        "sum_axis_0": "jnp.sum({0}, 0, keepdims=True)",
        "sum_axis_1": "jnp.sum({0}, 1, keepdims=True)",
    }

    def __init__(self):
        import jax

        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_enable_x64", True)
        self.jax, self.version = jax, jax.__version__

    def prepare(self, case):
        jax = self.jax
        bindings, result = render(case["nodes"], self.TEMPLATES)
        names = [one["name"] for one in case["inputs"]]
        turned = [(one["name"], f"{one['name']}.T") for one in case["inputs"] if one["transposed"]]
        source = function(case, turned + bindings, result)
        jnp, nn, erf = jax.numpy, jax.nn, jax.scipy.special.erf
        known = {"jnp": jnp, "nn": nn, "erf": erf, "layer_norm": layer_norm, "rms_norm": rms_norm}
        causal = lambda scores: jnp.where(jnp.tri(scores.shape[-1], dtype=bool), scores, -jnp.inf)
        known |= {"attention": attention, "causal": causal}
        f = jax.jit(compiled(source, "f", known))

        def bind(inputs, out):
            arguments = [jax.dlpack.from_dlpack(array, copy=False) for array in inputs]
            result = [None]

            def call():
                result[0] = f(*arguments).block_until_ready()

            return call, lambda: np.asarray(result[0])

        return bind


class Torch:
    """PyTorch, eager or compiled; it writes into the given array wherever it can be told to."""

    knows = MATH.split() + "maximum where relu silu sigmoid gelu gelu_tanh softplus mish selu linear".split()
    knows += ROWS + ATTENTION + HEADS
    # It is fast for four axes alone.
    ATTENTION = "F.scaled_dot_product_attention({0}[None], {1}[None], {2}[None]"
    TEMPLATES = ARITHMETIC | METHODS | calls("torch.", MATH) | calls("F.", "relu silu softplus mish selu") | {
        "attention": f"{ATTENTION})[0]",
        "causal_attention": f"{ATTENTION}, is_causal=True)[0]",
        "sigmoid": "torch.sigmoid({0})",
        "gelu": "F.gelu({0})",
        "gelu_tanh": "F.gelu({0}, approximate='tanh')",
        "where": "torch.where({0}, {1}, {2})",
        "maximum": "torch.clamp_min({0}, {1})",
        "matmul": "({0} @ {1})",
        "softmax": "F.softmax({0}, -1)",
        "log_softmax": "F.log_softmax({0}, -1)",
        "layer_norm": "F.layer_norm({0}, {1}.shape, {1}, {2}, 1e-5)",
        "rms_norm": "F.rms_norm({0}, {1}.shape, {1}, 1e-6)",
        "sum_axis_0": "torch.sum({0}, 0, True)",
        "sum_axis_1": "torch.sum({0}, 1, True)",
    }
    LAST = {
        "add": "torch.add({0}, {1}, out=out)",
        "sub": "torch.sub({0}, {1}, out=out)",
        "mul": "torch.mul({0}, {1}, out=out)",
        "div": "torch.div({0}, {1}, out=out)",
        "relu": "torch.clamp_min({0}, 0.0, out=out)",
        "silu": "torch._C._nn.silu({0}, out=out)",
        "gelu": "torch._C._nn.gelu({0}, out=out)",
        "gelu_tanh": "torch._C._nn.gelu({0}, approximate='tanh', out=out)",
        "softplus": "torch._C._nn.softplus({0}, out=out)",
        "mish": "torch._C._nn.mish({0}, out=out)",
        "matmul": "torch.mm({0}, {1}, out=out)",
        "softmax": "torch.softmax({0}, -1, out=out)",
        "log_softmax": "torch.log_softmax({0}, -1, out=out)",
        "sum_axis_0": "torch.sum({0}, 0, True, out=out)",
        "sum_axis_1": "torch.sum({0}, 1, True, out=out)",
    }

    def __init__(self, compile):
        import torch

        self.torch, self.compile = torch, compile
        self.version = torch.__version__.split("+")[0]
        torch.set_grad_enabled(False)

    def prepare(self, case):
        torch = self.torch
        torch.set_num_threads(case["threads"])
        nodes = [tuple(node) for node in case["nodes"]]
        if self.compile:
            bindings, result = render(nodes, self.TEMPLATES)
            source = function(case, bindings, f"out.copy_({result})", ", out")
        else:
            bindings, result = render(nodes, self.TEMPLATES, last=self.LAST)
            source = function(case, bindings, result, ", out")
        f = compiled(source, "f", {"torch": torch, "F": torch.nn.functional})
        if self.compile:
            torch._dynamo.reset()
            f = torch.compile(f, dynamic=False, fullgraph=True)

        def bind(inputs, out):
            arguments = [torch.from_numpy(array) for array in views(case, inputs)]
            target = torch.from_numpy(out)
            result = [None]

            def call():
                result[0] = f(*arguments, target)

            return call, lambda: result[0].numpy()

        return bind


class OnnxRuntime:
    """ONNX Runtime with bound arrays; weights are initialisers, which it packs once."""

    knows = MATH.split() + "maximum where relu sigmoid gelu gelu_tanh softplus mish selu".split()
    knows += ROWS + ATTENTION + HEADS
    knows = [name for name in knows if name not in ("log1p", "expm1")]
    OPERATORS = {
        "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "gt": "Greater",
        "matmul": "MatMul", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "erf": "Erf",
        "abs": "Abs", "maximum": "Max", "where": "Where", "relu": "Relu", "sigmoid": "Sigmoid",
        "gelu": "Gelu", "gelu_tanh": "Gelu", "softplus": "Softplus", "mish": "Mish", "selu": "Selu",
        "softmax": "Softmax", "log_softmax": "LogSoftmax", "layer_norm": "LayerNormalization",
        "rms_norm": "SimplifiedLayerNormalization", "sum_axis_0": "ReduceSum", "sum_axis_1": "ReduceSum",
        "attention": "Attention", "causal_attention": "Attention",
        "queries": "Unsqueeze", "keys": "Unsqueeze", "values": "Unsqueeze", "joined": "Squeeze",
    }  # fmt: skip
    ATTRIBUTES = {
        "gelu_tanh": {"approximate": "tanh"},
        "layer_norm": {"epsilon": 1e-5},
        "rms_norm": {"epsilon": 1e-6},
        # Of three axes the first is that of a batch.
        "attention": {"q_num_heads": 1, "kv_num_heads": 1},
        "causal_attention": {"q_num_heads": 1, "kv_num_heads": 1, "is_causal": 1},
    }

    def __init__(self):
        import onnx
        import onnxruntime

        self.onnx, self.runtime = onnx, onnxruntime
        self.version = onnxruntime.__version__

    def model(self, case, weights):
        """The graph of a case, with `weights` by name as its initialisers."""
        helper, numpy_helper = self.onnx.helper, self.onnx.numpy_helper
        dtype = np.dtype(case["dtype"])
        element = helper.np_dtype_to_tensor_dtype(dtype)
        transposed = {one["name"] for one in case["inputs"] if one["transposed"]}
        initialisers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
        nodes, names = [], []
        for place, (op, *operands) in enumerate(case["nodes"]):
            name = f"t{place}"
            if op == "input":
                name = operands[0]
                if name in transposed and name not in weights:
                    nodes.append(helper.make_node("Transpose", [name], [name + "T"]))
                    name += "T"
            elif op == "number":
                initialisers.append(numpy_helper.from_array(np.array(operands[0], dtype), name))
            else:
                attributes = self.ATTRIBUTES.get(op, {})
                inputs = [names[operand] for operand in operands]
                if case["kind"] == "layers" and op == "causal_attention":
                    # It splits what is as wide as the block itself.
                    attributes = attributes | {"q_num_heads": 12, "kv_num_heads": 12}
                if op in HEADS[:3]:
                    third = HEADS.index(op)
                    bounds = {"from": [768 * third], "to": [768 * (third + 1)], "along": [1]}
                    for key, values in bounds.items():
                        initialisers.append(numpy_helper.from_array(np.array(values), f"{name}_{key}"))
                    parts = [*inputs, *(f"{name}_{key}" for key in bounds)]
                    nodes.append(helper.make_node("Slice", parts, [name + "_part"]))
                    inputs = [name + "_part"]
                if op in HEADS:
                    initialisers.append(numpy_helper.from_array(np.array([0]), name + "_axis"))
                    inputs.append(name + "_axis")
                if op.startswith("sum_axis_"):
                    axes = np.array([int(op[-1])], np.int64)
                    initialisers.append(numpy_helper.from_array(axes, name + "_axes"))
                    inputs.append(name + "_axes")
                nodes.append(helper.make_node(self.OPERATORS[op], inputs, [name], **attributes))
            names.append(name)
        used = [one for one in case["inputs"] if one["name"] not in weights]
        inputs = [helper.make_tensor_value_info(one["name"], element, one["stored"]) for one in used]
        output = helper.make_tensor_value_info(names[-1], element, case["shape"])
        graph = helper.make_graph(nodes, "case", inputs, [output], initialisers)
        opsets = [helper.make_opsetid("", 23 if case["kind"] in ("attention", "layers") else 22)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10), used, names[-1]

    def prepare(self, case):
        options = self.runtime.SessionOptions()
        options.intra_op_num_threads = case["threads"]
        options.inter_op_num_threads = 1
        # Threads that spin on would take the processor from whoever is measured next.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        dtype = np.dtype(case["dtype"])

        def bind(inputs, out):
            pairs = list(zip(case["inputs"], views(case, inputs)))
            weights = {one["name"]: np.ascontiguousarray(x) for one, x in pairs if one["weight"]}
            model, used, result = self.model(case, weights)
            session = self.runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            binding = session.io_binding()
            arrays = {one["name"]: array for one, array in zip(case["inputs"], inputs)}
            for one in used:
                array = arrays[one["name"]]
                binding.bind_input(
                    one["name"], "cpu", 0, dtype, array.shape, array.ctypes.data
                )
            binding.bind_output(result, "cpu", 0, dtype, out.shape, out.ctypes.data)
            run = session.run_with_iobinding
            return lambda: run(binding), lambda: out

        return bind


class Gcc:
    """A C loop by `gcc -Ofast` with glibc's vector functions. C code calls it again and again."""

    knows = MATH.split() + ["maximum", "where"]
    FLAGS = "-Ofast -march=native -mprefer-vector-width=512 -fopenmp -shared -fPIC".split()

    def __init__(self):
        version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
        self.version = f"{version.stdout.strip()}, glibc {os.confstr('CS_GNU_LIBC_VERSION')[6:]}"
        self.folder = pathlib.Path(os.environ["KILN_PEERS_ENV"], "gcc")
        self.folder.mkdir(exist_ok=True)

    def prepare(self, case):
        only_elementwise(case)
        wide = case["dtype"] == "float64"
        ty, f = ("double", "") if wide else ("float", "f")
        templates = ARITHMETIC | {name: f"{name}{f}({{0}})" for name in MATH.split()} | {
            "abs": f"fabs{f}({{0}})",
            "maximum": "({0} > {1} ? {0} : {1})",
            "where": "({0} ? {1} : {2})",
        }
        bindings, result = render(case["nodes"], templates, lambda value: f"{value!r}{f}")
        names = [one["name"] for one in case["inputs"]]
        rows = [name for name, one in zip(names, case["inputs"]) if len(one["shape"]) == 1]
        at = lambda name: f"{name}_[j]" if name in rows else f"{name}_[i*{case['shape'][1]} + j]"
        loads = [(name, at(name)) for name in names] + bindings
        body = "\n".join(f"      const {ty} {name} = {text};" for name, text in loads)
        arrays = ", ".join(f"const {ty} *restrict {name}_" for name in names)
        passed = ", ".join(f"{name}_" for name in names)
        columns = case["shape"][1]
        threads = f"#pragma omp parallel for num_threads({case['threads']})"
        source = f"""#include <math.h>
static __attribute__((noinline)) void f({arrays}, {ty} *restrict out) {{
  {threads if case["threads"] > 1 else ""}
  for (long i = 0; i < {case["shape"][0]}; i++)
    for (long j = 0; j < {columns}; j++) {{
{body}
      out[i*{columns} + j] = {result};
    }}
}}
void calls(long count, {arrays}, {ty} *restrict out) {{
  while (count--) {{ f({passed}, out); __asm__ volatile("" ::: "memory"); }}
}}
"""
        name = hashlib.sha256(source.encode()).hexdigest()[:16]
        library = self.folder / f"{name}.so"
        if not library.exists():
            (self.folder / f"{name}.c").write_text(source)
            command = ["gcc", *self.FLAGS, self.folder / f"{name}.c", "-o", library, "-lmvec", "-lm"]
            subprocess.run(command, check=True)
        run = ctypes.CDLL(str(library)).calls

        def bind(inputs, out):
            pointers = [ctypes.c_void_p(array.ctypes.data) for array in (*inputs, out)]

            def call(count=1):
                run(ctypes.c_long(count), *pointers)

            call.repeats = True
            return call, lambda: out

        return bind


PEERS = {
    "numpy": NumPy,
    "numexpr": NumExpr,
    "numba": lambda: Numba(fast=False),
    "numba-fast": lambda: Numba(fast=True),
    "jax": Jax,
    "jax-tuned": Jax,
    "torch": lambda: Torch(compile=False),
    "torch-compiled": lambda: Torch(compile=True),
    "onnxruntime": OnnxRuntime,
    "gcc": Gcc,
}
