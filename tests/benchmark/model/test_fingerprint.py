"""A run is named for all of a user's code that its model reaches, and for nothing that computes nothing."""

import importlib
import itertools
import sys
import textwrap

import pytest

import benchmark.model.fingerprint as fingerprint
from alphagan import AlphaGAN, EmpiricalKLAlphaGAN
from baselines import AGE, DCGAN, WGANGP
from benchmark.errors import UserError
from benchmark.model.fingerprint import Reach, code_fingerprint, source_roots
from benchmark.model.syntax import Place, read

MODEL = "class Model: f = f\n"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Write files to a folder of their own, and give what is asked of the model in them."""
    numbers = itertools.count()

    def answer(files, ask=code_fingerprint, path="mypkg.model.Model", inside=""):
        folder = tmp_path / str(next(numbers)) / inside
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text))
        before = set(sys.modules)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            module, _, name = path.rpartition(".")
            try:
                return ask(getattr(importlib.import_module(module), name))
            finally:
                for added in set(sys.modules) - before:
                    del sys.modules[added]

    return answer


@pytest.fixture
def _as_ours(monkeypatch):
    """Let mypkg be a package of ours, whose `__init__` may be a table of contents."""
    monkeypatch.setattr("benchmark.model.fingerprint.MODEL_PACKAGES", ("alphagan", "baselines", "mypkg"))


def reached(model):
    return sorted(Reach(model).modules)


def edited(files, name):
    return {**files, name: files[name] + "\nedited = 1\n"}


FROM_PACKAGE = {
    "mypkg/__init__.py": "",
    "mypkg/model.py": "from . import layers\nclass Model: f = layers.f",
    "mypkg/layers.py": "from mypkg.blocks import f\n",
    "mypkg/blocks.py": "f = 1\n",
}
BY_NAME = {
    **FROM_PACKAGE,
    "mypkg/model.py": "from mypkg.layers import f\n" + MODEL,
    "mypkg/layers.py": "import mypkg.blocks\nf = 1",
}


@pytest.mark.parametrize("files", [FROM_PACKAGE, BY_NAME], ids=["from . import layers", "from mypkg.layers import f"])
@pytest.mark.parametrize("name", list(FROM_PACKAGE))
def test_every_file_that_is_reached_counts_however_deep(place, files, name):
    assert place(files) == place(files)
    assert place(edited(files, name)) != place(files)
    assert place({**files, "mypkg/other.py": "edited = 1"}) == place(files)


KINDS = {
    "import a.b": "import mypkg.deep\nclass Model: f = mypkg.deep.f",
    "import a.b as c": "import mypkg.deep as c\nclass Model: f = c.f",
    "from . import module": "from . import deep\nclass Model: f = deep.f",
    "from .module import name": "from .deep import f\n" + MODEL,
    "from .module import *": "from .deep import *\n" + MODEL,
    "from package import module": "from mypkg import deep\nclass Model: f = deep.f",
    "from package.module import name": "from mypkg.deep import f\n" + MODEL,
    "from .. import module": "from .inner import f\n" + MODEL,
    "in a function": "class Model:\n    def f(self):\n        from .deep import f\n        return f",
    "in a condition": "if not __debug__:\n    from .deep import f\nclass Model: pass",
    "in an attempt": "try:\n    import no_such_library\nexcept ImportError:\n    from .deep import f\nclass Model: pass",
    "of a package's __init__": "from mypkg.subpackage import f\n" + MODEL,
    "through a package's __init__": "import mypkg.subpackage.empty\nclass Model: pass",
    "without __init__": "from mypkg.plain.inner import f\n" + MODEL,
    "without __init__, in a function": "class Model:\n    def f(self):\n        from .plain.inner import f\n        return f",
    "from the same folder": "from neighbour import f\n" + MODEL,
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_kinds_of_import(place, kind):
    files = {
        "mypkg/__init__.py": "",
        "mypkg/model.py": KINDS[kind],
        "mypkg/deep.py": "f = 1\n",
        "mypkg/inner/__init__.py": "from .. import deep\nf = deep.f",
        "mypkg/subpackage/__init__.py": "from ..deep import f\ng = f",
        "mypkg/subpackage/empty.py": "",
        "mypkg/plain/inner.py": "from ..deep import f\n",
        "neighbour.py": "from mypkg.deep import f\n",
    }
    assert "mypkg.deep" in place(files, reached)
    assert place(edited(files, "mypkg/deep.py")) != place(files)


def test_a_single_file_with_its_neighbours(place):
    files = {"model.py": "import layers\nclass Model: f = layers.f", "layers.py": "from blocks import f", "blocks.py": "f = 1\n"}
    assert place(files, reached, "model.Model") == ["blocks", "layers", "model"]
    for name in files:
        assert place(edited(files, name), path="model.Model") != place(files, path="model.Model")


LAID_OUT = {
    "mypkg/__init__.py": "",
    "mypkg/model.py": """
        import math
        from torch.nn import functional as F
        from . import blocks as parts
        from .layers import f, g

        class Model:
            def loss(self, x):
                return F.relu(x) * f(x) * g(x) * parts.h(x) * math.pi
        """,
    "mypkg/layers.py": "def f(x):\n    return x\ndef g(x):\n    return 2 * x\n",
    "mypkg/blocks.py": "from typing import TYPE_CHECKING\nfrom mypkg.layers import f\ndef h(x):\n    pass\n",
}
SAME = {
    "sorted otherwise": (
        "mypkg/model.py",
        """
        from mypkg.layers import g
        from mypkg.layers import f
        import mypkg.blocks as parts
        import torch.nn.functional as F
        import math
        class Model:
            def loss(self, x):
                return F.relu(x) * f(x) * g(x) * parts.h(x) * math.pi
        """,
    ),
    "docstrings, comments, blank lines, parentheses": (
        "mypkg/layers.py",
        '''
        """What a layer is."""
        from __future__ import annotations

        def f(x):  # the first
            """Say so."""

            return (x)
        def g(x):
            return 2*x
        "after an assignment, too"
        ''',
    ),
    "a docstring in place of pass": (
        "mypkg/blocks.py",
        "from .layers import f\nfrom typing import TYPE_CHECKING\ndef h(x):\n    'Nothing.'\n",
    ),
    "for type checkers only": (
        "mypkg/blocks.py",
        "from typing import TYPE_CHECKING\nfrom mypkg.layers import f\nif TYPE_CHECKING:\n    import nothing\ndef h(x): ...\n",
    ),
}


@pytest.mark.parametrize("change", list(SAME))
def test_what_computes_nothing_renames_no_run(place, change):
    name, text = SAME[change]
    assert place({**LAID_OUT, name: text}) == place(LAID_OUT)


def test_files_may_be_renamed_and_moved(place):
    renamed = {name.replace("layers", "zones"): text.replace("layers", "zones") for name, text in LAID_OUT.items()}
    renamed = {name.replace("blocks", "a_blocks"): text.replace("blocks", "a_blocks") for name, text in renamed.items()}
    assert place(renamed) == place(LAID_OUT)
    moved = {name.replace("mypkg/layers", "mypkg/room/layers"): text for name, text in LAID_OUT.items()}
    moved = {
        name: text.replace("mypkg.layers", "mypkg.room.layers").replace(".layers", ".room.layers") for name, text in moved.items()
    }
    moved = {name: text.replace(".room.room", ".room") for name, text in moved.items()} | {"mypkg/room/__init__.py": ""}
    assert place(moved) == place(LAID_OUT)


def test_the_models_own_file_may_move_behind_the_name_that_users_know(place):
    files = {"mypkg/__init__.py": "from mypkg.model import Model", "mypkg/model.py": "class Model: pass"}
    moved = {"mypkg/__init__.py": "from mypkg.gan import Model", "mypkg/gan.py": "class Model: pass"}
    assert place(files, path="mypkg.Model") == place(moved, path="mypkg.Model")


DIFFERENT = {
    "another name as the same": ("from .layers import f as g", "from .layers import h as g"),
    "exchanged names": ("from .layers import f, h as g", "from .layers import h as f, f as g"),
    "exchanged modules": (
        "from .layers import f\nfrom .blocks import f as g",
        "from .blocks import f\nfrom .layers import f as g",
    ),
    "exchanged whole modules": ("from . import layers as f, blocks as g", "from . import layers as g, blocks as f"),
    "exchanged behind one file": (
        "from .behind import f\nfrom .ahead import f as g",
        "from .ahead import f\nfrom .behind import f as g",
    ),
    "exchanged libraries": ("from torch import cos as f, sin as g", "from torch import sin as f, cos as g"),
    "of another library": ("from math import cos as g", "from torch import cos as g"),
    "branches exchanged": (
        "if __debug__:\n    from .layers import f as g\nelse:\n    from .blocks import f as g",
        "if __debug__:\n    from .blocks import f as g\nelse:\n    from .layers import f as g",
    ),
    "of the shared code": ("from benchmark.losses import l1 as g", "from benchmark.losses import reverse_kl as g"),
    "through __init__": ("from mypkg import f as g", "from mypkg import h as g"),
}


@pytest.mark.parametrize("change", list(DIFFERENT))
def test_what_a_name_is_bound_to_counts(place, change):
    rest = "\nimport mypkg.layers as a, mypkg.blocks as b, mypkg.behind as c, mypkg.ahead as d\nclass Model: g = g\n"
    files = {
        "mypkg/__init__.py": "from .layers import f, h",
        "mypkg/layers.py": "f, h = 1, 2",
        "mypkg/blocks.py": "f = 3",
        "mypkg/behind.py": "from .layers import f",
        "mypkg/ahead.py": "from .blocks import f",
    }
    before, after = ({**files, "mypkg/model.py": imports + rest} for imports in DIFFERENT[change])
    assert place(before) != place(after)


CONTENTS = {
    "mypkg/__init__.py": "from .model import Model\nfrom .other import Other\n__all__ = ['Model', 'Other']\n__version__ = '1'\n",
    "mypkg/model.py": "from mypkg import f\n" + MODEL,
    "mypkg/other.py": "class Other: pass\n",
    "mypkg/layers.py": "f = 1\n",
    "mypkg/patches.py": "",
}


@pytest.mark.usefixtures("_as_ours")
def test_an_init_that_only_imports_is_a_table_of_contents(place):
    files = {**CONTENTS, "mypkg/__init__.py": "from .layers import f\n" + CONTENTS["mypkg/__init__.py"]}
    assert place(files, reached) == ["mypkg.layers", "mypkg.model"]
    more = {
        **files,
        "mypkg/__init__.py": files["mypkg/__init__.py"] + "from mypkg.third import Third",
        "mypkg/third.py": "Third = 1",
    }
    assert place(more) == place(edited(files, "mypkg/other.py")) == place(files)
    assert place(edited(files, "mypkg/layers.py")) != place(files)
    whole = {**files, "mypkg/model.py": "import mypkg\nclass Model: pass"}
    assert place(whole, reached) == ["mypkg", "mypkg.layers", "mypkg.model", "mypkg.other"]


@pytest.mark.usefixtures("_as_ours")
def test_what_is_not_for_type_checkers_counts(place):
    text = "import typing\nif not typing.TYPE_CHECKING:\n    from .layers import f\n    f = {}\nclass Model: pass"
    files = {name: {"mypkg/layers.py": "f = 1", "mypkg/model.py": text.format(name)} for name in (1, 2)}
    assert place(files[1]) != place(files[2])
    assert place(files[1], reached) == ["mypkg.layers", "mypkg.model"]


def test_a_long_chain_of_imports_is_followed(place):
    files = {f"mypkg/link{n}.py": f"from . import link{n + 1}" for n in range(500)} | {"mypkg/link500.py": "a = 1"}
    files |= {"mypkg/model.py": "def later():\n    from . import link0\nclass Model: pass"}
    assert place(edited(files, "mypkg/link500.py")) != place(files)


@pytest.mark.usefixtures("_as_ours")
@pytest.mark.parametrize("line", ["from . import patches", "import mypkg.patches", "from .patches import *"])
def test_what_an_init_imports_for_what_it_does_counts(place, line):
    files = {**CONTENTS, "mypkg/__init__.py": f"from .layers import f\n{line}\n" + CONTENTS["mypkg/__init__.py"]}
    assert place(files, reached) == ["mypkg.layers", "mypkg.model", "mypkg.patches"]


@pytest.mark.usefixtures("_as_ours")
def test_the_order_of_modules_renames_no_run(place):
    files = {"mypkg/__init__.py": "from . import extras, patches", "mypkg/model.py": "class Model: pass"}
    files |= {"mypkg/extras.py": "a = 1", "mypkg/patches.py": "a = 2"}
    assert place({name.replace("extras", "zeta"): text.replace("extras", "zeta") for name, text in files.items()}) == place(files)


def test_an_init_that_does_something_counts_with_all_that_it_imports(place):
    files = {**CONTENTS, "mypkg/__init__.py": "from .layers import f\nf += 1\n" + CONTENTS["mypkg/__init__.py"]}
    assert place(files, reached) == ["mypkg", "mypkg.layers", "mypkg.model", "mypkg.other"]


@pytest.mark.parametrize(
    ("model", "modules"),
    [
        (DCGAN, ["baselines.dcgan"]),
        (AGE, ["baselines.age"]),
        (WGANGP, ["baselines.wgan_gp"]),
        (AlphaGAN, ["alphagan.alphagan"]),
        (EmpiricalKLAlphaGAN, ["alphagan.alphagan"]),
    ],
)
def test_our_models_do_not_hang_on_each_other(model, modules):
    assert reached(model) == modules


@pytest.mark.usefixtures("_as_ours")
def test_a_users_model_hangs_on_the_one_of_ours_that_it_extends(place):
    files = {"mypkg/model.py": "from baselines import DCGAN\nclass Model(DCGAN): pass"}
    assert place(files, reached) == ["baselines.dcgan", "mypkg.model"]


@pytest.mark.usefixtures("_as_ours")
def test_libraries_do_not_count_and_an_installed_model_does(place):
    files = {
        "mypkg/model.py": "import json, torch\nimport somelibrary\nfrom benchmark import losses\nclass Model: pass",
        "somelibrary/__init__.py": "a = 1",
    }
    assert place(files, reached) == ["mypkg.model", "somelibrary"]
    assert place(files, reached, inside="lib/site-packages") == ["mypkg.model"]
    model = {**files, "mypkg/model.py": "from baselines import DCGAN\nfrom .layers import f\nclass Model(DCGAN): pass"}
    installed = place({**model, "mypkg/layers.py": "f = 1"}, reached, inside="lib/site-packages")
    assert installed == ["baselines.dcgan", "mypkg.layers", "mypkg.model"]


@pytest.mark.usefixtures("_as_ours")
def test_circles_end(place):
    files = {"mypkg/model.py": "from . import layers\nclass Model: pass", "mypkg/layers.py": "from . import model\n"}
    assert place(edited(files, "mypkg/layers.py")) != place(files)
    odd = {**files, "mypkg/__init__.py": "from mypkg import layers\nfrom mypkg.layers import model"}
    assert place(odd, reached) == ["mypkg.layers", "mypkg.model"]


def test_what_is_no_python_is_one_line(place):
    files = {"mypkg/model.py": "if not __debug__:\n    from . import old\nclass Model: pass", "mypkg/old.py": "print 'hello'"}
    with pytest.raises(UserError, match=r"old\.py is reached by the model's imports and cannot be read"):
        place(files)
    with pytest.raises(UserError, match="no source file"):
        Reach(type("Model", (), {"__module__": "typed_at_a_prompt"}))


def test_a_changed_tree_of_the_shared_code_is_not_the_released_version(monkeypatch, tmp_path):
    version, name = fingerprint.shared_version(), code_fingerprint(DCGAN)
    assert version == str(fingerprint.read_lock().version)
    changed = tmp_path / "losses.py"
    changed.write_text("a = 1")
    places = {"benchmark.losses": Place(changed, ())}
    find = fingerprint.find
    monkeypatch.setattr(fingerprint, "find", lambda path: places.get(path) or find(path))
    fingerprint.shared_version.cache_clear()
    try:
        assert fingerprint.shared_version().startswith(f"{version}+")
        assert code_fingerprint(DCGAN) != name
    finally:
        fingerprint.shared_version.cache_clear()


def test_a_syntax_tree_is_written_the_same_in_all_versions_of_python(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f(x, *, y=(1, 2.5)):\n    return f'{x!r:>{y}} a'\n")
    arguments = (
        "args=[arg(arg='x')], kwonlyargs=[arg(arg='y')], kw_defaults=[Tuple(elts=[Constant(value=1), Constant(value=2.5)])]"
    )
    y = "FormattedValue(value=Name(id='y'), conversion=-1)"
    x = f"FormattedValue(value=Name(id='x'), conversion=114, format_spec=JoinedStr(values=[Constant(value='>'), {y}]))"
    body = f"Return(value=JoinedStr(values=[{x}, Constant(value=' a')]))"
    function = f"FunctionDef(name='f', args=arguments({arguments}), body=[{body}])"
    assert read("module", Place(path, ())).text == f"Module(body=[{function}])"


def test_all_of_a_users_own_code_travels(place, tmp_path):
    files = {
        "mypkg/__init__.py": "from .model import Model\nfrom .other import Other\n",
        "mypkg/model.py": "import helper\nfrom space.inner import f\nclass Model: pass",
        "mypkg/other.py": "import needed_by_the_other\nclass Other: pass\n",
        "helper.py": "import further",
        "further.py": "",
        "needed_by_the_other.py": "",
        "space/inner.py": "f = 1",
        "unrelated.py": "",
    }
    roots = place(files, lambda model: source_roots(["metrics", f"{model.__module__}.Model"]))
    here = {str(root.relative_to(tmp_path / "0")): name for root, name in roots.items() if tmp_path in root.parents}
    assert here == {
        "mypkg": "mypkg",
        "helper.py": "helper.py",
        "further.py": "further.py",
        "needed_by_the_other.py": "needed_by_the_other.py",
        "space": "space",
    }
    assert sorted(set(roots.values()) - set(here.values())) == ["metrics"]


def test_what_registers_itself_in_a_users_package_counts(place):
    """A package whose `__init__` only imports may fill a registry or patch a module by that: editing what it imports renames."""
    files = {
        "mypkg/__init__.py": "",
        "mypkg/model.py": "from mypkg.layers import get\nclass Model: f = get('conv')",
        "mypkg/layers/__init__.py": "from .registry import get\nfrom .conv import Conv\n",
        "mypkg/layers/registry.py": "known = {}\ndef get(name): return known[name]\n"
        "def register(layer):\n    known[layer.name] = layer\n    return layer\n",
        "mypkg/layers/conv.py": "from .registry import register\n@register\nclass Conv:\n    name = 'conv'\n    k = 3\n",
    }
    assert place(edited(files, "mypkg/layers/conv.py")) != place(files)
