"""What people and agents do with the three kinds, as functions: the command line, the MCP server and the conversation
call these and nothing else.

Each function takes a `modelops.client.AsyncClient`, creates or reads objects in the caller's rights, and returns a
model of `modelops.tools.results`. None of them blocks for longer than the `wait_seconds` that it is given.
"""
