"""Models of other libraries: recognized by their exact classes, without importing a library."""
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# The package that defines a class: the function that converts its models
CONVERTERS = {"torch": "from_torch", "keras": "from_keras", "tf_keras": "from_keras",
              "sklearn": "from_sklearn"}


def library_of(model: Any) -> str | None:
    """The name of the library in CONVERTERS that the model's class, or one it is made from, is of.
    """
    roots = [base.__module__.partition(".")[0] for base in type(model).__mro__]
    return next((root for root in roots if root in CONVERTERS), None)


def loaded(name: str) -> ModuleType | None:
    """The module called `name`, if the caller has imported it: whoever has its models has."""
    return sys.modules.get(name)


def known_name(thing: Any, module: Any, methods: Sequence[str]) -> str | None:
    """The name of the class of `module` that computes what `thing` computes; None if there is none.

    That is its own class, or the first that it is made from, unless one of the `methods` that
    compute has been replaced in between, or on `thing` itself. A class is known by what it is, not
    by what it is called.
    """
    for base in type(thing).__mro__:
        if getattr(module, base.__name__, None) is base:
            is_own = any(getattr(type(thing), name, None) is not getattr(base, name, None)
                         or name in vars(thing) for name in methods)
            return None if is_own else base.__name__
    return None


def full_name(thing: Any) -> str:
    """The class of `thing` as error messages name it, with the module that defines it."""
    module = type(thing).__module__
    return type(thing).__qualname__ + ("" if module == "builtins" else f" of {module}")


def check_network(net: Any, kind: type) -> None:
    """`net` must be a `kind` (a Network); the error says how a model of another library becomes
    one."""
    if isinstance(net, kind):
        return
    converter = CONVERTERS.get(library_of(net) or "")
    advice = f"; lrp.{converter}(model) makes one of it" if converter else ""
    raise ValueError(f"net must be a {kind.__name__} of lrp_numpy, got {full_name(net)}{advice}")
