"""The configuration: one module a section, and what loads and checks them."""
