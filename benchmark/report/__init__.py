"""Make figures, tables and one page from records. Reads results folders only, and works on records made elsewhere."""
