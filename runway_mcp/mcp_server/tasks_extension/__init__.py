"""MCP tasks: the extension `io.modelcontextprotocol/tasks`, by which a tool call may outlive its request.

Runway has tasks too; what the protocol calls a task is called an MCP task here, always. The
protocol (`wire`, `extension`, `subscriptions`) knows nothing of Runway, and Runway's side
(`runway_tasks`) nothing of the protocol but its shapes: `wire` stands between them.
"""

from runway_mcp.mcp_server.tasks_extension.extension import McpTasksExtension
from runway_mcp.mcp_server.tasks_extension.runway_tasks import RunwayMcpTasks
from runway_mcp.mcp_server.tasks_extension.wire import McpTasks, UnknownMcpTaskError

__all__ = ["McpTasks", "McpTasksExtension", "RunwayMcpTasks", "UnknownMcpTaskError"]
