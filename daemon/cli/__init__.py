"""The `porter` command: a module for each verb, imported only when it is used."""

import os

# Before anything imports NumPy or pydantic: a daemon needs no pool of idle threads for linear
# algebra, and no search through all installed packages for plug-ins of pydantic.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
