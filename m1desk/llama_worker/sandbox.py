"""A Jinja environment for templates out of foreign files: bounded in time, size and reach.

Jinja's own sandbox keeps a template from the machine. This one also keeps it from eating time and
memory: whatever creates a value (an operator, a literal, a call, a filter, a captured block) has it
measured, so that every value stays small enough for the steps that can't be interrupted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator
from jinja2.ext import Extension
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.compiler import Frame
    from jinja2.parser import Parser

COMPILED_NAME = "<template>"
"""The file name that a compiled template's code bears."""

_LARGEST_NUMBER_BITS = 4096
_LARGEST_ARGUMENT = 1_000_000
_LARGEST_INDENT = 32
_WIDE_FORMAT = re.compile(r"\d{4}|\*|:[^}]*\{")
_VALUES_PER_RENDER = 128
_FILTERS = frozenset(
    """
    abs attr batch capitalize count d default dictsort e escape first float format groupby
    indent int items join last length list lower map max min reject rejectattr replace reverse
    round safe select selectattr slice sort string sum title trim truncate unique upper
    wordcount
    """.split()  # noqa: SIM905 - a list of words
)
_LAZY_FILTERS = frozenset({"map", "select", "reject", "selectattr", "rejectattr", "first"})
_TEXT_METHODS = frozenset(
    """
    capitalize casefold count endswith find index isalnum isalpha isascii isdecimal isdigit
    islower isnumeric isspace istitle isupper join lower lstrip partition removeprefix
    removesuffix replace rfind rindex rpartition rsplit rstrip split splitlines startswith strip
    swapcase title upper
    """.split()  # noqa: SIM905 - a list of words
)


class TooLargeError(Exception):
    """A template made, or was about to make, a value beyond its limit."""


class RefusalError(Exception):
    """The template itself refuses the conversation (`raise_exception`)."""


