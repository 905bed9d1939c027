"""A small MCP server on standard input and output: products and their prices."""

from mcp.server.mcpserver import MCPServer

PRICES = {"apple": 2, "bread": 3, "cheese": 7, "honey": 9, "tea": 5}

shop = MCPServer("shop", log_level="ERROR")


@shop.tool()
def list_products() -> str:
    """Names of all products."""
    return ", ".join(PRICES)


@shop.tool()
def price_of(product: str) -> str:
    """Price of one product, in euros."""
    return str(PRICES[product]) if product in PRICES else f"there is no {product}"


if __name__ == "__main__":
    shop.run()
