"""The tools of MCP servers (Model Context Protocol): the section `mcp` of flows/tools.yaml."""
