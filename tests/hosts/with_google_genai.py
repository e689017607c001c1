"""Our tools as google-genai gives them to Gemini. `scripts/hosts` runs it, where that SDK is installed."""
# pyright: basic, reportMissingImports=false
# the SDK is no dependency of this project

from typing import Any

from google.genai._mcp_utils import mcp_to_gemini_tool
from google.genai.version import __version__
from with_mcp import converted_over_stdio


def convert(tool: Any) -> dict[str, Any]:
    (declaration,) = mcp_to_gemini_tool(tool).function_declarations or []
    parameters = declaration.parameters.model_dump(mode="json", exclude_none=True) if declaration.parameters else {}
    return {"description": declaration.description, "parameters": parameters}


converted_over_stdio(f"google-genai {__version__}", convert)
