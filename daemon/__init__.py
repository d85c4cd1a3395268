"""Porter's runtime."""

import os

# ONNX Runtime's builds for Linux keep a usage database in the user's cache, with an identity of the
# device, and can send it to their maker. It looks at this variable when it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
