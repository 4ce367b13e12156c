"""The MCP server, `modelops mcp`: what `modelops.tools` does, as tools for chat clients and agents.

Needs the extra `mcp`.
"""