class _BoundedCode(CodeGenerator):
    """Jinja's compiler, with every value that an expression creates measured."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("environment.concat_values((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self.write("environment.bounded(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self.write("environment.bounded(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.bounded(")
        super().visit_Tuple(node, frame)
        self.write(")")


class _Generation(Extension):
    """`{% generation %}` marks what is trained on; for a prompt it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's type

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Namespace(Namespace):
    """Jinja's namespace, whose text does not grow with what it holds."""

    def __repr__(self) -> str:
        return "<namespace>"


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The environment of one template; of one render at a time."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    code_generator_class = _BoundedCode

    def __init__(self) -> None:
        # As transformers sets it up: templates are written for that.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols", _Generation],
        )
        self._limit = 0
        self._budget = 0
        self._known: dict[int, int] = {}
        self.start_render({})
        self.globals = {
            "dict": dict,
            "namespace": _Namespace,
            "raise_exception": _raise_exception,
            "range": self.globals["range"],
            "strftime_now": _strftime_now,
        }
        filters = {name: f for name, f in self.filters.items() if name in _FILTERS}
        self.filters = {name: self._bound_filter(name, f) for name, f in filters.items()}
        self.filters["tojson"] = self._bound_filter("tojson", _to_json)

    def start_render(self, variables: Mapping[str, object]) -> int:
        """Set the limits for rendering `variables`: a prompt is about as long as what it tells.

        Returns:
            The size of `variables` in characters and entries.
        """
        self._known = {}
        size = self._remember(variables)
        self._limit = 1_000_000 + 8 * size
        self._budget = _VALUES_PER_RENDER * self._limit
        return size

    def bounded(self, value: Any) -> Any:  # noqa: ANN401 - any value of a template
        """Pass on `value`.

        Raises:
            TooLargeError: it, or all that was made so far, is beyond the limit.
        """
        if isinstance(value, str | list | tuple | dict | set):
            self._spend(self._measure(value))
        return value

    def concat_values(self, values: Iterable[object]) -> str:
        """Join the text of `values`, as the operator `~` does.

        Raises:
            TooLargeError: the text is beyond the limit.
        """
        return self.concat(map(str, values))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ANN401, D102 - Jinja's
        if isinstance(obj, str) and attr not in _TEXT_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401, D102
        if operator == "*":
            self._check_product(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._check_bits(left.bit_length() * abs(right))
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        return self.bounded(super().call_binop(context, operator, left, right))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:  # noqa: ANN401, D102
        formatted = super().wrap_str_format(value)
        if formatted is None:
            return None

        def bounded(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401
            template = str(value.__self__)
            _check_format(template)
            self._spend(template.count("{") * self._measure([*args, kwargs]) + len(template))
            return formatted(*args, **kwargs)

        return bounded

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, N805, D102
        text = getattr(__obj, "__self__", None)
        if isinstance(text, str):
            args = __self._check_method(__obj.__name__, text, args)
        return __self.bounded(super().call(__context, __obj, *args, **kwargs))

    def _spend(self, size: int) -> None:
        self._budget -= size
        if size > self._limit or self._budget < 0:
            raise TooLargeError("It makes more text than the conversation can account for.")

    def _measure(self, value: object) -> int:
        """Characters and entries of a value written out in full: shared parts count every time."""
        size = 0
        waiting: list[object] = [value]
        while waiting:
            item = waiting.pop()
            size += self._known.get(id(item)) or 1
            if isinstance(item, str):
                size += len(item)
            elif id(item) not in self._known:
                waiting.extend(_children(item))
            if size > self._limit:
                break
        return size

    def _remember(self, value: object) -> int:
        """Measure what a render is given, once: templates walk over it again and again."""
        if isinstance(value, str):
            return 1 + len(value)
        size = 1 + sum(self._remember(child) for child in _children(value))
        if isinstance(value, list | dict):
            self._known[id(value)] = size
        return size

    def concat(self, parts: Iterable[str]) -> str:
        """Join the text of a template, a block or a macro.

        Raises:
            TooLargeError: the text is beyond the limit.
        """
        kept: list[str] = []
        size = 0
        for part in parts:
            size += len(part)
            if size > self._limit:
                break
            kept.append(part)
        self._spend(size)
        return "".join(kept)

    def _check_product(self, left: object, right: object) -> None:
        for many, times in ((left, right), (right, left)):
            if isinstance(many, str | list | tuple) and isinstance(times, int):
                self._spend(self._measure(many) * max(times, 0))
                return
        if isinstance(left, int) and isinstance(right, int):
            self._check_bits(left.bit_length() + right.bit_length())

    def _check_bits(self, bits: int) -> None:
        if bits > _LARGEST_NUMBER_BITS:
            raise TooLargeError("It makes a number of more than a thousand digits.")

    def _check_replacement(self, text: str, old: object, new: object) -> None:
        if isinstance(old, str) and isinstance(new, str):
            self._spend(len(text) + text.count(old) * len(new))

    def _check_method(self, name: str, text: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        if name == "replace" and len(args) > 1:
            self._check_replacement(text, args[0], args[1])
        elif name == "join" and args:
            return (self._collect(args[0], between=len(text)), *args[1:])
        return args

    def _collect(self, values: Iterable[object], between: int = 0) -> list[object]:
        """List what an iterator gives, before something that can't be interrupted does."""
        kept: list[object] = []
        size = 0
        for value in values:
            size += self._measure(value) + between
            if size > self._limit:
                break
            kept.append(value)
        self._spend(size)
        return kept

    def _bound_filter(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        place = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja passes its context first

        @wraps(function)
        def bound(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            given = args[place:]
            if given:
                _check_arguments(name, (*given[1:], *kwargs.values()))
                given = (self._check_input(name, *given, **kwargs), *given[1:])
            return self.bounded(function(*args[:place], *given, **kwargs))

        return bound

    def _check_input(self, name: str, value: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        if name == "join":
            if len(args) > 1 or "attribute" in kwargs:
                raise TooLargeError("It joins by attribute, which is not supported.")
            separator = str(args[0] if args else kwargs.get("d", ""))
            return self._collect(value, between=len(separator))
        if name == "replace" and len(args) > 1:
            self._check_replacement(str(value), args[0], args[1])
        elif name == "format":
            _check_format(str(value))
        elif isinstance(value, Iterator) and name not in _LAZY_FILTERS:
            return self._collect(value)
        return value


def _children(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    return value if isinstance(value, list | tuple | set) else ()


def _check_arguments(name: str, arguments: Sequence[object]) -> None:
    """Refuse what would make a filter blow up its input."""
    largest = _LARGEST_INDENT if name in {"indent", "tojson", "round"} else _LARGEST_ARGUMENT
    for argument in arguments:
        size = argument if isinstance(argument, int) else 0
        if isinstance(argument, str) and name in {"indent", "tojson"}:
            size = len(argument)
        if abs(size) > largest:
            raise TooLargeError(f"It calls the filter '{name}' with too large a number.")


def _check_format(template: str) -> None:
    if _WIDE_FORMAT.search(template):
        raise TooLargeError("It pads text to more than 999 characters.")


def _raise_exception(message: object) -> None:
    raise RefusalError(str(message))


def _strftime_now(pattern: str) -> str:
    _check_format(pattern)
    return datetime.now().astimezone().strftime(pattern)


def _to_json(
    value: object,
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - transformers' signature
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """JSON as transformers writes it; Jinja's own filter escapes for HTML."""
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )
