"""The report's few queries: one scan of all narrow tables, one of pages by host, one for the chosen pages."""
