"""The flow as a picture: the graph, its layout, and the SVG and Mermaid drawn from it."""
