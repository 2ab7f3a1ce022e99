"""The type stubs have what the module has: classes, members, arguments and their defaults, and a word about each."""

import ast
import inspect
from pathlib import Path

import ocelli_vision
import pytest
from ocelli_vision import _native

STUBS = ast.parse((Path(ocelli_vision.__file__).parent / "_native.pyi").read_text())
CLASSES = {node.name: node for node in STUBS.body if isinstance(node, ast.ClassDef)}


def members(node: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    return {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}


def arguments(function: ast.FunctionDef) -> list[tuple[str, str]]:
    """Names and defaults, without self or cls."""
    signature = function.args
    plain = signature.args[1:]
    missing = [None] * (len(plain) - len(signature.defaults))
    pairs = [*zip(plain, [*missing, *signature.defaults], strict=True), *zip(signature.kwonlyargs, signature.kw_defaults, strict=True)]
    return [(one.arg, "" if default is None else ast.unparse(default)) for one, default in pairs]


def found(method) -> list[tuple[str, str]]:
    own = [one for one in inspect.signature(method).parameters.values() if one.name not in ("self", "cls")]
    return [(one.name, "" if one.default is one.empty else repr(one.default)) for one in own]


def test_classes_are_those_of_the_module():
    runtime = {name for name, one in vars(_native).items() if isinstance(one, type)}
    assert runtime == set(CLASSES)
    assert runtime | {"OcelliError"} == set(ocelli_vision.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_members_are_those_of_the_class(name):
    stub, runtime = members(CLASSES[name]), getattr(_native, name)
    public = {one for one in vars(runtime) if not one.startswith("_")}
    assert public == {one for one in stub if not one.startswith("_")}
    for one in public:
        assert ast.get_docstring(stub[one]) and getattr(runtime, one).__doc__, one
        if callable(getattr(runtime, one)):
            assert found(getattr(runtime, one)) == arguments(stub[one]), one


def test_models_are_made_as_the_stub_says():
    assert found(_native.Model) == arguments(members(CLASSES["Model"])["__new__"])
    assert found(_native.Model)[1:] != found(_native.Model)[:-1], "an argument that is missing is seen"
