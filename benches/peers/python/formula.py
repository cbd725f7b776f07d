"""Formulas as programs: what every peer builds its own code from.

A program is a list of nodes `[op, operand, ..]`, where operands are places in the list, but for
`["input", name]` and `["number", value]`. Equal nodes are one. A call of a function that the peer does
not know is replaced by the function's definition.
"""

import ast

from cases import DEFINITIONS

OPERATORS = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.MatMult: "matmul",
    ast.USub: "neg",
    ast.Gt: "gt",
}

# Names, parameters and bodies.
FUNCTIONS = {}
for _head, _body in DEFINITIONS.items():
    _call = ast.parse(_head, mode="eval").body
    FUNCTIONS[_call.func.id] = ([arg.id for arg in _call.args], _body)


class Missing(Exception):
    """A function that a peer has not, and that has no definition."""


class Program:
    """The nodes of `text`, for a peer that knows the functions `known`."""

    def __init__(self, text, known):
        self.known = known
        self.nodes = []
        self.result = self.run(text, {})

    def run(self, text, names):
        """Adds what `text` computes, with `names` bound to places."""
        *bindings, last = ast.parse(text.strip()).body
        for binding in bindings:
            names = names | {binding.targets[0].id: self.add(binding.value, names)}
        return self.add(last.value, names)

    def node(self, *node):
        """The place of a node, which is added if it is new."""
        if node not in self.nodes:
            self.nodes.append(node)
        return self.nodes.index(node)

    def add(self, tree, names):
        """The place of an expression's value."""
        match tree:
            case ast.Name(id=name):
                return names[name] if name in names else self.node("input", name)
            case ast.Constant(value=value):
                return self.node("number", value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=value)):
                return self.node("number", -value)
            case ast.UnaryOp(op=op, operand=operand):
                return self.node(OPERATORS[type(op)], self.add(operand, names))
            case ast.BinOp(left=left, op=op, right=right):
                return self.node(OPERATORS[type(op)], self.add(left, names), self.add(right, names))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.node(OPERATORS[type(op)], self.add(left, names), self.add(right, names))
            case ast.Call(func=ast.Name(id=function), args=arguments):
                places = [self.add(argument, names) for argument in arguments]
                if function in self.known:
                    return self.node(function, *places)
                if function not in FUNCTIONS:
                    raise Missing(f"has no {function}")
                parameters, body = FUNCTIONS[function]
                return self.run(body, dict(zip(parameters, places)))
        raise ValueError(ast.dump(tree))


def render(nodes, templates, number=repr, last=None):
    """A program as source: assignments of what is used more than once, and the result.

    `templates` says how an op is written, `{0}` being its first operand. `last` has templates for
    the op that makes the result, where it can be told where to write it.
    """
    uses = [0] * len(nodes)
    for op, *operands in nodes:
        if op not in ("input", "number"):
            for operand in operands:
                uses[operand] += 1
    texts, bindings = [], []
    for place, (op, *operands) in enumerate(nodes):
        final = place == len(nodes) - 1
        if op == "input":
            text = operands[0]
        elif op == "number":
            text = f"({number(operands[0])})"
        else:
            template = last[op] if final and last and op in last else templates[op]
            text = template.format(*(texts[operand] for operand in operands))
            if uses[place] > 1:
                bindings.append((f"t{place}", text))
                text = f"t{place}"
        texts.append(text)
    return bindings, texts[-1]


ARITHMETIC = {
    "add": "({0} + {1})",
    "sub": "({0} - {1})",
    "mul": "({0} * {1})",
    "div": "({0} / {1})",
    "neg": "(-{0})",
    "gt": "({0} > {1})",
}


# Functions along the rows of a matrix.
ROWS = "softmax log_softmax layer_norm rms_norm sum_axis_0 sum_axis_1".split()
# Of queries, keys and values, scaled by the root of 64; the second of what is not later.
ATTENTION = "attention causal_attention".split()

# Of what is three times as wide as a block: its thirds as heads; and heads as what is as wide.
HEADS = "queries keys values joined".split()


def heads(split, join):
    """Templates of [`HEADS`], of those for a third, which has `{first}` to `{end}`, and for joining."""
    thirds = {
        name: split.format("{0}", first=768 * third, end=768 * (third + 1))
        for third, name in enumerate(HEADS[:3])
    }
    return thirds | {"joined": join}


def calls(prefix, names):
    """Templates of functions that are called `prefix` and their name."""
    return {name: f"{prefix}{name}({{0}})" for name in names.split()}
