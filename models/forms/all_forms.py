"""Every form, in the order of the tables, and how some of them are chosen."""

from models.errors import FormError
from models.forms.form import Form
from models.forms.tf_eager import TensorFlowEager, TensorFlowFunction
from models.forms.tf_saved_model import TensorFlowSavedModel, TensorFlowXla
from models.forms.torch_aotinductor import TorchAotInductor
from models.forms.torch_compiled import TorchCompiled
from models.forms.torch_eager import TorchEager
from models.forms.torch_exported import TorchExported
from models.forms.torchscript import TorchScriptScripted, TorchScriptTraced

_ALL: tuple[Form, ...] = (
    TorchEager(),
    TorchCompiled(),
    TorchExported(),
    TorchAotInductor(),
    TorchScriptTraced(),
    TorchScriptScripted(),
    TensorFlowEager(),
    TensorFlowFunction(),
    TensorFlowSavedModel(),
    TensorFlowXla(),
)
FORMS: dict[str, Form] = {form.name: form for form in _ALL}


def select(names: str | None) -> list[Form]:
    """The forms named in a list with commas, each once; all of them without one.

    Raises:
        FormError: One is unknown; the message lists those there are.
    """
    if names is None:
        return list(FORMS.values())
    chosen = dict.fromkeys(name.strip() for name in names.split(","))
    for name in chosen:
        if name not in FORMS:
            raise FormError(f"unknown form {name!r}; known: {', '.join(FORMS)}")
    return [FORMS[name] for name in chosen]
