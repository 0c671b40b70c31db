"""Names, entry points and `use_backend`."""

from __future__ import annotations

import threading

import pytest

from pacbench import Backend, UnavailableError, UnknownNameError, get_backend, list_backends, use_backend
from pacbench.registry import BrokenBackend, backend_in_use


def test_unfold_is_registered():
    assert "unfold" in list_backends()
    assert get_backend("unfold").name == "unfold"


def test_names_are_in_alphabetical_order(register, make_backend):
    register(make_backend("zebra"), make_backend("ant"), make_backend("mole"))
    assert list_backends() == ["ant", "mole", "zebra"]


def test_one_instance_serves_the_process(register, make_backend):
    register(make_backend("ant"))
    assert get_backend("ant") is get_backend("ant")
    assert get_backend(get_backend("ant")) is get_backend("ant")


def test_unknown_name_gives_the_valid_ones_and_the_nearest(register, make_backend):
    register(make_backend("native"), make_backend("triton"))
    with pytest.raises(UnknownNameError, match=r"got 'tritton', expected one of native, triton \(did you mean 'tri"):
        get_backend("tritton")
    with pytest.raises(UnknownNameError, match=r"got 'x', expected one of native, triton$"):
        get_backend("x")


def test_nothing_registered(register):
    register()
    assert list_backends() == []
    with pytest.raises(UnknownNameError, match="got 'unfold', expected one of none registered"):
        get_backend("unfold")


def test_module_and_class(register, make_backend):
    register(make_backend("ant"))
    backend = get_backend("made_up_backends:Ant")
    assert (backend.name, list_backends()) == ("ant", ["ant"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_module_anywhere:X", "ModuleNotFoundError while loading it: No module named 'no_such_module_anywh"),
        ("math:Nothing", "AttributeError while loading it: .*'Nothing'"),
        ("collections:OrderedDict", "TypeError while loading it: got .*OrderedDict.* expected a subclass of pacbench"),
        ("math:pi", "TypeError while loading it: got 3.14.*, expected a subclass of pacbench.Backend"),
    ],
)
def test_module_and_class_that_do_not_load(name, message):
    with pytest.raises(UnavailableError, match=f"backend {name}: {message}"):
        get_backend(name)


def test_broken_entry_point_is_listed_with_its_reason(register, make_backend):
    register(make_backend("ant"), broken="no_such_module_anywhere:X", number="math:pi")
    assert list_backends() == ["ant", "broken", "number"]
    for name, text in (("broken", "ModuleNotFoundError while loading it"), ("number", "TypeError while loading it")):
        backend = get_backend(name)
        assert isinstance(backend, BrokenBackend)
        (reason,) = backend.unavailable_reasons()
        assert reason.text.startswith(text)
        assert "repair or uninstall" in reason.mend
    assert get_backend("ant").unavailable_reasons() == []


def test_entry_point_whose_constructor_raises_is_broken(register, make_backend):
    class Explosive(make_backend("explosive")):
        def __init__(self) -> None:
            raise OSError("no such driver")

    register(Explosive)
    (reason,) = get_backend("explosive").unavailable_reasons()
    assert reason.text == "OSError while loading it: no such driver"


def test_use_backend_nests_and_ends(register, make_backend):
    register(make_backend("ant"), make_backend("bee"))
    assert backend_in_use() is None
    with use_backend("ant") as ant:
        assert ant is get_backend("ant")
        with use_backend(get_backend("bee")):
            assert backend_in_use() is get_backend("bee")
        assert backend_in_use() is ant
    assert backend_in_use() is None


def test_use_backend_ends_by_an_exception(register, make_backend):
    register(make_backend("ant"))
    with pytest.raises(KeyError), use_backend("ant"):
        raise KeyError
    assert backend_in_use() is None


def test_use_backend_of_an_unknown_name_changes_nothing(register, make_backend):
    register(make_backend("ant"))
    with use_backend("ant") as ant:
        with pytest.raises(UnknownNameError), use_backend("aunt"):
            pass
        assert backend_in_use() is ant


def test_use_backend_holds_in_its_thread_only(register, make_backend):
    register(make_backend("ant"), make_backend("bee"))
    seen: dict[str, Backend | None] = {}
    entered, looked = threading.Event(), threading.Event()

    def other() -> None:
        seen["outside"] = backend_in_use()
        with use_backend("bee"):
            entered.set()
            looked.wait(10)
            seen["inside"] = backend_in_use()

    with use_backend("ant") as ant:
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(10)
        assert backend_in_use() is ant
        looked.set()
        thread.join(10)
    assert seen == {"outside": None, "inside": get_backend("bee")}


def test_a_backend_that_declares_nothing_is_broken_not_fatal(register):
    class Undeclared(Backend):
        name = "undeclared"

    register(Undeclared)
    (reason,) = get_backend("undeclared").unavailable_reasons()
    assert "summary" in reason.text
    assert "is not a str, which every backend declares" in reason.text
