"""The type stubs declare what the package has, with the same parameters."""

import ast
import inspect
import pathlib
import unittest

import faultline


def declared_functions(body):
    return {item.name: item for item in body if isinstance(item, ast.FunctionDef) and not is_setter(item)}


def is_setter(function):
    return any(isinstance(decorator, ast.Attribute) for decorator in function.decorator_list)


def is_public(name):
    return not name.startswith("_") or name in ("__init__", "__enter__", "__exit__")


class Stubs(unittest.TestCase):
    def setUp(self):
        folder = pathlib.Path(faultline.__file__).parent
        self.assertTrue((folder / "py.typed").exists())
        self.body = ast.parse((folder / "__init__.pyi").read_text()).body

    def check_parameters(self, stub, function):
        self.assertEqual([argument.arg for argument in stub.args.args], list(inspect.signature(function).parameters))
        required = [p for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty]
        self.assertEqual(len(stub.args.args) - len(stub.args.defaults), len(required), stub.name)

    def test_declare_every_public_name(self):
        declared = {item.name for item in self.body if isinstance(item, (ast.FunctionDef, ast.ClassDef))}
        self.assertEqual(declared | {"__version__"}, set(faultline.__all__))

    def test_declare_functions_as_they_are(self):
        for name, stub in declared_functions(self.body).items():
            self.check_parameters(stub, getattr(faultline, name))

    def test_declare_methods_as_they_are(self):
        for item in self.body:
            if not isinstance(item, ast.ClassDef) or item.name == "Stats":
                continue
            stubs = declared_functions(item.body)
            own = {name: member for name, member in vars(getattr(faultline, item.name)).items() if is_public(name)}
            hidden = {"__init__"} if item.name == "Pin" else set()
            self.assertEqual(set(stubs), set(own) - hidden, item.name)
            for name, stub in stubs.items():
                if name != "__exit__" and not isinstance(own[name], property):
                    self.check_parameters(stub, own[name])

    def test_declare_the_figures_of_stats(self):
        stats = next(item for item in self.body if isinstance(item, ast.ClassDef) and item.name == "Stats")
        self.assertEqual([field.target.id for field in stats.body], list(faultline.Stats.__dataclass_fields__))

    def test_every_public_function_has_a_docstring(self):
        for name in set(faultline.__all__) - {"__version__"}:
            thing = getattr(faultline, name)
            self.assertTrue(thing.__doc__, name)
            for member_name, member in vars(thing).items() if inspect.isclass(thing) else ():
                if not member_name.startswith("_") and (callable(member) or isinstance(member, property)):
                    self.assertTrue(member.__doc__, f"{name}.{member_name}")


if __name__ == "__main__":
    unittest.main()
